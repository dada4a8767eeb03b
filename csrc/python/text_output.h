#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "conversions.h"
#include "output.h"
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
    waiting_ += finished.sequences.size();
    taken_.push_back(std::move(finished));
    if (waiting_ >= kAtOnce) RunningCalls::with_gil([this] { make_texts(); });
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
  /// Fewer sequences than this wait for more: the GIL is not asked for so often.
  static constexpr std::size_t kAtOnce = 4096;

  void make_texts() {
    if (!texts_) {
      texts_ = py::reinterpret_steal<py::list>(PyList_New(request_.rows));
      if (!texts_) throw py::error_already_set();
      PyObject_GC_UnTrack(texts_.ptr());  // nobody is to find it before it is whole
    }
    for (const FinishedSequences& each : taken_) {
      const std::span tokens(each.tokens);
      for (const auto& [row, begin, length, log_prob, reason] : each.sequences) {
        PyList_SET_ITEM(texts_.ptr(), row, characters_.text(tokens.subspan(begin, length)));
      }
      made_ += std::ssize(each.sequences);
    }
    taken_.clear();
    waiting_ = 0;
  }

  /// Shortens the list to the texts that there are. Returns the rows of the others.
  std::vector<std::int64_t> close_gaps() {
    PyObject* const list = texts_.ptr();
    std::vector<std::int64_t> rejected;
    rejected.reserve(static_cast<std::size_t>(request_.rows - made_));
    std::int64_t kept = 0;
    for (std::int64_t row = 0; row < request_.rows; ++row) {
      PyObject* const text = PyList_GET_ITEM(list, row);
      if (text == nullptr) {
        rejected.push_back(row);
      } else {
        PyList_SET_ITEM(list, row, nullptr);
        PyList_SET_ITEM(list, kept++, text);
      }
    }
    if (PyList_SetSlice(list, kept, request_.rows, nullptr) != 0) throw py::error_already_set();
    return rejected;
  }

  const DecodeRequest& request_;
  Characters characters_;
  py::object texts_;       // a list; null where a row has none yet, or does not pass
  std::int64_t made_ = 0;  // of them
  std::vector<FinishedSequences> taken_;
  std::size_t waiting_ = 0;  // sequences of taken_
  std::size_t tokens_ = 0;
};

}  // namespace makemore
