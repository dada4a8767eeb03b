#include "device_decoder.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "cancellation.h"
#include "coin.h"
#include "errors.h"

namespace makemore {
namespace {

constexpr std::int64_t kStop = 0;
constexpr std::int64_t kUnforced = -1;
constexpr std::int64_t kIdle = -1;

/// The rows of a request on their way through the slots.
class DeviceDecoder {
 public:
  DeviceDecoder(BlockStep& step, const DecodeRequest& request)
      : step_(step),
        request_(request),
        // Temperature 0 is a share for each of the likeliest, of which the first is to be taken.
        greedy_coin_(0.5 / static_cast<double>(step.vocab_size())),
        finished_(static_cast<std::size_t>(request.rows)) {}

  /// Brings every row that has not ended to its end. Throws OutOfMemory, and can then go on.
  void run(std::int64_t count, CancellationToken& cancellation);

  Decoded strings() const;

 private:
  struct Row {
    std::int64_t number = kIdle;
    std::vector<std::int32_t> generated;
  };

  struct FinishedSequence {
    std::size_t begin = 0;  // in tokens_
    std::int64_t length = 0;
    double log_prob = 0;
    std::uint8_t stopped = 0;
  };

  std::optional<std::int64_t> next_row();
  void load(Slots& slots, std::size_t slot);
  void unload(const Slots& slots, std::size_t slot);
  void end(Row& row, double log_prob, bool stopped);
  [[noreturn]] void nothing_to_choose() const;

  BlockStep& step_;
  const DecodeRequest& request_;
  double greedy_coin_;
  std::int64_t started_ = 0;                // rows below have been started
  std::vector<std::int64_t> restarted_;     // of which these must start again
  std::vector<Row> rows_;                   // of each slot
  std::vector<FinishedSequence> finished_;  // of each row
  std::vector<std::int32_t> tokens_;
};

void DeviceDecoder::run(std::int64_t count, CancellationToken& cancellation) {
  for (const Row& row : rows_) {
    if (row.number != kIdle) restarted_.push_back(row.number);
  }
  rows_.assign(static_cast<std::size_t>(count), Row());
  Slots slots(count, step_.steps_per_block());
  step_.open(slots);
  for (;;) {
    cancellation.check();
    bool busy = false;
    for (std::size_t slot = 0; slot < rows_.size(); ++slot) {
      load(slots, slot);
      busy = busy || rows_[slot].number != kIdle;
    }
    if (!busy) return;
    step_.run();
    for (std::size_t slot = 0; slot < rows_.size(); ++slot) unload(slots, slot);
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

/// Tells a slot what its row says in the next block, or what a new one does.
void DeviceDecoder::load(Slots& slots, std::size_t slot) {
  Row& row = rows_[slot];
  if (row.number == kIdle) {
    row.number = next_row().value_or(kIdle);
    slots.log_probs[slot] = 0;
  }
  slots.tokens[slot] = row.generated.empty() ? kStop : row.generated.back();
  const std::int64_t position = std::ssize(row.generated);
  slots.positions[slot] = position;
  slots.remaining[slot] = row.number == kIdle ? 0 : request_.max_length - position;
  if (row.number == kIdle) return;
  const auto prompt = request_.prompts.of(row.number);
  const auto number = request_.first_row + static_cast<std::uint64_t>(row.number);
  const auto steps_per_block = static_cast<std::size_t>(slots.steps_per_block);
  for (std::size_t column = 0; column < steps_per_block; ++column) {
    const std::size_t at = static_cast<std::size_t>(position) + column;
    const bool forced = at < prompt.size();
    slots.generated[slot * steps_per_block + column] = forced ? prompt[at] : kUnforced;
    slots.coins[column * rows_.size() + slot] =
        request_.sampling.temperature == 0
            ? greedy_coin_
            : coin(request_.seed, number, static_cast<std::uint32_t>(at));
  }
}

/// Notes what a slot generated in a block, up to the end of its row.
void DeviceDecoder::unload(const Slots& slots, std::size_t slot) {
  Row& row = rows_[slot];
  if (row.number == kIdle) return;
  if (std::isnan(slots.log_probs[slot])) {
    throw ArtifactError("the model's logits are not finite");
  }
  const auto steps_per_block = static_cast<std::size_t>(slots.steps_per_block);
  for (std::size_t column = 0; column < steps_per_block; ++column) {
    const std::int64_t token = slots.generated[slot * steps_per_block + column];
    if (token == step_.vocab_size()) nothing_to_choose();
    if (token == kStop) return end(row, slots.log_probs[slot], true);
    row.generated.push_back(static_cast<std::int32_t>(token));
    if (std::ssize(row.generated) == request_.max_length) {
      return end(row, slots.log_probs[slot], false);
    }
  }
}

void DeviceDecoder::end(Row& row, double log_prob, bool stopped) {
  finished_[static_cast<std::size_t>(row.number)] = {tokens_.size(), std::ssize(row.generated),
                                                     log_prob, static_cast<std::uint8_t>(stopped)};
  tokens_.insert(tokens_.end(), row.generated.begin(), row.generated.end());
  row.number = kIdle;
  row.generated.clear();
}

void DeviceDecoder::nothing_to_choose() const {
  constexpr auto kNothing =
      "no token is left to choose: what is not excluded has probability 0";
  if (request_.sampling.mask.empty()) throw ArtifactError(kNothing);
  throw OptionError(kNothing);
}

Decoded DeviceDecoder::strings() const {
  Decoded out;
  for (const FinishedSequence& finished : finished_) {
    const auto begin = tokens_.begin() + static_cast<std::ptrdiff_t>(finished.begin);
    out.tokens.insert(out.tokens.end(), begin, begin + finished.length);
    out.lengths.push_back(finished.length);
    out.log_probs.push_back(request_.log_probs ? finished.log_prob : 0);
    out.finished.push_back(finished.stopped);
  }
  return out;
}

}  // namespace

Slots::Slots(std::int64_t count, std::int64_t steps_per_block)
    : count(count), steps_per_block(steps_per_block) {
  const auto rows = static_cast<std::size_t>(count),
             cells = static_cast<std::size_t>(steps_per_block);
  tokens.resize(rows);
  positions.resize(rows);
  remaining.resize(rows);
  coins.resize(cells * rows);
  generated.resize(rows * cells);
  log_probs.resize(rows);
}

Decoded decode_on_device(BlockStep& step, const DecodeRequest& request,
                         const std::function<void()>& poll) {
  validate(request, step.vocab_size());
  CancellationToken cancellation(poll);
  DeviceDecoder decoder(step, request);
  for (std::int64_t slots = std::min(request.batch_size, request.rows); slots > 0;) {
    try {
      decoder.run(slots, cancellation);
      return decoder.strings();
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
