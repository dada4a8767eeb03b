#include "device_block_step.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "bounds.h"

namespace makemore {
namespace {

/// Whether ONNX Runtime, CUDA or C++ reports with this message that there is no more memory.
bool is_out_of_memory(std::string_view message) {
  constexpr std::array<std::string_view, 5> kPhrases{"Failed to allocate memory", "out of memory",
                                                     "ALLOC_FAILED", "bad_alloc", "bad allocation"};
  return std::ranges::any_of(
      kPhrases, [&](auto phrase) { return message.find(phrase) != std::string_view::npos; });
}

template <class Work>
void allocating(const Work& work) {
  try {
    work();
  } catch (const OrtError& error) {
    if (is_out_of_memory(error.what())) throw OutOfMemory(error.what());
    throw;
  }
}

}  // namespace

void require_indexable(std::int64_t slots, std::span<const StateTensor> states) {
  constexpr auto kMost = static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max());
  for (const StateTensor& state : states) {
    const std::size_t of_row = state.row_bytes / element_bytes(state.element_type);
    const auto numbers = checked_product({static_cast<std::size_t>(slots), of_row});
    if (!numbers || *numbers > kMost) {
      throw OutOfMemory("a state of " + std::to_string(slots) + " slots has more than " +
                        std::to_string(kMost) + " numbers");
    }
  }
}

DeviceBlockStep::DeviceBlockStep(std::shared_ptr<const DeviceModel> device,
                                 const SamplingOptions& options, const ExcludedTokens* excluded)
    : device_(std::move(device)),
      session_(device_->sampler(sampling_graph_kind(options, excluded != nullptr))),
      top_k_(options.top_k > 0 ? options.top_k : vocab_size()),
      // A difference of logits divided by the smallest double is infinite, so that only the most
      // likely tokens keep a weight.
      temperature_(std::max(options.temperature, std::numeric_limits<double>::min())),
      top_p_(options.top_p < 1 ? options.top_p : std::numeric_limits<double>::infinity()),
      min_p_(options.min_p),
      allowed_(static_cast<std::size_t>(vocab_size()), 1) {
  const Sampler refuses_bad_options(options, vocab_size());
  if (excluded != nullptr) {
    require_vocab_size(*excluded, vocab_size());
    std::ranges::copy(excluded->allowed(), allowed_.begin());
  }
  for (std::int64_t i = 0; i < kStepsPerBlock; ++i) step_numbers_.push_back(i);

  const ort::Library& library = device_->library();
  const std::array<std::int64_t, 1> one{1}, vocab{vocab_size()};
  const auto scalar = [&](const char* name, auto& value, int type) {
    options_.emplace_back(name, library.tensor(std::span(&value, 1), {}, type));
  };
  const SamplingGraphKind kind = sampling_graph_kind(options, excluded != nullptr);
  if (kind != SamplingGraphKind::kPlain) {
    options_.emplace_back("sampler/allowed",
                          library.tensor(std::span(allowed_), vocab, ort::kBool));
    scalar("sampler/temperature", temperature_, ort::kDouble);
  }
  if (kind == SamplingGraphKind::kTruncated) {
    scalar("sampler/top_k", top_k_, ort::kInt64);
    scalar("sampler/top_p", top_p_, ort::kDouble);
    scalar("sampler/min_p", min_p_, ort::kDouble);
  }
  for (std::int64_t& number : step_numbers_) {
    slot_.push_back(library.tensor(std::span(&number, 1), one, ort::kInt64));
  }
}

void DeviceBlockStep::open(Slots& slots) {
  release();
  count_ = slots.count;
  require_indexable(count_, device_->model().states());
  allocating([&] {
    bind_host(slots);
    buffers_.push_back(new_buffers(slots.count, true));
    buffers_.push_back(new_buffers(slots.count, false));
    for (std::size_t column = 0; column < kStepsPerBlock; ++column) bind_step(column);
  });
}

void DeviceBlockStep::release() {
  steps_.clear();  // first, because they refer to the others
  buffers_.clear();
  host_.reset();
  coins_.clear();
}

