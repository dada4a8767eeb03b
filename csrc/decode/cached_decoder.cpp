#include "cached_decoder.h"

#include <algorithm>
#include <numeric>

namespace makemore {

CachedDecoder::CachedDecoder(PrefixCache& cache, const DecodeRequest& request, std::int64_t first,
                             std::int64_t count)
    : cache_(cache),
      request_(request),
      first_(first),
      sequences_(static_cast<std::size_t>(count),
                 {.node = cache.begin(request.sampling, request.excluded)}),
      tokens_(sequences_.size() * capacity_) {}

bool CachedDecoder::run(CallCancellation& cancellation) {
  const bool done = advance_all(cancellation);
  cache_.end();
  return done;
}

/// The decode loop: sequences get tokens as far as the cache knows what follows, then the step is
/// run for all of them.
bool CachedDecoder::advance_all(CallCancellation& cancellation) {
  std::vector<std::size_t> unfinished(sequences_.size());
  std::iota(unfinished.begin(), unfinished.end(), std::size_t{0});
  while (!unfinished.empty()) {
    cancellation.check();
    if (is_full() && !make_room(unfinished)) return false;
    cache_.evaluate(static_cast<std::size_t>(request_.batch_size));
    std::erase_if(unfinished, [this](std::size_t index) {
      advance(index);
      return sequences_[index].finish_reason != FinishReason::kNone;
    });
  }
  return true;
}

bool CachedDecoder::is_full() const {
  return cache_.is_full(tokens_.size() * sizeof(tokens_.front()));
}

/// Forgets nodes that no unfinished sequence needs. False where those that are needed are too many.
bool CachedDecoder::make_room(std::span<const std::size_t> unfinished) {
  std::vector<PrefixCache::NodeId> needed;
  for (const std::size_t i : unfinished) needed.push_back(sequences_[i].node);
  const auto moved = cache_.forget_rare(needed);
  for (const std::size_t i : unfinished) {
    sequences_[i].node = moved[static_cast<std::size_t>(sequences_[i].node)];
  }
  return !is_full();
}

/// Adds tokens to a sequence until it finishes, or the step has to be run.
void CachedDecoder::advance(std::size_t index) {
  Sequence sequence = sequences_[index];  // a copy: what is in registers is faster
  const std::int64_t row = first_ + static_cast<std::int64_t>(index);
  while (cache_.is_known(sequence.node)) {
    const std::int64_t length = sequence.length;
    const std::int64_t token =
        next_token(request_, row, length, [&] { return cache_.cumulative(sequence.node); });
    sequence.filter_state = next_state(request_, sequence.filter_state, token);
    sequence.finish_reason = finish_reason(request_, token, length, sequence.filter_state);
    if (sequence.finish_reason == FinishReason::kRejected) break;
    if (request_.log_probs) {
      sequence.log_prob = cache_.add_log_prob(sequence.log_prob, sequence.node, token);
    }
    if (token != kStop) {
      if (static_cast<std::size_t>(length) == capacity_) widen();
      tokens_[index * capacity_ + static_cast<std::size_t>(length)] =
          static_cast<std::int32_t>(token);
      ++sequence.length;
    }
    if (sequence.finish_reason != FinishReason::kNone) break;
    sequence.node = cache_.child(sequence.node, token);
  }
  sequences_[index] = sequence;
}

/// Makes room for sequences twice as long.
void CachedDecoder::widen() {
  std::vector<std::int32_t> wider(2 * tokens_.size());
  for (std::size_t i = 0; i < sequences_.size(); ++i) {
    std::copy_n(&tokens_[i * capacity_], capacity_, &wider[i * 2 * capacity_]);
  }
  tokens_ = std::move(wider);
  capacity_ *= 2;
}

void CachedDecoder::append_to(Decoded& out) const {
  for (std::size_t i = 0; i < sequences_.size(); ++i) {
    if (sequences_[i].finish_reason == FinishReason::kRejected) continue;
    const auto length = static_cast<std::size_t>(sequences_[i].length);
    out.append(first_ + static_cast<std::int64_t>(i),
               std::span(tokens_).subspan(i * capacity_, length), sequences_[i].log_prob,
               sequences_[i].finish_reason);
  }
}

}  // namespace makemore
