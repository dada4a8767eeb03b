#include "transformer_step.h"

#include <algorithm>
#include <string>
#include <utility>

#include "bounds.h"
#include "errors.h"
#include "half.h"
#include "text.h"
#ifdef MAKEMORE_X86_KERNELS
#include "x86_level.h"
#endif

namespace makemore::transformer {

#if defined(MAKEMORE_X86_KERNELS)
extern const Kernel x86_64_v3, x86_64_v4, x86_64_v4_vnni;

std::vector<const Kernel*> kernels() {
  return those_that_run(x86_64_v4_vnni, x86_64_v4, x86_64_v3);
}
#elif defined(MAKEMORE_NEON_KERNEL)
extern const Kernel neon;

std::vector<const Kernel*> kernels() { return {&neon}; }
#else
std::vector<const Kernel*> kernels() { return {}; }
#endif

namespace {

constexpr std::size_t kOfLayer = 12, kOfModel = 5;  // parameters, without the head's bias
constexpr std::size_t kMlpUp = 10;                  // the place of the first layer's mlp_up

/// Limit of Model::first_qkv: a larger table evicts weights from the cache, and takes long to fill.
constexpr std::size_t kFirstQkvBytes = std::size_t{1} << 20;

std::string shown(std::size_t rows, std::size_t columns) {
  return "(" + std::to_string(rows) + ", " + std::to_string(columns) + ")";
}

constexpr std::pair<std::string_view, Activation> kActivations[] = {
    {"gelu_tanh", Activation::kGeluTanh}, {"gelu", Activation::kGelu}, {"relu", Activation::kRelu},
    {"silu", Activation::kSilu},          {"tanh", Activation::kTanh},
};

}  // namespace

Activation activation_named(std::string_view name) {
  for (const auto& [known, activation] : kActivations) {
    if (name == known) return activation;
  }
  throw ArtifactError("activation is " + in_quotes(name) +
                      "; it must be gelu_tanh, gelu, relu, silu or tanh");
}

/// The parameters, one after the other.
class TransformerStep::Reader {
 public:
  explicit Reader(std::span<const Parameter> parameters) : parameters_(parameters) {}

  /// Throws ArtifactError unless the next one has that shape.
  const kernels::Matrix& next(std::size_t rows, std::size_t columns) {
    const Parameter& found = parameters_[next_];
    if (found.rows != rows || found.columns != columns) {
      throw ArtifactError("parameter " + std::to_string(next_) + " is " +
                          shown(found.rows, found.columns) + ", not " + shown(rows, columns));
    }
    ++next_;
    return found.weight;
  }

