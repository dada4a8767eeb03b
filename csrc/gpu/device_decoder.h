#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "request.h"

namespace makemore {

/// Slots of a batch in decoder, on the host: what a block of steps is told, and what it tells.
struct Slots {
  Slots(std::int64_t count, std::int64_t steps_per_block);

  std::int64_t count, steps_per_block;  // steps_per_block: steps of a block
  std::vector<std::int64_t> tokens;     // (count,) generated last; 0 at the start
  std::vector<std::int64_t> positions;  // (count,)
  std::vector<std::int64_t> remaining;  // (count,) tokens to say at most; 0: the slot is idle
  std::vector<double> coins;            // (steps_per_block, count)
  std::vector<std::int64_t>
      generated;                  // (count, steps_per_block) -1: may choose; then what it generated
  std::vector<double> log_probs;  // (count,) of all that was generated so far, in nats
};

/// Steps in blocks, with the sampler beside the model: the host sees tokens, and no logit.
class BlockStep {
 public:
  BlockStep() = default;
  BlockStep(const BlockStep&) = delete;
  BlockStep& operator=(const BlockStep&) = delete;
  virtual ~BlockStep() = default;

  /// V. A slot that says V had no token to choose.
  virtual std::int64_t vocab_size() const = 0;

  /// Steps of a block.
  virtual std::int64_t steps_per_block() const = 0;

  /// Gets ready for these slots, their states zero, and lets go of those before. They must stay
  /// where they are until the next call. Throws OutOfMemory.
  virtual void open(Slots& slots) = 0;

  /// Takes `steps_per_block` steps. The state of a slot whose row ended is zero afterwards. Throws
  /// OutOfMemory.
  virtual void run() = 0;
};

/// Decodes as `decode` does, to the same strings, where the sampler's arithmetic is the host's: the
/// coins are the same, so a row differs where its coin lies nearer to the edge of a token's share
/// than the two distributions are apart.
///
/// As many slots as `batch_size` are in decoder; a row that ends leaves its slot to the next one.
/// Where the device's memory does not hold them, half as many are tried, and so on: rows in decoder
/// start again, the strings already made are kept. Throws OrtError where there is no memory for
/// one slot.
Decoded decode_on_device(BlockStep& step, const DecodeRequest& request,
                         const std::function<void()>& poll);

}  // namespace makemore
