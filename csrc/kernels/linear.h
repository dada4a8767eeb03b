// Matrix products with weights in panels, in vector code.
//
// For files that are compiled once for each kind of processor: all names are local to each. Every
// sum runs in one order, whatever the number of rows and the place of a row among them, so a row's
// outputs have the same bits in every batch. Only our own code may be called: of an inline function
// that other files use too, the linker may keep the copy compiled here, for instructions that
// another processor lacks.
#pragma once

#include "functions.h"
#include "linear_data.h"
#include "rounded_products.h"
#include "vectors.h"

namespace makemore::kernels {
namespace {

#if defined(__AVX512F__)
#define KERNEL x86_64_v4
#define KERNEL_OF_DOTS x86_64_v4_vnni
constexpr const char *kName = "x86-64-v4", *kNameOfDots = "x86-64-v4-vnni";
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
constexpr std::size_t kWide = 1024;  // from so many outputs on, their memory is prefetched

/// What becomes of the sums of a matrix product: they are stored, added to what is there, or stored
/// after an activation.
enum class Epilogue { kStore, kAdd, kActivate };

template <std::size_t Vectors>
INLINE void activate(Vector (&x)[Vectors], Activation activation) {
  const auto each = [&x](auto function) {
    for (std::size_t v = 0; v < Vectors; ++v) x[v] = function(x[v]);
  };
  switch (activation) {
    case Activation::kGelu:
      return each([](Vector y) { return gelu(y); });
    case Activation::kRelu:
      return each([](Vector y) { return relu(y); });
    case Activation::kSilu:
      return each([](Vector y) { return silu(y); });
    case Activation::kTanh:
      return each([](Vector y) { return tanh(y); });
    case Activation::kGeluTanh:
      return each([](Vector y) { return gelu_tanh(y); });
  }
}

/// The `columns` sums of a row become outputs.
template <std::size_t Vectors>
INLINE void finish(Vector (&sums)[Vectors], float* out, std::size_t columns, Epilogue epilogue,
                   Activation activation) {
  for (std::size_t v = 0; v < Vectors; ++v) {
    if (epilogue == Epilogue::kAdd) sums[v] += load_some(out + v * kLanes, columns - v * kLanes);
  }
  if (epilogue == Epilogue::kActivate) activate(sums, activation);
  if (columns == Vectors * kLanes) {
    for (std::size_t v = 0; v < Vectors; ++v) store(out + v * kLanes, sums[v]);
  } else {
    __builtin_memcpy(out, sums, columns * sizeof(float));
  }
}

/// A block of a matrix product: `Rows` rows by `Vectors` vectors of a panel's outputs, of which the
/// first `columns` exist; or of two panels, both of them whole.
template <class Number, std::size_t Rows, std::size_t Vectors>
void tile(const float* x, std::size_t inputs, const Number* panel, const float* scales,
          const float* bias, float* out, std::size_t stride, std::size_t columns, Epilogue epilogue,
          Activation activation) {
  constexpr bool kScaled = sizeof(Number) == 1;
  Vector sums[Rows][Vectors];
  for (std::size_t row = 0; row < Rows; ++row) {
    for (std::size_t v = 0; v < Vectors; ++v) {
      sums[row][v] = kScaled ? Vector{} : load(bias + v * kLanes);
    }
  }
  for (std::size_t k = 0; k < inputs; ++k) {
    for (std::size_t v = 0; v < Vectors; ++v) {
      constexpr std::size_t kWidth = Vectors < kTileVectors ? Vectors : kTileVectors;
      const std::size_t place = (v / kTileVectors * inputs + k) * kWidth + v % kTileVectors;
      const Vector weight = load(panel + place * kLanes);
      for (std::size_t row = 0; row < Rows; ++row) sums[row][v] += x[row * inputs + k] * weight;
    }
  }
  for (std::size_t row = 0; row < Rows; ++row, out += stride) {
    for (std::size_t v = 0; v < Vectors; ++v) {
      if constexpr (kScaled) {
        sums[row][v] = fused(sums[row][v], load(scales + v * kLanes), load(bias + v * kLanes));
      }
    }
    finish(sums[row], out, columns, epilogue, activation);
  }
}

template <class Number>
using Tile = decltype(&tile<Number, 1, 1>);
#define ROWS(n) {tile<Number, n, 1>, tile<Number, n, 2>, tile<Number, n, 3>, tile<Number, n, 4>}
template <class Number>
constexpr Tile<Number> kTiles[][kTileVectors] = {ROWS(1), ROWS(2), ROWS(3),
                                                 ROWS(4), ROWS(5), ROWS(6)};

template <class Number>
void linear(const Linear& weight, const Number* panels, const float* x, std::size_t rows,
            float* out, Epilogue epilogue, Activation activation) {
  const std::size_t tiles = (rows + kTileRows - 1) / kTileRows;
  for (std::size_t column = 0, columns; column < weight.outputs; column += columns) {
    const std::size_t left = weight.outputs - column;
    const float* scales = sizeof(Number) == 1 ? weight.panels.scales + column : nullptr;
    if (rows == 1 && left >= 2 * kPanel) {  // one panel's sums are too few: each waits for the last
      columns = 2 * kPanel;
      tile<Number, 1, 2 * kTileVectors>(x, weight.inputs, panels + column * weight.inputs, scales,
                                        weight.bias + column, out + column, weight.outputs, columns,
                                        epilogue, activation);
      continue;
    }
    columns = left < kPanel ? left : kPanel;
    const std::size_t vectors = (columns + kLanes - 1) / kLanes;
    for (std::size_t i = 0; i < tiles; ++i) {
      const std::size_t first = i * rows / tiles, end = (i + 1) * rows / tiles;
      for (std::size_t row = first; row < end && weight.outputs >= kWide; ++row) {
        float* line = out + row * weight.outputs + column;
        for (std::size_t j = 0; j < columns; j += 16) __builtin_prefetch(line + j, 1, 3);
      }
      kTiles<Number>[end - first - 1][vectors - 1](
          x + first* weight.inputs, weight.inputs, panels + column* weight.inputs, scales,
          weight.bias + column, out + first* weight.outputs + column, weight.outputs, columns,
          epilogue, activation);
    }
  }
}

#ifdef KERNEL_OF_DOTS
/// A tile over a part of the inputs; `bias` is null where `out` has what those before gave.
template <std::size_t Rows, std::size_t Vectors>
VNNI void rounded_tile(const RoundedRow* x, std::size_t inputs, const std::uint8_t* panel,
                       const float* scales, const float* bias, float* out, std::size_t stride,
                       std::size_t columns, Epilogue epilogue, Activation activation) {
  Vector sums[Rows][Vectors];
  multiply_rounded(x, (inputs + 3) / 4, panel, sums);
  for (std::size_t row = 0; row < Rows; ++row, out += stride) {
    for (std::size_t v = 0; v < Vectors; ++v) {
      const std::size_t at = v * kLanes;
      const Vector start = bias != nullptr ? load(bias + at) : load_some(out + at, columns - at);
      sums[row][v] = fused(sums[row][v], load(scales + at), start);
    }
    finish(sums[row], out, columns, epilogue, activation);
  }
}

#define ROUNDED_ROWS(n) \
  {rounded_tile<n, 1>, rounded_tile<n, 2>, rounded_tile<n, 3>, rounded_tile<n, 4>}
constexpr decltype(&rounded_tile<1, 1>) kRoundedTiles[kRoundedRows][kTileVectors] = {
    ROUNDED_ROWS(1), ROUNDED_ROWS(2), ROUNDED_ROWS(3)};

/// Rows that are rounded together, so that they read weights together.
constexpr std::size_t kRoundedChunk = 8 * kRoundedRows;

/// At most kRoundedChunk rows.
void linear_rounded(const Linear& weight, const float* x, std::size_t rows, float* out,
                    Epilogue epilogue, Activation activation) {
  RoundedRow rounded[kRoundedChunk];
  const std::size_t tiles = (rows + kRoundedRows - 1) / kRoundedRows;
  const std::size_t padded = (weight.inputs + 3) / 4 * 4;
  for (std::size_t k = 0; k < weight.inputs; k += kRoundedInputs) {
    const std::size_t left = weight.inputs - k;
    const std::size_t inputs = left < kRoundedInputs ? left : kRoundedInputs;
    for (std::size_t row = 0; row < rows; ++row) {
      round_inputs(x + row * weight.inputs + k, inputs, rounded[row]);
    }
    const bool is_done = epilogue == Epilogue::kAdd ? k == 0 : inputs == left;
    const Epilogue then = is_done ? epilogue : Epilogue::kStore;
    for (std::size_t column = 0; column < weight.outputs; column += kPanel) {
      const std::size_t after = weight.outputs - column;
      const std::size_t columns = after < kPanel ? after : kPanel;
      const std::size_t vectors = (columns + kLanes - 1) / kLanes;
      for (std::size_t i = 0; i < tiles; ++i) {
        const std::size_t first = i * rows / tiles, end = (i + 1) * rows / tiles;
        kRoundedTiles[end - first - 1][vectors - 1](
            rounded + first, inputs, weight.panels.dots + column * padded + k * vectors * kLanes,
            weight.panels.scales + column, k == 0 ? weight.bias + column : nullptr,
            out + first * weight.outputs + column, weight.outputs, columns, then, activation);
      }
    }
  }
}
#endif

/// From x (rows, inputs) to out (rows, outputs).
void linear(const Linear& weight, const float* x, std::size_t rows, float* out, Epilogue epilogue,
            Activation activation = {}) {
  const Numbers& numbers = weight.panels;
#ifdef KERNEL_OF_DOTS
  for (std::size_t row = 0; row < rows && numbers.dots != nullptr; row += kRoundedChunk) {
    const std::size_t count = rows - row < kRoundedChunk ? rows - row : kRoundedChunk;
    linear_rounded(weight, x + row * weight.inputs, count, out + row * weight.outputs, epilogue,
                   activation);
  }
  if (numbers.dots != nullptr) return;
#endif
  if (numbers.halves != nullptr) {
    return linear(weight, numbers.halves, x, rows, out, epilogue, activation);
  }
  if (numbers.bytes != nullptr) {
    return linear(weight, numbers.bytes, x, rows, out, epilogue, activation);
  }
  linear(weight, numbers.floats, x, rows, out, epilogue, activation);
}

}  // namespace
}  // namespace makemore::kernels