 private:
  std::span<const Parameter> parameters_;
  std::size_t next_ = 0;
};

TransformerStep::TransformerStep(const Kernel& kernel, std::span<const Parameter> parameters,
                                 std::int64_t heads, float epsilon, Activation activation,
                                 bool halves)
    : kernel_(kernel), weights_(kernel.packing, halves) {
  const std::size_t count = parameters.size();
  const bool has_head_bias = count > kOfModel && (count - kOfModel) % kOfLayer == 1;
  if (count < kOfModel + kOfLayer || (count - kOfModel - has_head_bias) % kOfLayer != 0) {
    throw ArtifactError(std::to_string(count) + " parameters are not those of a GPT-2");
  }
  // None is empty, so each size counts numbers that are in memory: a small multiple of it fits.
  for (std::size_t i = 0; i < count; ++i) {
    const auto [weight, rows, columns] = parameters[i];
    if (rows == 0 || columns == 0) {
      throw ArtifactError("parameter " + std::to_string(i) + " is " + shown(rows, columns) +
                          "; it must not be empty");
    }
  }
  const std::size_t vocab_size = parameters[0].rows, width = parameters[0].columns;
  if (!(epsilon >= 0 && epsilon < 1)) {
    throw ArtifactError("epsilon is " + std::to_string(epsilon) + "; it must be >= 0 and below 1");
  }
  if (heads < 1 || width % static_cast<std::size_t>(heads) != 0) {
    throw ArtifactError("a width of " + std::to_string(width) + " is not for " +
                        std::to_string(heads) + " heads");
  }
  model_.vocab_size = vocab_size;
  model_.block_size = parameters[1].rows;
  model_.width = width;
  model_.heads = static_cast<std::size_t>(heads);
  model_.mlp_width = parameters[kMlpUp].rows;
  model_.activation = activation;
  model_.halves = halves;
  model_.epsilon = epsilon;
  Reader reader(parameters);
  model_.token_embedding = table(reader, vocab_size, width);
  model_.position_embedding = table(reader, model_.block_size, width);
  for (std::size_t i = 0; i < (count - kOfModel) / kOfLayer; ++i) {
    layers_.push_back({.ln_1 = norm(reader),  // in this order, as they are read
                       .attention = linear(reader, 3 * width, width),
                       .projection = linear(reader, width, width),
                       .ln_2 = norm(reader),
                       .mlp_up = linear(reader, model_.mlp_width, width),
                       .mlp_down = linear(reader, width, model_.mlp_width)});
  }
  model_.layers = layers_.data();
  model_.layer_count = layers_.size();
  model_.ln = norm(reader);
  model_.head = linear(reader, vocab_size, width, has_head_bias);
  make_first_tables();
}

/// What the first layer's attention reads depends on a token and its position alone.
void TransformerStep::make_first_tables() {
  const std::size_t width = model_.width;
  const auto bytes =
      checked_product({model_.vocab_size, model_.block_size, 3 * width, sizeof(float)});
  if (!bytes || *bytes > kFirstQkvBytes) return;
  float* qkv = weights_.allocate(*bytes / sizeof(float));
  kernel_.first_qkv(model_, aligned_buffer(*bytes / 3 * 2).data()->values, qkv);
  model_.first_qkv = qkv;
  model_.first_kv = reinterpret_cast<const std::byte*>(qkv + width);
  model_.first_kv_bytes = 3 * width * sizeof(float);
  if (!model_.halves) return;
  const std::size_t entries = model_.vocab_size * model_.block_size;
  auto* kv = reinterpret_cast<std::uint16_t*>(weights_.allocate(entries * width));
  for (std::size_t i = 0; i < entries; ++i) {
    std::transform(qkv + i * 3 * width + width, qkv + (i + 1) * 3 * width, kv + i * 2 * width,
                   half_of_float);
  }
  model_.first_kv = reinterpret_cast<const std::byte*>(kv);
  model_.first_kv_bytes = 2 * width * sizeof(std::uint16_t);
}

std::size_t TransformerStep::page_bytes() const {
  const std::size_t layer =
      2 * model_.width * (model_.halves ? sizeof(std::uint16_t) : sizeof(float));
  if (model_.first_qkv == nullptr) return model_.layer_count * layer;
  return kPlaceBytes + (model_.layer_count - 1) * layer;
}

const float* TransformerStep::table(Reader& reader, std::size_t rows, std::size_t columns) {
  const auto [values, scales] = reader.next(rows, columns);
  if (scales != nullptr) throw ArtifactError("an embedding, a norm or a bias is int8");
  return weights_.copy({values, rows * columns});
}

Norm TransformerStep::norm(Reader& reader) {
  const float* weight = table(reader, model_.width, 1);
  return {weight, table(reader, model_.width, 1)};
}

Linear TransformerStep::linear(Reader& reader, std::size_t outputs, std::size_t inputs,
                               bool has_bias) {
  const kernels::Matrix& weight = reader.next(outputs, inputs);
  return weights_.linear(weight, outputs, inputs, has_bias ? table(reader, outputs, 1) : nullptr);
}

void TransformerStep::run(const StepBatch& batch) const {
  thread_local AlignedBuffer scratch;  // reused by the next step
  const std::size_t bytes = kernel_.scratch_floats(model_, batch.rows) * sizeof(float);
  if (scratch.size() * sizeof(AlignedBlock) < bytes) scratch = aligned_buffer(bytes);
  kernel_.step(model_, batch, scratch.data()->values);
}

}  // namespace makemore::transformer
