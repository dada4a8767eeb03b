// A mixture of models in vector code: see linear.h for what holds for it.
#pragma once

#include "family_data.h"
#include "functions.h"
#include "linear.h"

namespace makemore::kernels {
namespace {

/// e^x of what is at most 0; 0 where that is less than 2^-126, NaN of NaN.
INLINE Vector exp_of_negative(Vector x) {
  const Vector power = x * kLog2E;
  const Vector known = power < -126.0f ? Vector{} : exp2(power);
  return power == power ? known : power;
}

/// The floats of a row from `column` on, `fill` past its end.
INLINE Vector part_of(const float* row, std::size_t column, std::size_t size, float fill) {
  if (column + kLanes <= size) return load(row + column);
  Vector vector = Vector{} + fill;
  __builtin_memcpy(&vector, row + column, (size - column) * sizeof(float));
  return vector;
}

INLINE float highest_of(const float* row, std::size_t size) {
  float highest = row[0];
  for (std::size_t i = 1; i < size; ++i) highest = row[i] > highest ? row[i] : highest;
  return highest;
}

/// Adds to sums (V and a vector) what a model of that weight expects, from its logits (V).
void add_probabilities(const float* logits, std::size_t size, float weight, float* powers,
                       float* sums) {
  const float highest = highest_of(logits, size);
  Vector totals{};
  for (std::size_t i = 0; i < size; i += kLanes) {
    const Vector power = exp_of_negative(part_of(logits, i, size, -__builtin_inff()) - highest);
    totals += power;
    store(powers + i, power);
  }
  const float scale = weight / sum<kLanes>(totals);
  for (std::size_t i = 0; i < size; i += kLanes) {
    store(sums + i, load(sums + i) + load(powers + i) * scale);
  }
}

/// scratch is 2 (V and a vector).
void mixture(const Mixture& mixture, const float* logits, std::size_t rows, float* scratch,
             float* out) {
  const std::size_t size = mixture.vocab_size;
  float *sums = scratch, *powers = scratch + size + kLanes;
  for (std::size_t row = 0; row < rows; ++row, out += size) {
    for (std::size_t i = 0; i < size; i += kLanes) store(sums + i, Vector{});
    for (std::size_t model = 0; model < mixture.count; ++model) {
      add_probabilities(logits + (model * rows + row) * size, size, mixture.weights[model], powers,
                        sums);
    }
    for (std::size_t i = 0; i < size; i += kLanes) {
      store_some(out + i, log(load(sums + i)), size - i);
    }
  }
}

}  // namespace
}  // namespace makemore::kernels
