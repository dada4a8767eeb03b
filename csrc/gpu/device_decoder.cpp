#include "device_decoder.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <optional>
#include <string>

#include "device_rows.h"
#include "errors.h"
#include "parallel_for.h"
#include "rules.h"

namespace makemore {
namespace {

constexpr std::int64_t kUnforced = -1;

/// Steps at most, and slots of each at least: with fewer, telling the device what to do takes
/// longer than what is gained.
constexpr std::int64_t kMaxSteps = 4, kMinSlots = 1 << 15;

/// Rows in the slots of a step, each until it finishes.
class DeviceDecoder {
 public:
  DeviceDecoder(BlockStep& step, const DecodeRequest& request, DeviceRows& rows)
      : step_(step),
        request_(request),
        rows_(rows),
        // At temperature 0 the most likely tokens have equal shares; this coin is in the first one.
        greedy_coin_(0.5 / static_cast<double>(step.vocab_size())) {}

  /// Decodes rows until all are finished or in slots of others. After OutOfMemory it can be called
  /// again: its rows are to start again.
  void run(std::int64_t slots, CallCancellation& cancellation);

  FinishedSequences& finished() { return finished_; }

 private:
  struct Sequence {
    std::optional<std::int64_t> row;  // none: the slot is idle
    std::vector<std::int32_t> tokens;
    RowFilter::State filter_state = 0;
  };

  void decode(std::int64_t count, CallCancellation& cancellation);
  void load(Slots& slots, std::size_t slot);
  void unload(const Slots& slots, std::size_t slot);
  void finish(Sequence& sequence, double log_prob, FinishReason reason);

