#include "device_decoder.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "errors.h"
#include "rules.h"

namespace makemore {
namespace {

constexpr std::int64_t kUnforced = -1;

/// The rows of a request, each in a slot until it finishes.
class DeviceDecoder {
 public:
  DeviceDecoder(BlockStep& step, const DecodeRequest& request)
      : step_(step),
        request_(request),
        // At temperature 0 the most likely tokens have equal shares; this coin is in the first one.
        greedy_coin_(0.5 / static_cast<double>(step.vocab_size())) {}

  /// Decodes every row that is not finished. After OutOfMemory it can be called again.
  void run(std::int64_t slots, CallCancellation& cancellation);

  Decoded results();

 private:
  struct Sequence {
    std::optional<std::int64_t> row;  // none: the slot is idle
    std::vector<std::int32_t> tokens;
    RowFilter::State filter_state = 0;
  };

  std::optional<std::int64_t> next_row();
  void load(Slots& slots, std::size_t slot);
  void unload(const Slots& slots, std::size_t slot);
  void finish(Sequence& sequence, double log_prob, FinishReason reason);

  BlockStep& step_;
  const DecodeRequest& request_;
  double greedy_coin_;
  std::int64_t started_ = 0;             // rows below have been started
  std::vector<std::int64_t> restarted_;  // rows below `started_` to start again
  std::vector<Sequence> sequences_;      // of each slot
  std::vector<std::size_t> rejected_;    // slots whose row was dropped in this block
  std::size_t tokens_ = 0;               // generated so far
  FinishedSequences finished_;
};

void DeviceDecoder::run(std::int64_t count, CallCancellation& cancellation) {
  for (const Sequence& sequence : sequences_) {
    if (!sequence.row) continue;
    restarted_.push_back(*sequence.row);
    tokens_ -= sequence.tokens.size();
  }
  sequences_.assign(static_cast<std::size_t>(count), Sequence());
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

std::optional<std::int64_t> DeviceDecoder::next_row() {
  if (!restarted_.empty()) {
    const std::int64_t row = restarted_.back();
    restarted_.pop_back();
    return row;
  }
  if (started_ == request_.rows) return std::nullopt;
  return started_++;
}

/// Writes what a slot needs for the next block: of its row, or of the next row where it is idle.
void DeviceDecoder::load(Slots& slots, std::size_t slot) {
  Sequence& sequence = sequences_[slot];
  if (!sequence.row) {
    sequence.row = next_row();
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
      require_room(request_, ++tokens_);
    }
    if (reason == FinishReason::kRejected) rejected_.push_back(slot);
    if (reason != FinishReason::kNone) return finish(sequence, log_prob, reason);
  }
}

void DeviceDecoder::finish(Sequence& sequence, double log_prob, FinishReason reason) {
  if (reason == FinishReason::kRejected) {
    tokens_ -= sequence.tokens.size();
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

Decoded DeviceDecoder::results() {
  RowOrder order(request_);
  order.take(std::move(finished_));
  order.end_rows(0, static_cast<std::size_t>(request_.rows),
                 [](std::size_t, const std::function<void(std::size_t)>& task) { task(0); });
  return std::move(order.decoded());
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

Decoded decode_on_device(BlockStep& step, const DecodeRequest& request,
                         const Interrupts& interrupts) {
  validate(request, step.vocab_size());
  if (request.needs_logits()) {
    throw OptionError("a device neither processes nor records logits");
  }
  if (request.strategy != Strategy::kAuto) {
    throw OptionError("strategy must be 'auto': on a device each row has a slot of its own");
  }
  CallCancellation cancellation(interrupts);
  DeviceDecoder decoder(step, request);
  for (std::int64_t slots = std::min(request.batch_size, request.rows); slots > 0;) {
    try {
      decoder.run(slots, cancellation);
      return decoder.results();
    } catch (const OutOfMemory& error) {
      if (slots == 1) {
        throw OrtError(std::string("the device has no memory for a batch of 1: ") + error.what());
      }
      slots /= 2;
    }
  }
  return {};
}

}  // namespace makemore
