#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "aligned_buffer.h"
#include "linear_data.h"
#include "parameters.h"

namespace makemore::kernels {

/// The weights of a model in the form that a kernel reads, and their memory.
class PackedWeights {
 public:
  /// `halves`: matrices in float16, but those in int8.
  PackedWeights(const Packing& packing, bool halves) : packing_(packing), halves_(halves) {}

  /// Zeros.
  float* allocate(std::size_t floats);

  const float* copy(std::span<const float> values);

  /// A copy of the numbers of a matrix in blocks (inputs, width), of which the last may be
  /// narrower; `scales`: of the outputs, for numbers that are int8, else none.
  Numbers matrix(std::span<const float> values, std::size_t inputs, std::size_t width,
                 std::span<const float> scales);

  /// Numbers of all matrices, which a step of a row multiplies by and adds up.
  std::size_t multiply_adds() const { return multiply_adds_; }

  /// From a weight (outputs, inputs) and a bias (outputs), or null for zeros.
  Linear linear(const Matrix& weight, std::size_t outputs, std::size_t inputs, const float* bias);

 private:
  const std::uint8_t* dots(std::span<const float> values, std::size_t inputs, std::size_t width);

  Packing packing_;
  bool halves_;
  std::size_t multiply_adds_ = 0;
  std::vector<AlignedBuffer> memory_;
};

}  // namespace makemore::kernels
