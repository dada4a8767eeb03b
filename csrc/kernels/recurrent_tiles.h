// Tiles of recurrent cells in vector code, a few rows by the units of a block: see linear.h for
// what holds for it.
#pragma once

#include "family_data.h"
#include "functions.h"
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
  RoundedRow* rounded;         // memory for a tile of rounded inputs and hidden units
};

/// What `Rows` rows of x (rows, inputs) add to the sums of some blocks; `Last` is the sum that a
/// GRU's third vector of weights adds to.
template <Cell kind, std::size_t Last, std::size_t Blocks, std::size_t Rows, std::size_t Sums,
          class Number>
INLINE void add_products(const float* x, std::size_t inputs, const Number* weights,
                         Vector (&sums)[Blocks][Rows][Sums]) {
  constexpr std::size_t kVectors = kind == Cell::kGru ? 3 : 4;
  const std::size_t of_block = inputs * kVectors * kLanes;
  for (std::size_t k = 0; k < inputs; ++k, weights += kVectors * kLanes) {
    for (std::size_t block = 0; block < Blocks; ++block) {
      for (std::size_t v = 0; v < kVectors; ++v) {
        const Vector weight = load(weights + block * of_block + v * kLanes);
        const std::size_t to = kind == Cell::kGru && v == 2 ? Last : v;
        for (std::size_t row = 0; row < Rows; ++row)
          sums[block][row][to] = fused(splat(x[row * inputs + k]), weight, sums[block][row][to]);
      }
    }
  }
}

/// Adds the products with int8 times the scales of a block.
template <Cell kind, std::size_t Last, std::size_t Rows, std::size_t kVectors>
INLINE void add_scaled(const Numbers& weights, std::size_t block,
                       const Vector (&products)[Rows][kVectors], Vector (&sums)[Rows][4]) {
  for (std::size_t v = 0; v < kVectors; ++v) {
    const Vector scale = load(weights.scales + (block * kVectors + v) * kLanes);
    const std::size_t to = kind == Cell::kGru && v == 2 ? Last : v;
    for (std::size_t row = 0; row < Rows; ++row)
      sums[row][to] = fused(scale, products[row][v], sums[row][to]);
  }
}

/// The same of a layer's weights of the blocks from `block` on.
template <Cell kind, std::size_t Last, std::size_t Blocks, std::size_t Rows>
INLINE void add_blocks(const float* x, std::size_t inputs, const Numbers& weights,
                       std::size_t block, Vector (&sums)[Blocks][Rows][4]) {
  constexpr std::size_t kVectors = kind == Cell::kGru ? 3 : 4;
  const std::size_t first = block * inputs * kVectors * kLanes;
  if (weights.halves != nullptr) {
    add_products<kind, Last>(x, inputs, weights.halves + first, sums);
  } else if (weights.bytes != nullptr) {
    Vector products[Blocks][Rows][kVectors]{};
    add_products<kind, 2>(x, inputs, weights.bytes + first, products);
    for (std::size_t i = 0; i < Blocks; ++i)
      add_scaled<kind, Last>(weights, block + i, products[i], sums[i]);
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
    const Vector cell = fused(sigmoid(sums[1]), load_some(before + hidden, count),
                              sigmoid(sums[0]) * tanh(sums[2]));
    store_some(after + hidden, cell, count);
    value = sigmoid(sums[3]) * tanh(cell);
  } else {
    const Vector reset = sigmoid(sums[0]), update = sigmoid(sums[1]);
    const Vector fresh = tanh(fused(reset, sums[3], sums[2]));
    value = fused(update, load_some(before, count) - fresh, fresh);
  }
  store_some(after, value, count);
  store_some(out, value, count);
}

template <std::size_t Rows>
INLINE void start_sums(const CellRows& rows, std::size_t block, Vector (&sums)[Rows][4]) {
  for (std::size_t row = 0; row < Rows; ++row) {
    const float* start = rows.start[row] + block * 4 * kLanes;
    for (std::size_t v = 0; v < 4; ++v) sums[row][v] = load(start + v * kLanes);
  }
}

