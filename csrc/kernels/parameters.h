#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "aligned_buffer.h"

namespace makemore::kernels {

/// A constant of the file, row by row: int32, or float32, which may have been float16 there. Where
/// it has `scales`, it is int8 there, and each row is that times its scale.
struct Parameter {
  bool is_integer = false, was_half = false;
  std::vector<std::size_t> shape;
  AlignedBuffer data;
  std::vector<float> scales = {};
};

/// A weight (outputs, inputs), row by row, and what each row is to be multiplied by: null for 1.
struct Matrix {
  const float *values, *scales;
};

/// About the bytes that a component keeps of a parameter of a shape: its numbers as float32, of a
/// matrix with `padding` floats more in each row or column. Nothing where no memory holds it.
std::optional<std::size_t> kept_bytes(const std::vector<std::size_t>& shape, std::size_t padding);

/// The parameters of a function, one after the other. None may be empty, so that each size counts
/// numbers that are in memory, and a small multiple of it fits.
class Parameters {
 public:
  /// Throws ArtifactError where one is empty.
  explicit Parameters(std::span<const Parameter> parameters);

  /// All of them, those that were taken too.
  std::size_t count() const { return parameters_.size(); }

  /// Whether all that are not integers were float16.
  bool were_halves() const;

  /// The shape of any of them; throws ArtifactError unless it has that many axes.
  const std::vector<std::size_t>& shape(std::size_t index, std::size_t axes) const;

  /// Takes the next one. Throws ArtifactError unless it has that type and shape.
  std::span<const float> floats(const std::vector<std::size_t>& shape);
  Matrix matrix(std::size_t outputs, std::size_t inputs);

  /// Takes the next one, of integers from 0 to below `end`.
  std::span<const std::int32_t> indices(const std::vector<std::size_t>& shape, std::size_t end);

 private:
  const Parameter& take(bool is_integer, const std::vector<std::size_t>& shape);

  std::span<const Parameter> parameters_;
  std::size_t next_ = 0;
};

}  // namespace makemore::kernels
