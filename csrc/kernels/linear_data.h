#pragma once

#include <cstddef>
#include <cstdint>

// The data that the vector kernels read and write. They are compiled for processors that the rest
// of the program may not run on, so nothing here may have code that the linker could share with
// them.
namespace makemore::kernels {

/// Numbers in float32, or in float16 so that a step reads half the bytes: one of the two is null.
struct Numbers {
  const float* floats;
  const std::uint16_t* halves;
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
