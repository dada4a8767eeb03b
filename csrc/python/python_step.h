#pragma once

#include <string>

#include "conversions.h"
#include "errors.h"
#include "step.h"

namespace makemore {

/// A step written in Python: an object with the methods reset, run and select and a vocab_size.
class PythonStep : public Step {
 public:
  explicit PythonStep(py::object step) : step_(std::move(step)) {
    const py::object size = step_.attr("vocab_size");
    vocab_size_ = PyNumber_AsSsize_t(size.ptr(), nullptr);
    if (vocab_size_ < 1) {
      PyErr_Clear();
      throw StepError("the vocab_size of a step is " + shown(size) + "; it must be an int >= 1");
    }
  }

  std::int64_t vocab_size() const override { return vocab_size_; }

  void reset(std::int64_t rows) override {
    const py::gil_scoped_acquire gil;
    step_.attr("reset")(rows);
  }

  std::span<const float> run(std::span<const std::int64_t> tokens,
                             std::span<const std::int64_t> positions) override {
    const py::gil_scoped_acquire gil;
    const py::object result = step_.attr("run")(to_array(tokens), to_array(positions));
    const auto logits = Logits::ensure(result);
    if (!logits) {
      throw StepError("a step returned " + shown(py::type::of(result)) + ", not logits");
    }
    const py::tuple expected = py::make_tuple(tokens.size(), vocab_size_);
    if (const py::object shape = logits.attr("shape"); !shape.equal(expected)) {
      throw StepError("a step returned logits of shape " + shown(shape) + ", not " +
                      shown(expected));
    }
    logits_.assign(logits.data(), logits.data() + logits.size());
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

  static std::string shown(const py::handle& value) { return py::repr(value).cast<std::string>(); }

  py::object step_;
  py::ssize_t vocab_size_;
  std::vector<float> logits_;
};

}  // namespace makemore
