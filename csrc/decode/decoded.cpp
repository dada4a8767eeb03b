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

void Decoded::append(std::int64_t row, std::span<const std::int32_t> string, double log_prob,
                     FinishReason reason) {
  tokens.insert(tokens.end(), string.begin(), string.end());
  append(row, std::ssize(string), log_prob, reason);
}

void Decoded::append(std::int64_t row, std::int64_t length, double log_prob, FinishReason reason) {
  rows.push_back(row);
  lengths.push_back(length);
  log_probs.push_back(log_prob);
  finished.push_back(reason == FinishReason::kStop ? 1 : 0);
}

void Decoded::append(const Decoded& more, std::size_t all_rows) {
  if (more.rows.empty()) return;
  const std::size_t times = all_rows / more.rows.size() + 1;
  const auto append_to = [times](auto& all, const auto& some) {
    if (all.empty()) all.reserve(times * some.size());
    all.insert(all.end(), some.begin(), some.end());
  };
  append_to(tokens, more.tokens);
  append_to(rows, more.rows);
  append_to(lengths, more.lengths);
  append_to(log_probs, more.log_probs);
  append_to(finished, more.finished);
}

void Decoded::clear() {
  tokens.clear();
  rows.clear();
  lengths.clear();
  log_probs.clear();
  finished.clear();
}

void append_in_row_order(Decoded& out, const DecodeRequest& request, std::int64_t first,
                         std::size_t count, std::span<const FinishedSequences> parts,
                         const ForEach& for_each) {
  struct Row {
    double log_prob;
    std::int32_t length;
    FinishReason reason = FinishReason::kRejected;
  };
  LargeVector<Row> rows(count);
  const auto index = [&](std::int64_t row) { return static_cast<std::size_t>(row - first); };
  for_each(parts.size(), [&](std::size_t i) {
    for (const auto& [row, begin, length, log_prob, reason] : parts[i].sequences) {
      rows[index(row)] = {log_prob, static_cast<std::int32_t>(length), reason};
    }
  });
  std::size_t strings = 0, end = out.tokens.size();
  for (const FinishedSequences& part : parts) strings += part.sequences.size();
  out.reserve(strings, 0);
  LargeVector<std::size_t> begins(count);  // of each row's tokens
  for (std::size_t i = 0; i < count; ++i) {
    const auto [log_prob, length, reason] = rows[i];
    begins[i] = end;
    if (reason == FinishReason::kRejected) continue;
    out.append(first + static_cast<std::int64_t>(i), length, log_prob, reason);
    end += static_cast<std::size_t>(length);
  }
  require_room(request, end);
  out.reserve(0, end - out.tokens.size());
  out.tokens.resize(end);
  for_each(parts.size(), [&](std::size_t i) {
    for (const FinishedSequences::Sequence& sequence : parts[i].sequences) {
      std::copy_n(parts[i].tokens.data() + sequence.begin, sequence.length,
                  out.tokens.data() + begins[index(sequence.row)]);
    }
  });
}

}  // namespace makemore
