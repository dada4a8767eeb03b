#include "parameters.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "bounds.h"
#include "errors.h"

namespace makemore::kernels {
namespace {

std::string shown(const std::vector<std::size_t>& shape) {
  std::string text;
  for (const std::size_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "(" + text + ")";
}

std::size_t size_of(const Parameter& parameter) {
  return std::accumulate(parameter.shape.begin(), parameter.shape.end(), std::size_t{1},
                         std::multiplies<>());
}

}  // namespace

std::optional<std::size_t> kept_bytes(const std::vector<std::size_t>& shape, std::size_t padding) {
  std::optional<std::size_t> numbers = 1;
  for (const std::size_t size : shape) {
    if (numbers) numbers = checked_product({*numbers, size});
  }
  if (!numbers) return std::nullopt;
  const std::size_t rows = shape.empty() ? 1 : std::max(shape[0], std::size_t{1});
  const std::size_t longest = shape.size() < 2 ? 1 : std::max(rows, *numbers / rows);
  const auto added = checked_product({padding, longest});
  return added ? checked_product({*numbers + *added, sizeof(float)}) : std::nullopt;
}

Parameters::Parameters(std::span<const Parameter> parameters) : parameters_(parameters) {
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (std::ranges::count(parameters[i].shape, std::size_t{0}) == 0) continue;
    throw ArtifactError("parameter " + std::to_string(i) + " is " + shown(parameters[i].shape) +
                        "; it must not be empty");
  }
}

bool Parameters::were_halves() const {
  return std::ranges::all_of(
      parameters_, [](const Parameter& each) { return each.is_integer || each.was_half; });
}

const std::vector<std::size_t>& Parameters::shape(std::size_t index, std::size_t axes) const {
  if (index >= parameters_.size()) {
    throw ArtifactError("there are " + std::to_string(parameters_.size()) +
                        " parameters, which are too few");
  }
  const auto& shape = parameters_[index].shape;
  if (shape.size() != axes) {
    throw ArtifactError("parameter " + std::to_string(index) + " is " + shown(shape) +
                        "; it must have axes: " + std::to_string(axes));
  }
  return shape;
}

const Parameter& Parameters::take(bool is_integer, const std::vector<std::size_t>& shape) {
  if (this->shape(next_, shape.size()) != shape) {
    throw ArtifactError("parameter " + std::to_string(next_) + " is " +
                        shown(parameters_[next_].shape) + ", not " + shown(shape));
  }
  if (parameters_[next_].is_integer != is_integer) {
    throw ArtifactError("parameter " + std::to_string(next_) + " is not of " +
                        (is_integer ? "int32" : "float32"));
  }
  return parameters_[next_++];
}

std::span<const float> Parameters::floats(const std::vector<std::size_t>& shape) {
  const Parameter& taken = take(false, shape);
  if (!taken.scales.empty()) {
    throw ArtifactError("parameter " + std::to_string(next_ - 1) + " is int8, but no matrix");
  }
  return {taken.data.data()->values, size_of(taken)};
}

Matrix Parameters::matrix(std::size_t outputs, std::size_t inputs) {
  const Parameter& taken = take(false, {outputs, inputs});
  return {taken.data.data()->values, taken.scales.empty() ? nullptr : taken.scales.data()};
}

std::span<const std::int32_t> Parameters::indices(const std::vector<std::size_t>& shape,
                                                  std::size_t end) {
  const Parameter& taken = take(true, shape);
  const std::span values(reinterpret_cast<const std::int32_t*>(taken.data.data()), size_of(taken));
  for (const std::int32_t value : values) {
    if (value >= 0 && static_cast<std::size_t>(value) < end) continue;
    throw ArtifactError("parameter " + std::to_string(next_ - 1) + " holds " +
                        std::to_string(value) + "; it must be >= 0 and below " +
                        std::to_string(end));
  }
  return values;
}

}  // namespace makemore::kernels