  BlockStep& step_;
  const DecodeRequest& request_;
  DeviceRows& rows_;
  double greedy_coin_;
  std::vector<Sequence> sequences_;    // of each slot
  std::vector<std::size_t> rejected_;  // slots whose row was dropped in this block
  FinishedSequences finished_;
};

void DeviceDecoder::run(std::int64_t count, CallCancellation& cancellation) {
  try {
    decode(count, cancellation);
  } catch (const OutOfMemory&) {
    for (const Sequence& sequence : sequences_) {
      if (!sequence.row) continue;
      rows_.drop_tokens(sequence.tokens.size());
      rows_.restart(*sequence.row);
    }
    step_.close();
    throw;
  }
  step_.close();
}

void DeviceDecoder::decode(std::int64_t count, CallCancellation& cancellation) {
  sequences_.assign(static_cast<std::size_t>(count), Sequence());
  if (!rows_.has_next()) return;
  Slots slots(count, step_.steps_per_block());
  step_.open(slots);
  for (;;) {
    cancellation.check();
    bool busy = false;
    for (std::size_t slot = 0; slot < sequences_.size(); ++slot) {
      load(slots, slot);
      busy = busy || sequences_[slot].row;
    }
    if (!busy) return;
    step_.run();
    rejected_.clear();
    for (std::size_t slot = 0; slot < sequences_.size(); ++slot) unload(slots, slot);
    // The device does not know of the filter, and the next row begins with zeros.
    if (!rejected_.empty()) step_.clear(rejected_);
  }
}

/// Writes what a slot needs for the next block: of its row, or of the next row where it is idle.
void DeviceDecoder::load(Slots& slots, std::size_t slot) {
  Sequence& sequence = sequences_[slot];
  if (!sequence.row) {
    sequence.row = rows_.next();
    slots.log_probs[slot] = 0;
  }
  const std::int64_t length = std::ssize(sequence.tokens);
  slots.tokens[slot] = sequence.tokens.empty() ? kStop : sequence.tokens.back();
  slots.positions[slot] = length;
  slots.remaining[slot] = sequence.row ? request_.max_length - length : 0;
  if (!sequence.row) return;
  for (std::int64_t i = 0; i < slots.steps_per_block; ++i) {
    const std::int64_t position = length + i;
    const auto step = static_cast<std::size_t>(i);
    slots.generated[slot * static_cast<std::size_t>(slots.steps_per_block) + step] =
        forced_token(request_, *sequence.row, position).value_or(kUnforced);
    slots.coins[step * sequences_.size() + slot] = request_.sampling.temperature == 0
                                                       ? greedy_coin_
                                                       : coin_of(request_, *sequence.row, position);
  }
}

/// Reads what a slot generated in a block, up to the end of its row.
void DeviceDecoder::unload(const Slots& slots, std::size_t slot) {
  Sequence& sequence = sequences_[slot];
  if (!sequence.row) return;
  const double log_prob = slots.log_probs[slot];
  if (std::isnan(log_prob)) throw ArtifactError("the model's logits are not finite");
  const auto steps_per_block = static_cast<std::size_t>(slots.steps_per_block);
  for (std::size_t step = 0; step < steps_per_block; ++step) {
    const std::int64_t token = slots.generated[slot * steps_per_block + step];
    if (token == step_.vocab_size()) throw_no_token(request_.excluded != nullptr);
    sequence.filter_state = next_state(request_, sequence.filter_state, token);
    const FinishReason reason =
        finish_reason(request_, token, std::ssize(sequence.tokens), sequence.filter_state);
    if (token != kStop) {
      sequence.tokens.push_back(static_cast<std::int32_t>(token));
      rows_.count_token();
    }
    if (reason == FinishReason::kRejected) rejected_.push_back(slot);
    if (reason != FinishReason::kNone) return finish(sequence, log_prob, reason);
  }
}

void DeviceDecoder::finish(Sequence& sequence, double log_prob, FinishReason reason) {
  if (reason == FinishReason::kRejected) {
    rows_.drop_tokens(sequence.tokens.size());
  } else {
    const double wanted = request_.log_probs ? log_prob : 0;
    finished_.sequences.push_back(
        {*sequence.row, finished_.tokens.size(), sequence.tokens.size(), wanted, reason});
    finished_.tokens.insert(finished_.tokens.end(), sequence.tokens.begin(), sequence.tokens.end());
  }
  sequence.row.reset();
  sequence.tokens.clear();
  sequence.filter_state = 0;
}

/// With as many slots as memory holds, down to 1 where the decoder is alone.
void run_within_memory(DeviceDecoder& decoder, std::int64_t slots, bool is_alone,
                       CallCancellation& cancellation) {
  for (;; slots /= 2) {
    try {
      return decoder.run(slots, cancellation);
    } catch (const OutOfMemory& error) {
      if (!is_alone) return;  // its rows are for the others
      if (slots > 1) continue;
      throw OrtError(std::string("the device has no memory for a batch of 1: ") + error.what());
    }
  }
}

}  // namespace

Slots::Slots(std::int64_t count, std::int64_t steps_per_block)
    : count(count), steps_per_block(steps_per_block) {
  const auto slots = static_cast<std::size_t>(count);
  const std::size_t cells = slots * static_cast<std::size_t>(steps_per_block);
  tokens.resize(slots);
  positions.resize(slots);
  remaining.resize(slots);
  coins.resize(cells);
  generated.resize(cells);
  log_probs.resize(slots);
}

Decoded decode_on_device(std::span<BlockStep* const> steps, const DecodeRequest& request,
                         const Interrupts& interrupts) {
  validate(request, steps.front()->vocab_size());
  if (request.needs_logits()) {
    throw OptionError("a device neither processes nor records logits");
  }
  if (request.strategy != Strategy::kAuto) {
    throw OptionError("strategy must be 'auto': on a device each row has a slot of its own");
  }
  CallCancellation cancellation(interrupts);
  DeviceRows rows(request);
  std::deque<DeviceDecoder> decoders;
  for (BlockStep* step : steps) decoders.emplace_back(*step, request, rows);
  const std::int64_t slots =
      (std::min(request.batch_size, request.rows) - 1) / std::ssize(steps) + 1;
  parallel_for(steps.size(), steps.size(), cancellation, [&](std::size_t, std::size_t i) {
    run_within_memory(decoders[i], slots, steps.size() == 1, cancellation);
  });
  while (rows.has_next()) run_within_memory(decoders.front(), slots, true, cancellation);

  RowOrder order(request);
  for (DeviceDecoder& decoder : decoders) order.take(std::move(decoder.finished()));
  order.end_rows(0, static_cast<std::size_t>(request.rows),
                 [](std::size_t count, const std::function<void(std::size_t)>& task) {
                   for (std::size_t i = 0; i < count; ++i) task(i);
                 });
  return std::move(order.decoded());
}

std::size_t steps_for(const DecodeRequest& request) {
  const std::int64_t slots = std::min(request.batch_size, request.rows);
  return static_cast<std::size_t>(std::clamp(slots / kMinSlots, std::int64_t{1}, kMaxSteps));
}

}  // namespace makemore