template <Cell kind, std::size_t Rows>
INLINE void finish_block(const Vector (&sums)[Rows][4], std::size_t hidden, std::size_t block,
                         const CellRows& rows) {
  constexpr std::size_t kUnits = kind == Cell::kRnn ? 4 * kLanes : kLanes;
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

/// `Rows` rows by `Blocks` blocks of units, from `block` on.
template <Cell kind, std::size_t Rows, std::size_t Blocks = 1>
void cell_tile(const RecurrentLayer& layer, std::size_t hidden, std::size_t block,
               const CellRows& rows) {
  Vector sums[Blocks][Rows][4];
  for (std::size_t i = 0; i < Blocks; ++i) start_sums(rows, block + i, sums[i]);
  add_blocks<kind, 2>(rows.x, layer.inputs, layer.from_input, block, sums);
  add_blocks<kind, 3>(rows.hidden, hidden, layer.from_hidden, block, sums);
  for (std::size_t i = 0; i < Blocks; ++i) finish_block<kind>(sums[i], hidden, block + i, rows);
}

/// The rows from row `first` on.
INLINE CellRows rows_from(const CellRows& rows, std::size_t first, std::size_t inputs,
                          std::size_t hidden) {
  return {rows.start + first,  rows.x + first * inputs, rows.hidden + first * hidden,
          rows.before + first, rows.after + first,      rows.out + first * hidden,
          rows.rounded};
}

#ifdef KERNEL_OF_DOTS
/// Rounds x (Rows, inputs) to (inputs / kRoundedInputs, Rows), and returns what lies behind.
RoundedRow* round_rows(const float* x, std::size_t rows, std::size_t inputs, RoundedRow* rounded) {
  for (std::size_t k = 0; k < inputs; k += kRoundedInputs) {
    const std::size_t left = inputs - k, count = left < kRoundedInputs ? left : kRoundedInputs;
    for (std::size_t row = 0; row < rows; ++row)
      round_inputs(x + row * inputs + k, count, *rounded++);
  }
  return rounded;
}

/// `add_block` of rounded inputs.
template <Cell kind, std::size_t Last, std::size_t Rows>
VNNI INLINE void add_rounded_block(const RoundedRow* x, std::size_t inputs, const Numbers& weights,
                                   std::size_t block, Vector (&sums)[Rows][4]) {
  constexpr std::size_t kVectors = kind == Cell::kGru ? 3 : 4;
  const std::size_t padded = (inputs + 3) / 4 * 4;
  const std::uint8_t* numbers = weights.dots + block * padded * kVectors * kLanes;
  for (std::size_t k = 0; k < inputs; k += kRoundedInputs, x += Rows) {
    const std::size_t left = padded - k, count = left < kRoundedInputs ? left : kRoundedInputs;
    Vector products[Rows][kVectors];
    multiply_rounded(x, count / 4, numbers + k * kVectors * kLanes, products);
    add_scaled<kind, Last>(weights, block, products, sums);
  }
}

/// `Rows` rows by all blocks of units, whose inputs and hidden units are rounded once.
template <Cell kind, std::size_t Rows>
VNNI void rounded_cell_tiles(const RecurrentLayer& layer, std::size_t hidden, std::size_t blocks,
                             const CellRows& rows) {
  RoundedRow* of_hidden = round_rows(rows.x, Rows, layer.inputs, rows.rounded);
  round_rows(rows.hidden, Rows, hidden, of_hidden);
  for (std::size_t block = 0; block < blocks; ++block) {
    Vector sums[Rows][4];
    start_sums(rows, block, sums);
    if (layer.inputs > 0) {
      add_rounded_block<kind, 2>(rows.rounded, layer.inputs, layer.from_input, block, sums);
    }
    add_rounded_block<kind, 3>(of_hidden, hidden, layer.from_hidden, block, sums);
    finish_block<kind>(sums, hidden, block, rows);
  }
}
#endif

}  // namespace
}  // namespace makemore::kernels
