#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "conversions.h"
#include "output.h"
#include "prefetch.h"
#include "request.h"
#include "running_calls.h"

namespace makemore {

/// The texts that a call made.
struct Texts {
  py::list texts;
  std::int64_t rows;                   // of the request
  std::vector<std::int64_t> rejected;  // those of them that have no text, in order
};

/// Makes the texts of strings of characters while other threads go on. Made and destroyed with the
/// GIL; takes sequences without it.
class TextOutput final : public Output {
 public:
  TextOutput(const DecodeRequest& request, const CodePoints& code_points)
      : request_(request), characters_(code_points) {}
  TextOutput(const TextOutput&) = delete;
  TextOutput& operator=(const TextOutput&) = delete;

  void take(FinishedSequences&& finished) override {
    for (const auto& sequence : finished.sequences) tokens_ += sequence.length;
    require_room(request_, tokens_);
    waiting_ += std::ssize(finished.sequences);
    taken_.push_back(std::move(finished));
    const std::int64_t enough = std::clamp((request_.rows - made_) / kPart, kFewest, kMost);
    if (waiting_ >= enough) RunningCalls::with_gil([this] { make_texts(); });
  }

  void end_rows(std::int64_t, std::size_t, const ForEach&) override {}

  /// With the GIL, at the end.
  Texts texts() {
    make_texts();
    std::vector<std::int64_t> rejected;
    if (made_ < request_.rows) rejected = close_gaps();
    PyObject_GC_Track(texts_.ptr());
    return {py::reinterpret_steal<py::list>(texts_.release()), request_.rows, std::move(rejected)};
  }

 private:
  /// Sequences wait for more, so that the GIL is not asked for too often: for one in so many of
  /// those to come, so that few are left when all have finished; and for how many.
  static constexpr std::int64_t kPart = 8, kFewest = 1024, kMost = 4096;

  /// Sequences whose memory is asked for before their text is made: another thread has written it.
  static constexpr std::size_t kAhead = 16;

  void make_texts() {
    if (!texts_) {
      texts_ = py::reinterpret_steal<py::list>(PyList_New(request_.rows));
      if (!texts_) throw py::error_already_set();
      PyObject_GC_UnTrack(texts_.ptr());  // nobody is to find it before it is whole
    }
    for (const FinishedSequences& each : taken_) {
      const std::span tokens(each.tokens);
      const std::size_t count = each.sequences.size();
      for (std::size_t i = 0; i < count; ++i) {
        const auto& [row, begin, length, log_prob, reason] = each.sequences[i];
        prefetch(tokens.data() + each.sequences[std::min(i + kAhead, count - 1)].begin);
        PyList_SET_ITEM(texts_.ptr(), row, characters_.text(tokens.subspan(begin, length)));
      }
      made_ += std::ssize(each.sequences);
    }
    taken_.clear();
    waiting_ = 0;
  }

  /// Shortens the list to the texts that there are. Returns the rows of the others.
  std::vector<std::int64_t> close_gaps() {
    PyObject** const texts = PySequence_Fast_ITEMS(texts_.ptr());
    std::vector<std::int64_t> rejected;
    rejected.reserve(static_cast<std::size_t>(request_.rows - made_));
    std::int64_t kept = 0;
    for (std::int64_t row = 0; row < request_.rows; ++row) {
      if (texts[row] == nullptr) {
        rejected.push_back(row);
      } else {
        texts[kept++] = texts[row];
      }
    }
    std::fill(texts + kept, texts + request_.rows, nullptr);
    if (PyList_SetSlice(texts_.ptr(), kept, request_.rows, nullptr) != 0) {
      throw py::error_already_set();
    }
    return rejected;
  }

  const DecodeRequest& request_;
  Characters characters_;
  py::object texts_;       // a list; null where a row has none yet, or does not pass
  std::int64_t made_ = 0;  // of them
  std::vector<FinishedSequences> taken_;
  std::int64_t waiting_ = 0;  // sequences of taken_
  std::size_t tokens_ = 0;
};

}  // namespace makemore
