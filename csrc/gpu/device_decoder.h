#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "call_cancellation.h"
#include "decoded.h"
#include "request.h"

namespace makemore {

/// The slots of a batch, on the host: what a block of steps reads, and what it writes.
struct Slots {
  Slots(std::int64_t count, std::int64_t steps_per_block);

  std::int64_t count, steps_per_block;
  std::vector<std::int64_t> tokens;     // (count,) the last token; 0 at the start
  std::vector<std::int64_t> positions;  // (count,)
  std::vector<std::int64_t> remaining;  // (count,) tokens still allowed; 0: the slot is idle
  std::vector<double> coins;            // (steps_per_block, count)
  std::vector<std::int64_t> generated;  // (count, steps_per_block) read: a forced token, or -1;
                                        // written: the generated token
  std::vector<double> log_probs;        // (count,) of all generated tokens, in nats
};

/// Steps in blocks, with the sampler beside the model: the host sees tokens, and no logits.
class BlockStep {
 public:
  BlockStep() = default;
  BlockStep(const BlockStep&) = delete;
  BlockStep& operator=(const BlockStep&) = delete;
  virtual ~BlockStep() = default;

  /// V. A slot that generates V had no token to choose.
  virtual std::int64_t vocab_size() const = 0;

  virtual std::int64_t steps_per_block() const = 0;

  /// Prepares these slots, their states zero, and releases those before. They must stay where they
  /// are until the next call. Throws OutOfMemory.
  virtual void open(Slots& slots) = 0;

  /// Runs `steps_per_block` steps. The state of a slot whose row finishes is zero afterwards.
  /// Throws OutOfMemory.
  virtual void run() = 0;

  /// Makes the states of these slots zero. Throws OutOfMemory.
  virtual void clear(std::span<const std::size_t> slots) = 0;
};

/// Decodes as `decode` does. The coins are the same, and so are the strings, except where the
/// device rounds probabilities otherwise than the host: there a coin that lies very near to the
/// edge of a token's share may choose the neighbour.
///
/// As many slots as `batch_size` are in use; a row that finishes leaves its slot to the next row.
/// Where the device's memory does not hold them, half as many are tried, and so on: unfinished rows
/// start again, finished ones are kept. Throws OrtError where there is no memory for one slot, and
/// OptionError for a strategy, which a device does not have.
Decoded decode_on_device(BlockStep& step, const DecodeRequest& request,
                         const Interrupts& interrupts = {});

}  // namespace makemore
