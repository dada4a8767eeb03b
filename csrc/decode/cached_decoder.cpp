#include "cached_decoder.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

namespace makemore {
namespace {

/// Sequences that take turns.
constexpr std::size_t kInTurn = 32;

/// Tokens at least from one look at the cancellation to the next: over a cache that knows what
/// follows, no step comes between them.
constexpr std::size_t kUnchecked = 4'096;

}  // namespace

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
    advance(unfinished, cancellation);
    std::erase_if(unfinished, [this](std::size_t index) {
      return sequences_[index].finish_reason != FinishReason::kNone;
    });
  }
  return true;
}

bool CachedDecoder::is_full() const {
  return cache_.is_full(sequences_.size() * wanted_ * sizeof(tokens_.front()));
}

/// Forgets nodes that no unfinished sequence needs. False where those that are needed are too many.
bool CachedDecoder::make_room(std::span<const std::size_t> unfinished) {
  std::vector<PrefixCache::NodeId> needed;
  for (const std::size_t i : unfinished) needed.push_back(sequences_[i].node);
  cache_.make_room(needed);
  return !is_full();
}

/// Adds tokens to sequences until each finishes, or the step has to be run. They take turns, so
/// that the memory of a node is fetched while others get a token: Kocberber et al. (2015),
/// Asynchronous Memory Access Chaining, section 3.
void CachedDecoder::advance(std::span<const std::size_t> indices, CallCancellation& cancellation) {
  std::size_t unchecked = 0;
  const auto count_added = [&](std::size_t tokens) {
    if ((unchecked += tokens) < kUnchecked) return;
    cancellation.check();
    unchecked = 0;
  };
  if (cache_.is_stateless()) {  // its nodes are so few that they need not be fetched
    for (const std::size_t index : indices) {
      while (add_token(index)) count_added(1);
    }
    return;
  }
  std::array<std::size_t, kInTurn> in_turn;
  std::size_t count = std::min(kInTurn, indices.size()), next = count;
  std::copy_n(indices.begin(), count, in_turn.begin());
  while (count > 0) {
    count_added(count);
    for (std::size_t i = 0; i < count; ++i) cache_.fetch_row(sequences_[in_turn[i]].node);
    for (std::size_t i = 0; i < count;) {
      if (add_token(in_turn[i])) {
        ++i;
      } else if (next < indices.size()) {
        in_turn[i++] = indices[next++];
      } else {
        in_turn[i] = in_turn[--count];
      }
    }
  }
}

/// Adds a token to a sequence, if it is known what follows and there is room. Returns whether to go
/// on.
bool CachedDecoder::add_token(std::size_t index) {
  Sequence& sequence = sequences_[index];
  if (!cache_.is_known(sequence.node)) return false;
  if (static_cast<std::size_t>(sequence.length) == capacity_ && !widen()) return false;
  const std::int64_t length = sequence.length;
  const std::int64_t row = first_ + static_cast<std::int64_t>(index);
  bool is_drawn = false;
  const std::int64_t token = next_token(request_, row, length, [&] {
    is_drawn = true;
    return cache_.cumulative(sequence.node);
  });
  if (!is_drawn || !sequence.expected) {
    const double begun = cache_.count_begun(sequence.node);
    if (is_drawn && !cache_.is_stateless()) sequence.expected = begun;
  }
  sequence.filter_state = next_state(request_, sequence.filter_state, token);
  sequence.finish_reason = finish_reason(request_, token, length, sequence.filter_state);
  if (sequence.finish_reason == FinishReason::kRejected) return false;
  if (request_.log_probs) {
    sequence.log_prob = cache_.add_log_prob(sequence.log_prob, sequence.node, token);
  }
  if (token != kStop) {
    tokens_[index * capacity_ + static_cast<std::size_t>(length)] =
        static_cast<std::int32_t>(token);
    ++sequence.length;
  }
  if (sequence.finish_reason != FinishReason::kNone) return false;
  if (sequence.expected) *sequence.expected *= cache_.probability(sequence.node, token);
  sequence.node = cache_.child(sequence.node, token, sequence.expected);
  return true;
}

/// Makes room for sequences twice as long. False where the cache must make room before.
bool CachedDecoder::widen() {
  wanted_ = 2 * capacity_;
  if (is_full()) return false;
  std::vector<std::int32_t> wider(sequences_.size() * wanted_);
  for (std::size_t i = 0; i < sequences_.size(); ++i) {
    std::copy_n(&tokens_[i * capacity_], capacity_, &wider[i * wanted_]);
  }
  tokens_ = std::move(wider);
  capacity_ = wanted_;
  return true;
}

FinishedSequences CachedDecoder::finished() const {
  FinishedSequences finished;
  finished.sequences.reserve(sequences_.size());
  std::size_t tokens_in_all = 0;
  for (const Sequence& sequence : sequences_) {
    tokens_in_all += static_cast<std::size_t>(sequence.length);
  }
  finished.tokens.reserve(tokens_in_all);
  for (std::size_t i = 0; i < sequences_.size(); ++i) {
    const Sequence& sequence = sequences_[i];
    if (sequence.finish_reason == FinishReason::kRejected) continue;
    const std::size_t begin = finished.tokens.size();
    const auto tokens = tokens_.begin() + static_cast<std::ptrdiff_t>(i * capacity_);
    finished.tokens.insert(finished.tokens.end(), tokens, tokens + sequence.length);
    finished.sequences.push_back({first_ + static_cast<std::int64_t>(i), begin,
                                  static_cast<std::size_t>(sequence.length), sequence.log_prob,
                                  sequence.finish_reason});
  }
  return finished;
}

}  // namespace makemore
