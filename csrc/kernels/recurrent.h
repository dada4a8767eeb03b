// Recurrent networks in vector code: see linear.h for what holds for it.
#pragma once

#include "family_data.h"
#include "linear.h"
#include "recurrent_tiles.h"

namespace makemore::kernels {
namespace {

/// All units of a layer for `count` rows.
template <Cell kind>
void cells(const RecurrentLayer& layer, std::size_t hidden, std::size_t count,
           const CellRows& rows) {
  using Tile = decltype(&cell_tile<kind, 1>);
  constexpr Tile kTiles[] = {cell_tile<kind, 1>, cell_tile<kind, 2>, cell_tile<kind, 3>,
                             cell_tile<kind, 4>, cell_tile<kind, 5>, cell_tile<kind, 6>};
  constexpr std::size_t kUnits = kind == Cell::kRnn ? 4 * kLanes : kLanes;
  const std::size_t blocks = (hidden + kUnits - 1) / kUnits;
#ifdef KERNEL_OF_DOTS
  if (layer.from_hidden.dots != nullptr) {
    constexpr Tile kRoundedTiles[] = {rounded_cell_tiles<kind, 1>, rounded_cell_tiles<kind, 2>,
                                      rounded_cell_tiles<kind, 3>};
    const std::size_t tiles = (count + kRoundedRows - 1) / kRoundedRows;
    for (std::size_t i = 0; i < tiles; ++i) {
      const std::size_t first = i * count / tiles, end = (i + 1) * count / tiles;
      kRoundedTiles[end - first - 1](layer, hidden, blocks,
                                     rows_from(rows, first, layer.inputs, hidden));
    }
    return;
  }
#endif
  const std::size_t tiles = (count + kTileRows - 1) / kTileRows;
  for (std::size_t block = 0, together; block < blocks; block += together) {
    together = count == 1 && block + 1 < blocks ? 2 : 1;
    if (together == 2) {  // one block's sums are too few: each waits for the last
      cell_tile<kind, 1, 2>(layer, hidden, block, rows);
      continue;
    }
    for (std::size_t i = 0; i < tiles; ++i) {
      const std::size_t first = i * count / tiles, end = (i + 1) * count / tiles;
      kTiles[end - first - 1](layer, hidden, block, rows_from(rows, first, layer.inputs, hidden));
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
/// is (count, inputs of the first layer + 3 H), and a tile of rounded rows.
void recurrent_chunk(const Recurrent& model, const RowBatch& batch, std::size_t first,
                     std::size_t count, float* scratch) {
  const float *start[kChunkRows], *before[kChunkRows];
  float* after[kChunkRows];
  const std::size_t hidden = model.hidden, inputs = model.layers[0].inputs;
  float *x = scratch, *old = x + count * inputs, *out = old + count * hidden;
  float* next = out + count * hidden;
  auto* rounded = reinterpret_cast<RoundedRow*>(next + count * hidden);
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
    cells(model, layer, count, {start, x, old, before, after, out, rounded});
    x = out;
    out = next;
    next = x;
  }
  linear(model.head, x, count, batch.logits + first * model.vocab_size, Epilogue::kStore);
}

}  // namespace
}  // namespace makemore::kernels