DeviceBlockStep::StepBuffers DeviceBlockStep::new_buffers(std::int64_t count,
                                                          bool with_caches) const {
  StepBuffers buffers{device_->zeros(ort::kInt64, count, {}),
                      device_->zeros(ort::kInt64, count, {}),
                      device_->zeros(ort::kInt64, count, {1}),
                      device_->zeros(ort::kInt64, count, {kStepsPerBlock}),
                      device_->zeros(ort::kDouble, count, {1}),
                      {}};
  const auto& states = device_->model().states();
  for (std::size_t i = 0; i < states.size(); ++i) {
    const bool shared = device_->in_place()[i] && !with_caches;
    buffers.states.push_back(shared
                                 ? Value(nullptr, nullptr)
                                 : device_->zeros(states[i].element_type, count, states[i].shape));
  }
  return buffers;
}

void DeviceBlockStep::bind_host(Slots& slots) {
  const ort::Library& library = device_->library();
  const std::array<std::int64_t, 2> each{slots.count, 1}, cells{slots.count, kStepsPerBlock};
  const auto flat = std::span(each).first(1);
  host_.emplace(StepBuffers{library.tensor(std::span(slots.tokens), flat, ort::kInt64),
                            library.tensor(std::span(slots.positions), flat, ort::kInt64),
                            library.tensor(std::span(slots.remaining), each, ort::kInt64),
                            library.tensor(std::span(slots.generated), cells, ort::kInt64),
                            library.tensor(std::span(slots.log_probs), each, ort::kDouble),
                            {}});
  const auto count = static_cast<std::size_t>(slots.count);
  for (std::size_t column = 0; column < kStepsPerBlock; ++column) {
    const auto coins = std::span(slots.coins).subspan(column * count, count);
    coins_.push_back(library.tensor(coins, each, ort::kDouble));
  }
}

/// The first step reads the host's slots, and the last writes them.
void DeviceBlockStep::bind_step(std::size_t column) {
  const bool first = column == 0, last = column + 1 == kStepsPerBlock;
  const StepBuffers& from = buffers_[column % 2];
  const StepBuffers& to = buffers_[(column + 1) % 2];
  const OnnxModel& model = device_->model();
  ort::Binding& step = steps_.emplace_back(device_->library(), session_);
  step.input("sampler/slot", slot_[column].get());
  for (const auto& [name, value] : options_) step.input(name, value.get());
  if (!first) bind_inputs(step, from);
  step.output("sampler/next_token", to.token.get());
  step.output("sampler/next_position", to.position.get());
  step.output("sampler/next_remaining", to.remaining.get());
  step.output("sampler/next_generated", (last ? *host_ : to).generated.get());
  step.output("sampler/next_log_prob", (last ? *host_ : to).log_prob.get());
  for (std::size_t i = 0; i < from.states.size(); ++i) {
    const bool in_place = device_->in_place()[i];
    const Value& now = in_place ? buffers_[0].states[i] : from.states[i];
    const Value& next = in_place ? now : to.states[i];
    const std::string kept = "sampler/next_state_" + std::to_string(i);
    step.input(model.input_names()[2 + i], now.get());
    step.output(in_place ? model.output_names()[1 + i] : kept.c_str(), next.get());
  }
}

void DeviceBlockStep::bind_inputs(ort::Binding& step, const StepBuffers& from) const {
  step.input(device_->model().input_names()[0], from.token.get());
  step.input(device_->model().input_names()[1], from.position.get());
  step.input("sampler/remaining", from.remaining.get());
  step.input("sampler/generated", from.generated.get());
  step.input("sampler/log_prob", from.log_prob.get());
}

void DeviceBlockStep::clear(std::span<const std::size_t> slots) {
  const auto& states = device_->model().states();
  allocating([&] {
    for (std::size_t i = 0; i < states.size(); ++i) {
      if (device_->in_place()[i]) continue;  // what a cache holds of another row is not read
      device_->clear(states[i].element_type, buffers_[0].states[i].get(), count_, states[i].shape,
                     slots);
    }
  });
}

void DeviceBlockStep::run() {
  allocating([&] {
    bind_inputs(steps_.front(), *host_);  // binding copies the host's values
    for (std::size_t column = 0; column < kStepsPerBlock; ++column) {
      steps_[column].input("sampler/coin", coins_[column].get());
    }
    steps_.front().synchronize();
    for (const ort::Binding& step : steps_) step.run();
    steps_.back().synchronize();
  });
}

}  // namespace makemore
