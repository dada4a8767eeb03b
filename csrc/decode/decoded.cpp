#include "decoded.h"

#include <algorithm>

namespace makemore {

void Decoded::reserve(std::size_t more_strings, std::size_t more_tokens) {
  const auto reserve_in = [](auto& all, std::size_t more) {
    const std::size_t wanted = all.size() + more;
    if (wanted > all.capacity()) all.reserve(std::max(wanted, 2 * all.size()));
  };
  reserve_in(tokens, more_tokens);
  reserve_in(rows, more_strings);
  reserve_in(lengths, more_strings);
  reserve_in(log_probs, more_strings);
  reserve_in(finished, more_strings);
}

void Decoded::append(std::int64_t row, std::int64_t length, double log_prob, FinishReason reason) {
  rows.push_back(row);
  lengths.push_back(length);
  log_probs.push_back(log_prob);
  finished.push_back(reason == FinishReason::kStop ? 1 : 0);
}

void RowOrder::end_rows(std::int64_t first, std::size_t count, const ForEach& for_each) {
  struct Row {
    double log_prob;
    std::int32_t length;
    FinishReason reason = FinishReason::kRejected;
  };
  LargeVector<Row> rows(count);
  const auto index = [&](std::int64_t row) { return static_cast<std::size_t>(row - first); };
  for_each(parts_.size(), [&](std::size_t i) {
    for (const auto& [row, begin, length, log_prob, reason] : parts_[i].sequences) {
      rows[index(row)] = {log_prob, static_cast<std::int32_t>(length), reason};
    }
  });
  std::size_t strings = 0, end = out_.tokens.size();
  for (const FinishedSequences& part : parts_) strings += part.sequences.size();
  out_.reserve(strings, 0);
  LargeVector<std::size_t> begins(count);  // of each row's tokens
  for (std::size_t i = 0; i < count; ++i) {
    const auto [log_prob, length, reason] = rows[i];
    begins[i] = end;
    if (reason == FinishReason::kRejected) continue;
    out_.append(first + static_cast<std::int64_t>(i), length, log_prob, reason);
    end += static_cast<std::size_t>(length);
  }
  require_room(request_, end);
  out_.reserve(0, end - out_.tokens.size());
  out_.tokens.resize(end);
  for_each(parts_.size(), [&](std::size_t i) {
    for (const FinishedSequences::Sequence& sequence : parts_[i].sequences) {
      std::copy_n(parts_[i].tokens.data() + sequence.begin, sequence.length,
                  out_.tokens.data() + begins[index(sequence.row)]);
    }
  });
  parts_.clear();
}

}  // namespace makemore
