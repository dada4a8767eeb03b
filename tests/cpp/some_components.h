// Components of given or random parameters, and a step of them.
#pragma once

#include <algorithm>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

#include "component.h"
#include "half.h"

namespace {

using namespace makemore::kernels;

/// A recurrent network: gates of a unit, and state tensors of a layer.
struct RecurrentKind {
  const char* function;
  std::size_t gates, states;
};
constexpr RecurrentKind kRecurrentKinds[] = {
    {"RnnStep", 1, 1}, {"LstmStep", 4, 2}, {"GruStep", 3, 1}};

inline Parameter parameter(std::vector<std::size_t> shape, const std::vector<float>& values) {
  Parameter made{false, false, std::move(shape),
                 makemore::aligned_buffer(values.size() * sizeof(float))};
  std::memcpy(made.data.data(), values.data(), values.size() * sizeof(float));
  return made;
}

struct Stepped {
  std::vector<float> states, logits;  // (rows, floats), (rows, V)
};

/// A step of a token for each row, all of whose states' numbers are `filled`.
inline Stepped stepped(const Component& component, std::size_t rows, std::size_t floats,
                       float filled) {
  auto filling = makemore::aligned_buffer(floats * sizeof(float));
  std::fill_n(filling.data()->values, floats, filled);
  auto states = makemore::aligned_buffer(rows * floats * sizeof(float));
  std::vector<float> logits(rows * component.vocab_size());
  std::vector<std::int64_t> tokens(rows), positions(rows);
  std::vector<const std::byte*> before(rows, reinterpret_cast<const std::byte*>(filling.data()));
  std::vector<std::byte*> after;
  for (std::size_t row = 0; row < rows; ++row) {
    tokens[row] = static_cast<std::int64_t>(row);
    after.push_back(reinterpret_cast<std::byte*>(states.data()->values + row * floats));
  }
  auto scratch = makemore::aligned_buffer(component.scratch_floats(rows) * sizeof(float));
  component.run(
      {rows, tokens.data(), positions.data(), before.data(), after.data(), 0, logits.data()},
      scratch.data()->values);
  const float* values = states.data()->values;
  return {{values, values + rows * floats}, logits};
}

/// Random parameters of these shapes, which float16 has, too.
inline std::vector<Parameter> random_parameters(const std::vector<std::vector<std::size_t>>& shapes,
                                                bool were_halves) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.3f);
  std::vector<Parameter> parameters;
  for (const auto& shape : shapes) {
    std::vector<float> values(shape[0] * (shape.size() > 1 ? shape[1] : 1));
    for (float& value : values) {
      value = makemore::float_of_half(makemore::half_of_float(normal(random)));
    }
    parameters.push_back(parameter(shape, values));
    parameters.back().was_half = were_halves;
  }
  return parameters;
}

}  // namespace
