// Recurrent cells in vector code: see linear.h for what holds for it.
#pragma once

#include "family_data.h"
#include "linear.h"

namespace makemore::kernels {
namespace {

/// Memory tensors of a layer: its output, and what else it keeps.
constexpr std::size_t memories(Cell cell) { return cell == Cell::kLstm ? 2 : 1; }

/// Rows of a layer's step.
struct CellRows {
  const float* const* start;   // (B,) of each row's token
  const float* x;              // (B, inputs)
  const float* hidden;         // (B, H)
  const float* const* before;  // (B,) the layer's memory: hidden, cell
  float* const* after;         // (B,)
  float* out;                  // (B, H) the hidden units once more
};

/// What `Rows` rows of x (rows, inputs) add to the sums of a block; `Last` is the sum that a GRU's
/// third vector of weights adds to.
template <Cell kind, std::size_t Last, std::size_t Rows, class Number>
INLINE void add_products(const float* x, std::size_t inputs, const Number* weights,
                         Vector (&sums)[Rows][4]) {
  constexpr std::size_t kVectors = kind == Cell::kGru ? 3 : 4;
  for (std::size_t k = 0; k < inputs; ++k, weights += kVectors * kLanes) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      const Vector weight = load(weights + v * kLanes);
      const std::size_t to = kind == Cell::kGru && v == 2 ? Last : v;
      for (std::size_t row = 0; row < Rows; ++row) sums[row][to] += x[row * inputs + k] * weight;
    }
  }
}

/// The same of a block's weights of a layer.
template <Cell kind, std::size_t Last, std::size_t Rows>
INLINE void add_block(const float* x, std::size_t inputs, const Numbers& weights, std::size_t block,
                      Vector (&sums)[Rows][4]) {
  constexpr std::size_t kVectors = kind == Cell::kGru ? 3 : 4;
  const std::size_t first = block * inputs * kVectors * kLanes;
  if (weights.halves != nullptr) {
    add_products<kind, Last>(x, inputs, weights.halves + first, sums);
  } else if (weights.bytes != nullptr) {
    Vector products[Rows][4]{};
    add_products<kind, Last>(x, inputs, weights.bytes + first, products);
    for (std::size_t v = 0; v < kVectors; ++v) {
      const Vector scale = load(weights.scales + (block * kVectors + v) * kLanes);
      const std::size_t to = kind == Cell::kGru && v == 2 ? Last : v;
      for (std::size_t row = 0; row < Rows; ++row) sums[row][to] += scale * products[row][to];
    }
  } else {
    add_products<kind, Last>(x, inputs, weights.floats + first, sums);
  }
}

/// One row's new memory of the units of a block, of which `count` exist, from its sums.
template <Cell kind>
INLINE void finish_cell(const Vector (&sums)[4], std::size_t hidden, const float* before,
                        float* after, float* out, std::size_t count) {
  Vector value;
  if constexpr (kind == Cell::kLstm) {
    const Vector cell =
        sigmoid(sums[1]) * load_some(before + hidden, count) + sigmoid(sums[0]) * tanh(sums[2]);
    store_some(after + hidden, cell, count);
    value = sigmoid(sums[3]) * tanh(cell);
  } else {
    const Vector reset = sigmoid(sums[0]), update = sigmoid(sums[1]);
    const Vector fresh = tanh(sums[2] + reset * sums[3]);
    value = fresh + update * (load_some(before, count) - fresh);
  }
  store_some(after, value, count);
  store_some(out, value, count);
}

/// `Rows` rows by one block of units.
template <Cell kind, std::size_t Rows>
void cell_tile(const RecurrentLayer& layer, std::size_t hidden, std::size_t block,
               const CellRows& rows) {
  constexpr std::size_t kUnits = kind == Cell::kRnn ? 4 * kLanes : kLanes;
  Vector sums[Rows][4];
  for (std::size_t row = 0; row < Rows; ++row) {
    const float* start = rows.start[row] + block * 4 * kLanes;
    for (std::size_t v = 0; v < 4; ++v) sums[row][v] = load(start + v * kLanes);
  }
  add_block<kind, 2>(rows.x, layer.inputs, layer.from_input, block, sums);
  add_block<kind, 3>(rows.hidden, hidden, layer.from_hidden, block, sums);
  const std::size_t unit = block * kUnits, left = hidden - unit;
  for (std::size_t row = 0; row < Rows; ++row) {
    float *after = rows.after[row] + unit, *out = rows.out + row * hidden + unit;
    if constexpr (kind == Cell::kRnn) {
      for (std::size_t v = 0; v < 4 && v * kLanes < left; ++v) {
        const Vector value = tanh(sums[row][v]);
        store_some(after + v * kLanes, value, left - v * kLanes);
        store_some(out + v * kLanes, value, left - v * kLanes);
      }
    } else {
      finish_cell<kind>(sums[row], hidden, rows.before[row] + unit, after, out, left);
    }
  }
}

