#pragma once

#include "conversions.h"
#include "errors.h"
#include "step.h"

namespace makemore {

/// A step written in Python: an object with the verbs reset, run and select and a vocab_size.
class PythonStep : public Step {
 public:
  explicit PythonStep(py::object step)
      : step_(std::move(step)), vocab_size_(step_.attr("vocab_size").cast<std::int64_t>()) {}

  std::int64_t vocab_size() const override { return vocab_size_; }

  void reset(std::int64_t rows) override {
    const py::gil_scoped_acquire gil;
    step_.attr("reset")(rows);
  }

  std::span<const float> run(std::span<const std::int64_t> tokens,
                             std::span<const std::int64_t> positions) override {
    const py::gil_scoped_acquire gil;
    const auto logits = step_.attr("run")(to_array(tokens), to_array(positions)).cast<Logits>();
    const auto size = tokens.size() * static_cast<std::size_t>(vocab_size_);
    if (static_cast<std::size_t>(logits.size()) != size) {
      throw ArtifactError("a step gave " + std::to_string(logits.size()) + " logits, not " +
                          std::to_string(size));
    }
    logits_.assign(logits.data(), logits.data() + size);
    return logits_;
  }

  void select(std::span<const std::int64_t> parents) override {
    const py::gil_scoped_acquire gil;
    step_.attr("select")(to_array(parents));
  }

 private:
  using Logits = py::array_t<float, py::array::c_style | py::array::forcecast>;

  static Ids to_array(std::span<const std::int64_t> values) {
    return Ids(static_cast<py::ssize_t>(values.size()), values.data());
  }

  py::object step_;
  std::int64_t vocab_size_;
  std::vector<float> logits_;
};

}  // namespace makemore
