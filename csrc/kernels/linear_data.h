#pragma once

#include <cstddef>
#include <cstdint>

// The data that the vector kernels read and write. They are compiled for processors that the rest
// of the program may not run on, so nothing here may have code that the linker could share with
// them.
namespace makemore::kernels {

/// The numbers of a matrix in float32, in float16, or in int8 with a scale for each output, so that
/// a step reads half the bytes, or a quarter: all but one are null. A kernel that rounds inputs
/// takes int8 as `dots`: each is higher than it is by kByteOffset, and those of four inputs, the
/// last ones padded, lie side by side for an output.
struct Numbers {
  const float* floats = nullptr;
  const std::uint16_t* halves = nullptr;
  const std::int8_t* bytes = nullptr;
  const std::uint8_t* dots = nullptr;
  const float* scales = nullptr;  // of the outputs of int8, in the order of their sums
};

inline constexpr std::int32_t kByteOffset = 128;

/// x @ weight.T + bias. The weight is stored in panels of Packing::panel outputs, (outputs /
/// panel, inputs, panel); the last panel is narrower, padded with zeros to whole vectors.
struct Linear {
  Numbers panels;
  const float* bias;
  std::size_t inputs, outputs;
};

/// What becomes of the outputs of a hidden layer.
enum class Activation { kGeluTanh, kGelu, kRelu, kSilu, kTanh };

/// Inputs of a row that are rounded with one scale, and rows of a tile of them.
inline constexpr std::size_t kRoundedInputs = 512, kRoundedRows = 3;

/// Inputs of a row, at most kRoundedInputs: scale * (256 high + low), then zeros to a multiple of
/// four.
struct RoundedRow {
  std::int8_t high[kRoundedInputs], low[kRoundedInputs];
  std::int32_t sum;  // of the whole numbers
  float scale;
};

/// How a kernel takes weights.
struct Packing {
  std::size_t lanes;  // floats of a vector: what the memory of a model and of scratch is aligned to
  std::size_t panel;  // outputs of a panel
  bool dots;          // int8 as Numbers::dots
};

/// Rows that pass all layers together, to stay in the cache.
inline constexpr std::size_t kChunkRows = 96;

}  // namespace makemore::kernels
