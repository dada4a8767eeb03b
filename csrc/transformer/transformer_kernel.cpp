// A transformer's step in vector code, compiled once for each kind of processor and named after it.
//
// See linear.h for what holds for its code.
#include "attention.h"
#include "linear.h"
#include "transformer_model.h"
#include "vectors.h"

namespace makemore::transformer {
namespace {

using namespace kernels;

/// LayerNorm of each of x (rows, width).
void normalise(const Norm& norm, float epsilon, const float* x, std::size_t rows, std::size_t width,
               float* out) {
  const std::size_t whole = width / kLanes * kLanes;
  for (; rows > 0; --rows, x += width, out += width) {
    Vector sums{}, squares{};
    for (std::size_t i = 0; i < whole; i += kLanes) sums += load(x + i);
    float mean = sum<kLanes>(sums);
    for (std::size_t i = whole; i < width; ++i) mean += x[i];
    mean /= static_cast<float>(width);
    for (std::size_t i = 0; i < whole; i += kLanes) {
      const Vector apart = load(x + i) - mean;
      squares += apart * apart;
    }
    float variance = sum<kLanes>(squares);
    for (std::size_t i = whole; i < width; ++i) variance += (x[i] - mean) * (x[i] - mean);
    const float scale = 1.0f / __builtin_sqrtf(variance / static_cast<float>(width) + epsilon);
    for (std::size_t i = 0; i < whole; i += kLanes) {
      const Vector scaled = (load(x + i) - mean) * scale;
      store(out + i, scaled * load(norm.weight + i) + load(norm.bias + i));
    }
    for (std::size_t i = whole; i < width; ++i) {
      out[i] = (x[i] - mean) * scale * norm.weight[i] + norm.bias[i];
    }
  }
}

/// Columns of what a layer computes beside x and its norm: queries, keys and values, then the
/// hidden layer of its perceptron.
std::size_t wide_columns(const Model& model) {
  return 3 * model.width > model.mlp_width ? 3 * model.width : model.mlp_width;
}

/// Of a pointer for each position, and whole vectors.
std::size_t entry_floats(const Model& model) {
  return (model.block_size * sizeof(std::byte*) / sizeof(float) + kLanes - 1) / kLanes * kLanes;
}

std::size_t scratch_floats(const Model& model, std::size_t rows) {
  rows = rows < kChunkRows ? rows : kChunkRows;
  return entry_floats(model) + rows * (2 * model.width + wide_columns(model)) +
         4 * model.block_size + kLanes + kPanel;
}

/// The sum of the embeddings of a token and of its position, (C).
void embed(const Model& model, std::size_t token, std::size_t position, float* out) {
  const float* of_token = model.token_embedding + token * model.width;
  const float* of_position = model.position_embedding + position * model.width;
  for (std::size_t i = 0; i < model.width; ++i) out[i] = of_token[i] + of_position[i];
}

/// The queries, keys and values of a layer, from x (rows, C) to out (rows, 3 C).
void project(const Model& model, const Layer& layer, const float* x, std::size_t rows,
             float* normed, float* out) {
  normalise(layer.ln_1, model.epsilon, x, rows, model.width, normed);
  linear(layer.attention, normed, rows, out, Epilogue::kStore);
}

void first_qkv(const Model& model, float* scratch, float* out) {
  const std::size_t rows = model.vocab_size * model.block_size;
  for (std::size_t row = 0; row < rows; ++row) {
    embed(model, row / model.block_size, row % model.block_size, scratch + row * model.width);
  }
  project(model, model.layers[0], scratch, rows, scratch + rows * model.width, out);
}

/// Rows `first` to `first` + `rows` of the batch through all layers.
void forward(const Model& model, const StepBatch& batch, std::size_t first, std::size_t rows,
             float* scratch) {
  const std::size_t width = model.width;
  const std::byte** const entries = reinterpret_cast<const std::byte**>(scratch);
  float* x = scratch + entry_floats(model);  // (rows, C)
  float* normed = x + rows * width;          // (rows, C)
  float* wide = normed + rows * width;
  float* scores = wide + rows * wide_columns(model) + kPanel;
  for (std::size_t row = 0; row < rows; ++row) {
    const auto token = static_cast<std::size_t>(batch.tokens[first + row]);
    const auto position = static_cast<std::size_t>(batch.positions[first + row]);
    embed(model, token, position, x + row * width);
  }
  for (std::size_t i = 0; i < model.layer_count; ++i) {
    const Layer& layer = model.layers[i];
    if (i == 0 && model.first_qkv != nullptr) {
      first_attention(model, batch, first, rows, entries, scores, normed);
    } else {
      project(model, layer, x, rows, normed, wide);
      attention(model, batch, first, rows, wide, i, scores, normed);
    }
    linear(layer.projection, normed, rows, x, Epilogue::kAdd);
    normalise(layer.ln_2, model.epsilon, x, rows, width, normed);
    linear(layer.mlp_up, normed, rows, wide, Epilogue::kActivate, model.activation);
    linear(layer.mlp_down, wide, rows, x, Epilogue::kAdd);
  }
  normalise(model.ln, model.epsilon, x, rows, width, normed);
  linear(model.head, normed, rows, batch.logits + first * model.vocab_size, Epilogue::kStore);
}

void step(const Model& model, const StepBatch& batch, float* scratch) {
  const std::size_t chunks = (batch.rows + kChunkRows - 1) / kChunkRows;
  for (std::size_t i = 0; i < chunks; ++i) {
    const std::size_t first = i * batch.rows / chunks, end = (i + 1) * batch.rows / chunks;
    forward(model, batch, first, end - first, scratch);
  }
}

constexpr Kernel kernel(const char* name, bool dots) {
  return {name, {kLanes, kPanel, dots}, scratch_floats, step, first_qkv};
}

}  // namespace

extern const Kernel KERNEL;
constinit const Kernel KERNEL = kernel(kName, false);
#ifdef KERNEL_OF_DOTS
extern const Kernel KERNEL_OF_DOTS;
constinit const Kernel KERNEL_OF_DOTS = kernel(kNameOfDots, true);
#endif

}  // namespace makemore::transformer
