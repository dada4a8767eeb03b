#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "aligned_buffer.h"
#include "linear_data.h"
#include "parameters.h"

namespace makemore::kernels {

/// The weights of a model in the form that a kernel reads, and their memory.
class PackedWeights {
 public:
  /// `lanes`: floats of a vector; `panel`: outputs of a panel; `halves`: matrices in float16,
  /// but those in int8.
  PackedWeights(std::size_t lanes, std::size_t panel, bool halves)
      : lanes_(lanes), panel_(panel), halves_(halves) {}

  std::size_t lanes() const { return lanes_; }

  /// Zeros.
  float* allocate(std::size_t floats);

  const float* copy(std::span<const float> values);

  /// A copy of the numbers of a matrix, as they are to lie in memory; `scales`: of the outputs, for
  /// numbers that are int8, else none.
  Numbers matrix(std::span<const float> values, std::span<const float> scales);

  /// From a weight (outputs, inputs) and a bias (outputs), or null for zeros.
  Linear linear(const Matrix& weight, std::size_t outputs, std::size_t inputs, const float* bias);

 private:
  std::size_t lanes_, panel_;
  bool halves_;
  std::vector<AlignedBuffer> memory_;
};

}  // namespace makemore::kernels