/// All units of a layer for `count` rows.
template <Cell kind>
void cells(const RecurrentLayer& layer, std::size_t hidden, std::size_t count,
           const CellRows& rows) {
  using Tile = decltype(&cell_tile<kind, 1>);
  constexpr Tile kTiles[] = {cell_tile<kind, 1>, cell_tile<kind, 2>, cell_tile<kind, 3>,
                             cell_tile<kind, 4>, cell_tile<kind, 5>, cell_tile<kind, 6>};
  constexpr std::size_t kUnits = kind == Cell::kRnn ? 4 * kLanes : kLanes;
  const std::size_t tiles = (count + kTileRows - 1) / kTileRows;
  for (std::size_t block = 0; block * kUnits < hidden; ++block) {
    for (std::size_t i = 0; i < tiles; ++i) {
      const std::size_t first = i * count / tiles, end = (i + 1) * count / tiles;
      kTiles[end - first - 1](
          layer, hidden, block,
          {rows.start + first, rows.x + first * layer.inputs, rows.hidden + first * hidden,
           rows.before + first, rows.after + first, rows.out + first * hidden});
    }
  }
}

void cells(const Recurrent& model, const RecurrentLayer& layer, std::size_t count,
           const CellRows& rows) {
  switch (model.cell) {
    case Cell::kRnn:
      return cells<Cell::kRnn>(layer, model.hidden, count, rows);
    case Cell::kLstm:
      return cells<Cell::kLstm>(layer, model.hidden, count, rows);
    case Cell::kGru:
      return cells<Cell::kGru>(layer, model.hidden, count, rows);
  }
}

/// Floats of `start` for a token.
std::size_t start_floats(const Recurrent& model) {
  const std::size_t units = model.cell == Cell::kRnn ? 4 * kLanes : kLanes;
  return (model.hidden + units - 1) / units * 4 * kLanes;
}

/// Rows `first` to `first` + `count` of the batch, at most kChunkRows, through all layers. scratch
/// is (count, inputs of the first layer + 3 H).
void recurrent_chunk(const Recurrent& model, const RowBatch& batch, std::size_t first,
                     std::size_t count, float* scratch) {
  const float *start[kChunkRows], *before[kChunkRows];
  float* after[kChunkRows];
  const std::size_t hidden = model.hidden, inputs = model.layers[0].inputs;
  float *x = scratch, *old = x + count * inputs, *out = old + count * hidden;
  float* next = out + count * hidden;
  for (std::size_t row = 0; row < count && model.embedding != nullptr; ++row) {
    const auto token = static_cast<std::size_t>(batch.tokens[first + row]);
    __builtin_memcpy(x + row * inputs, model.embedding + token * inputs, inputs * sizeof(float));
  }
  for (std::size_t i = 0; i < model.layer_count; ++i) {
    const RecurrentLayer& layer = model.layers[i];
    const bool of_tokens = i == 0 && model.embedding == nullptr;
    const std::size_t offset = i * memories(model.cell) * hidden;
    for (std::size_t row = 0; row < count; ++row) {
      const auto token = static_cast<std::size_t>(batch.tokens[first + row]);
      start[row] = layer.start + (of_tokens ? token * start_floats(model) : 0);
      before[row] =
          reinterpret_cast<const float*>(batch.before[first + row] + batch.offset) + offset;
      after[row] = reinterpret_cast<float*>(batch.after[first + row] + batch.offset) + offset;
      __builtin_memcpy(old + row * hidden, before[row], hidden * sizeof(float));
    }
    cells(model, layer, count, {start, x, old, before, after, out});
    x = out;
    out = next;
    next = x;
  }
  linear(model.head, x, count, batch.logits + first * model.vocab_size, Epilogue::kStore);
}

}  // namespace
}  // namespace makemore::kernels
