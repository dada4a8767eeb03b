#include "packed_weights.h"

#include <algorithm>

#include "half.h"

namespace makemore::kernels {

float* PackedWeights::allocate(std::size_t floats) {
  memory_.push_back(aligned_buffer(floats * sizeof(float)));
  return memory_.back().front().values;
}

const float* PackedWeights::copy(std::span<const float> values) {
  float* copied = allocate(values.size());
  std::ranges::copy(values, copied);
  return copied;
}

/// From blocks (inputs, width) to blocks (inputs / 4, width, 4).
const std::uint8_t* PackedWeights::dots(std::span<const float> values, std::size_t inputs,
                                        std::size_t width) {
  const std::size_t padded = (inputs + 3) / 4 * 4, outputs = values.size() / inputs;
  memory_.push_back(aligned_buffer(outputs * padded));
  auto* packed = reinterpret_cast<std::uint8_t*>(memory_.back().data());
  for (std::size_t first = 0; first < outputs; first += width) {
    const std::size_t columns = std::min(width, outputs - first);
    for (std::size_t i = 0; i < inputs * columns; ++i) {
      const std::size_t k = i / columns, column = i % columns;
      packed[first * padded + (k / 4 * columns + column) * 4 + k % 4] = static_cast<std::uint8_t>(
          static_cast<std::int32_t>(values[first * inputs + i]) + kByteOffset);
    }
  }
  return packed;
}

Numbers PackedWeights::matrix(std::span<const float> values, std::size_t inputs, std::size_t width,
                              std::span<const float> scales) {
  multiply_adds_ += values.size();
  if (!scales.empty() && packing_.dots) {
    return {.dots = dots(values, inputs, width), .scales = copy(scales)};
  }
  if (!scales.empty()) {
    memory_.push_back(aligned_buffer(values.size()));
    auto* bytes = reinterpret_cast<std::int8_t*>(memory_.back().data());
    std::ranges::transform(values, bytes,
                           [](float value) { return static_cast<std::int8_t>(value); });
    return {.bytes = bytes, .scales = copy(scales)};
  }
  if (!halves_) return {.floats = copy(values)};
  memory_.push_back(aligned_buffer(values.size() * sizeof(std::uint16_t)));
  auto* halves = reinterpret_cast<std::uint16_t*>(memory_.back().data());
  std::ranges::transform(values, halves, half_of_float);
  return {.halves = halves};
}

Linear PackedWeights::linear(const Matrix& weight, std::size_t outputs, std::size_t inputs,
                             const float* bias) {
  const std::size_t padded = (outputs + packing_.lanes - 1) / packing_.lanes * packing_.lanes;
  std::vector<float> panels(padded * inputs);
  for (std::size_t output = 0; output < outputs; ++output) {
    const std::size_t first = output / packing_.panel * packing_.panel;
    const std::size_t columns = std::min(packing_.panel, padded - first);
    float* column = panels.data() + first * inputs + (output - first);
    for (std::size_t k = 0; k < inputs; ++k) {
      column[k * columns] = weight.values[output * inputs + k];
    }
  }
  std::vector<float> scales(weight.scales == nullptr ? 0 : padded);
  if (weight.scales != nullptr) std::copy_n(weight.scales, outputs, scales.data());
  float* padded_bias = allocate(padded);
  if (bias != nullptr) std::copy_n(bias, outputs, padded_bias);
  return {matrix(panels, inputs, packing_.panel, scales), padded_bias, inputs, outputs};
}

}  // namespace makemore::kernels
