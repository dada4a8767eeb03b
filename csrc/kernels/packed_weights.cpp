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

Numbers PackedWeights::matrix(std::span<const float> values, std::span<const float> scales) {
  if (!scales.empty()) {
    memory_.push_back(aligned_buffer(values.size()));
    auto* bytes = reinterpret_cast<std::int8_t*>(memory_.back().data());
    std::ranges::transform(values, bytes,
                           [](float value) { return static_cast<std::int8_t>(value); });
    return {nullptr, nullptr, bytes, copy(scales)};
  }
  if (!halves_) return {copy(values), nullptr, nullptr, nullptr};
  memory_.push_back(aligned_buffer(values.size() * sizeof(std::uint16_t)));
  auto* halves = reinterpret_cast<std::uint16_t*>(memory_.back().data());
  std::ranges::transform(values, halves, half_of_float);
  return {nullptr, halves, nullptr, nullptr};
}

Linear PackedWeights::linear(const Matrix& weight, std::size_t outputs, std::size_t inputs,
                             const float* bias) {
  const std::size_t padded = (outputs + lanes_ - 1) / lanes_ * lanes_;
  std::vector<float> panels(padded * inputs);
  for (std::size_t output = 0; output < outputs; ++output) {
    const std::size_t first = output / panel_ * panel_;
    const std::size_t columns = std::min(panel_, padded - first);
    float* column = panels.data() + first * inputs + (output - first);
    for (std::size_t k = 0; k < inputs; ++k) {
      column[k * columns] = weight.values[output * inputs + k];
    }
  }
  std::vector<float> scales(weight.scales == nullptr ? 0 : padded);
  if (weight.scales != nullptr) std::copy_n(weight.scales, outputs, scales.data());
  float* padded_bias = allocate(padded);
  if (bias != nullptr) std::copy_n(bias, outputs, padded_bias);
  return {matrix(panels, scales), padded_bias, inputs, outputs};
}

}  // namespace makemore::kernels
