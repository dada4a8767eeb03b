#include "decoded.h"

namespace makemore {

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
  std::size_t tokens = out.tokens.size();
  for (const FinishedSequences& part : parts) {
    for (const FinishedSequences::Sequence& sequence : part.sequences) {
      places[static_cast<std::size_t>(sequence.row - first)] = {&part, &sequence};
      tokens += sequence.length;
    }
  }
  require_room(request, tokens);
  for (const auto& [part, sequence] : places) {
    if (part == nullptr) continue;
    out.append(sequence->row, std::span(part->tokens).subspan(sequence->begin, sequence->length),
               sequence->log_prob, sequence->reason);
  }
}

}  // namespace makemore
