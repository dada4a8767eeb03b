#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "aligned_buffer.h"
#include "linear_data.h"

namespace makemore::kernels {

/// The weights of a model in the form that a kernel reads, and their memory.
class PackedWeights {
 public:
  /// `lanes`: floats of a vector; `panel`: outputs of a panel.
  PackedWeights(std::size_t lanes, std::size_t panel) : lanes_(lanes), panel_(panel) {}

  std::size_t lanes() const { return lanes_; }

  /// Zeros.
  float* allocate(std::size_t floats);

  const float* copy(std::span<const float> values);

  /// From a weight (outputs, inputs), row by row, and a bias (outputs), or null for zeros.
  Linear linear(const float* weight, std::size_t outputs, std::size_t inputs, const float* bias);

 private:
  std::size_t lanes_, panel_;
  std::vector<AlignedBuffer> memory_;
};

}  // namespace makemore::kernels
