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
  std::vector<std::int64_t> rows;  // of each, within the request
};

/// Makes the texts of strings of characters while other threads go on. Made and destroyed with the
/// GIL; takes sequences without it.
class TextOutput final : public Output {
 public:
  TextOutput(const DecodeRequest& request, const CodePoints& code_points)
      : request_(request), characters_(code_points) {}
  TextOutput(const TextOutput&) = delete;
  TextOutput& operator=(const TextOutput&) = delete;
  ~TextOutput() override {
    for (PyObject* text : texts_) Py_XDECREF(text);
  }

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
    Texts made;
    const auto passed =
        texts_.size() - static_cast<std::size_t>(std::ranges::count(texts_, nullptr));
    made.texts = py::list(passed);
    made.rows.reserve(passed);
    for (std::size_t row = 0; row < texts_.size(); ++row) {
      if (texts_[row] == nullptr) continue;
      PyList_SET_ITEM(made.texts.ptr(), std::ssize(made.rows), std::exchange(texts_[row], nullptr));
      made.rows.push_back(static_cast<std::int64_t>(row));
    }
    return made;
  }

 private:
  /// Fewer sequences than this wait for more: the GIL is not asked for so often.
  static constexpr std::size_t kAtOnce = 4096;

  void make_texts() {
    texts_.resize(static_cast<std::size_t>(request_.rows));
    for (const FinishedSequences& each : taken_) {
      const std::span tokens(each.tokens);
      for (const auto& [row, begin, length, log_prob, reason] : each.sequences) {
        texts_[static_cast<std::size_t>(row)] = characters_.text(tokens.subspan(begin, length));
      }
    }
    taken_.clear();
    waiting_ = 0;
  }

  const DecodeRequest& request_;
  Characters characters_;
  std::vector<PyObject*> texts_;  // of each row; null where it has none yet, or does not pass
  std::vector<FinishedSequences> taken_;
  std::size_t waiting_ = 0;  // sequences of taken_
  std::size_t tokens_ = 0;
};

}  // namespace makemore
