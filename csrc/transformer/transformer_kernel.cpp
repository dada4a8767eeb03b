// A transformer's step in vector code, compiled once for each kind of processor and named after it.
//
// Every sum runs in one order, whatever the number of rows and the place of a row among them, so a
// row's logits have the same bits in every batch. Only our own code is called: of an inline
// function that other files use too, the linker may keep the copy compiled here, for instructions
// that another processor lacks.
#include "attention.h"
#include "transformer_model.h"
#include "vectors.h"

namespace makemore::transformer {
namespace {

#if defined(__AVX512F__)
#define KERNEL x86_64_v4
constexpr const char* kName = "x86-64-v4";
#elif defined(__AVX2__)
#define KERNEL x86_64_v3
constexpr const char* kName = "x86-64-v3";
#else
#define KERNEL neon
constexpr const char* kName = "neon";
#endif
constexpr std::size_t kTileRows = kLanes == 8 ? 3 : 6;  // AVX2 has only 16 registers
constexpr std::size_t kTileVectors = 4;
constexpr std::size_t kPanel = kTileVectors * kLanes;
constexpr std::size_t kChunkRows = 96;  // rows that pass all layers together, to stay in the cache
constexpr std::size_t kWide = 1024;     // from so many outputs on, their memory is prefetched

/// What becomes of the sums of a matrix product: they are stored, added to what is there, or stored
/// after an activation.
enum class Epilogue { kStore, kAdd, kActivate };

INLINE Vector activated(Vector x, Activation activation) {
  switch (activation) {
    case Activation::kGelu:
      return gelu(x);
    case Activation::kRelu:
      return relu(x);
    case Activation::kSilu:
      return silu(x);
    case Activation::kTanh:
      return tanh(x);
    case Activation::kGeluTanh:
      break;
  }
  return gelu_tanh(x);
}

/// A block of a matrix product: `Rows` rows by `Vectors` vectors of a panel's outputs, of which the
/// first `columns` exist.
template <std::size_t Rows, std::size_t Vectors>
void tile(const float* x, std::size_t inputs, const float* panel, const float* bias, float* out,
          std::size_t stride, std::size_t columns, Epilogue epilogue, Activation activation) {
  Vector sums[Rows][Vectors];
  for (std::size_t row = 0; row < Rows; ++row) {
    for (std::size_t v = 0; v < Vectors; ++v) sums[row][v] = load(bias + v * kLanes);
  }
  for (std::size_t k = 0; k < inputs; ++k) {
    for (std::size_t v = 0; v < Vectors; ++v) {
      const Vector weight = load(panel + (k * Vectors + v) * kLanes);
      for (std::size_t row = 0; row < Rows; ++row) sums[row][v] += x[row * inputs + k] * weight;
    }
  }
  for (std::size_t row = 0; row < Rows; ++row, out += stride) {
    for (std::size_t v = 0; v < Vectors; ++v) {
      if (epilogue == Epilogue::kAdd) sums[row][v] += load(out + v * kLanes);
      if (epilogue == Epilogue::kActivate) sums[row][v] = activated(sums[row][v], activation);
    }
    if (columns == Vectors * kLanes) {
      for (std::size_t v = 0; v < Vectors; ++v) store(out + v * kLanes, sums[row][v]);
    } else {
      __builtin_memcpy(out, sums[row], columns * sizeof(float));
    }
  }
}

using Tile = decltype(&tile<1, 1>);
#define ROWS(n) {tile<n, 1>, tile<n, 2>, tile<n, 3>, tile<n, 4>}
constexpr Tile kTiles[][kTileVectors] = {ROWS(1), ROWS(2), ROWS(3), ROWS(4), ROWS(5), ROWS(6)};

/// From x (rows, inputs) to out (rows, outputs).
void linear(const Linear& weight, const float* x, std::size_t rows, float* out, Epilogue epilogue,
            Activation activation = {}) {
  const std::size_t tiles = (rows + kTileRows - 1) / kTileRows;
  for (std::size_t column = 0; column < weight.outputs; column += kPanel) {
    const std::size_t left = weight.outputs - column;
    const std::size_t columns = left < kPanel ? left : kPanel;
    const std::size_t vectors = (columns + kLanes - 1) / kLanes;
    for (std::size_t i = 0; i < tiles; ++i) {
      const std::size_t first = i * rows / tiles, end = (i + 1) * rows / tiles;
      for (std::size_t row = first; row < end && weight.outputs >= kWide; ++row) {
        float* line = out + row * weight.outputs + column;
        for (std::size_t j = 0; j < columns; j += 16) __builtin_prefetch(line + j, 1, 3);
      }
      kTiles[end - first - 1][vectors - 1](
          x + first * weight.inputs, weight.inputs, weight.panels + column * weight.inputs,
          weight.bias + column, out + first * weight.outputs + column, weight.outputs, columns,
          epilogue, activation);
    }
  }
}

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

std::size_t scratch_floats(const Model& model, std::size_t rows) {
  rows = rows < kChunkRows ? rows : kChunkRows;
  return rows * (2 * model.width + wide_columns(model)) +
         model.heads * (model.block_size + kLanes) + kPanel;
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
  const std::int64_t* positions = batch.positions + first;
  float* x = scratch;                // (rows, C)
  float* normed = x + rows * width;  // (rows, C)
  float* wide = normed + rows * width;
  float* scores = wide + rows * wide_columns(model) + kPanel;
  for (std::size_t row = 0; row < rows; ++row) {
    const auto token = static_cast<std::size_t>(batch.tokens[first + row]);
    const auto position = static_cast<std::size_t>(positions[row]);
    embed(model, token, position, x + row * width);
    if (model.first_qkv == nullptr) continue;
    __builtin_memcpy(wide + row * 3 * width,
                     model.first_qkv + (token * model.block_size + position) * 3 * width,
                     3 * width * sizeof(float));
  }
  for (std::size_t i = 0; i < model.layer_count; ++i) {
    const Layer& layer = model.layers[i];
    if (i > 0 || model.first_qkv == nullptr) project(model, layer, x, rows, normed, wide);
    attention(model, wide, positions, rows, batch.pages + first * model.block_size,
              batch.written + first, 2 * i * width, scores, normed);
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

}  // namespace

extern const Kernel KERNEL;
constinit const Kernel KERNEL{kName, kLanes, kPanel, scratch_floats, step, first_qkv};

}  // namespace makemore::transformer
