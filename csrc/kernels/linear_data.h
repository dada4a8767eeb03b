#pragma once

#include <cstddef>
#include <cstdint>

// The data that the vector kernels read and write. They are compiled for processors that the rest
// of the program may not run on, so nothing here may have code that the linker could share with
// them.
namespace makemore::kernels {

/// The numbers of a matrix in float32, in float16, or in int8 with a scale for each output, so that
/// a step reads half the bytes, or a quarter: two of the three are null.
struct Numbers {
  const float* floats;
  const std::uint16_t* halves;
  const std::int8_t* bytes;
  const float* scales;  // of the outputs, in the order of their sums; null but for `bytes`
};

/// x @ weight.T + bias. The weight is stored in panels of a kernel's `panel` outputs, (outputs /
/// panel, inputs, panel); the last panel is narrower, padded with zeros to whole vectors.
struct Linear {
  Numbers panels;
  const float* bias;
  std::size_t inputs, outputs;
};

/// What becomes of the outputs of a hidden layer.
enum class Activation { kGeluTanh, kGelu, kRelu, kSilu, kTanh };

/// Rows that pass all layers together, to stay in the cache.
inline constexpr std::size_t kChunkRows = 96;

}  // namespace makemore::kernels
