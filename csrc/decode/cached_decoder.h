#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "call_cancellation.h"
#include "output.h"
#include "prefix_cache.h"
#include "request.h"

namespace makemore {

/// Rows of a request, decoded over a prefix cache: each row goes from node to node as far as the
/// cache knows what follows, then the step is run on all nodes where rows wait.
class CachedDecoder {
 public:
  /// Rows `first` to `first` + `count` - 1.
  CachedDecoder(PrefixCache& cache, const DecodeRequest& request, std::int64_t first,
                std::int64_t count);

  /// Decodes all rows to their ends. Returns false, before that, where the cache has no room for
  /// all of them.
  bool run(CallCancellation& cancellation);

  /// The sequences that pass, in row order.
  FinishedSequences finished() const;

 private:
  struct Sequence {
    PrefixCache::NodeId node;
    std::int32_t length = 0;
    RowFilter::State filter_state = 0;
    FinishReason finish_reason = FinishReason::kNone;
    double log_prob = 0;
    std::optional<double> expected = {};  // as `child` takes it; none before the first draw
  };

  bool advance_all(CallCancellation& cancellation);
  bool is_full() const;
  bool make_room(std::span<const std::size_t> unfinished);
  void advance(std::span<const std::size_t> indices, CallCancellation& cancellation);
  bool add_token(std::size_t index);
  bool widen();

  PrefixCache& cache_;
  const DecodeRequest& request_;
  std::int64_t first_;
  std::vector<Sequence> sequences_;
  std::size_t capacity_ = 16;         // tokens of a sequence
  std::size_t wanted_ = capacity_;    // the same, once there is room
  std::vector<std::int32_t> tokens_;  // (sequences, capacity)
};

}  // namespace makemore
