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
  rows.push_back(row);
  tokens.insert(tokens.end(), string.begin(), string.end());
  lengths.push_back(std::ssize(string));
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
                         std::size_t count, std::span<const FinishedSequences> parts) {
  struct Place {
    const FinishedSequences* part = nullptr;  // null: the row does not pass
    const FinishedSequences::Sequence* sequence = nullptr;
  };
  std::vector<Place> places(count);
  std::size_t strings = 0, tokens = 0;
  for (const FinishedSequences& part : parts) {
    strings += part.sequences.size();
    for (const FinishedSequences::Sequence& sequence : part.sequences) {
      places[static_cast<std::size_t>(sequence.row - first)] = {&part, &sequence};
      tokens += sequence.length;
    }
  }
  require_room(request, out.tokens.size() + tokens);
  out.reserve(strings, tokens);
  for (const auto& [part, sequence] : places) {
    if (part == nullptr) continue;
    out.append(sequence->row, std::span(part->tokens).subspan(sequence->begin, sequence->length),
               sequence->log_prob, sequence->reason);
  }
}

}  // namespace makemore
