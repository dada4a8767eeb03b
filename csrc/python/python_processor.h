#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "conversions.h"
#include "errors.h"
#include "logits_processor.h"

namespace makemore {

/// A function in Python: (ids of the prefix, logits) -> logits.
class PythonProcessor final : public LogitsProcessor {
 public:
  explicit PythonProcessor(py::object function) : function_(std::move(function)) {}

  void process(std::span<const std::int32_t> prefix, std::span<float> logits) const override {
    const py::gil_scoped_acquire gil;
    const Ids ids = to_ids(prefix);
    const Logits given(static_cast<py::ssize_t>(logits.size()), logits.data());
    const py::object result = function_(ids, given);
    const auto returned = Logits::ensure(result);
    if (!returned) {
      PyErr_Clear();
      throw OptionError("adjust returned " + shown(py::type::of(result)) + ", not logits");
    }
    if (returned.ndim() != 1 || returned.size() != std::ssize(logits)) {
      throw OptionError("adjust returned logits of shape " + shown(returned.attr("shape")) +
                        ", not (" + std::to_string(logits.size()) + ",)");
    }
    std::copy_n(returned.data(), returned.size(), logits.begin());
    check(logits);
  }

 private:
  using Logits = py::array_t<float, py::array::c_style | py::array::forcecast>;

  static Ids to_ids(std::span<const std::int32_t> prefix) {
    Ids ids(static_cast<py::ssize_t>(prefix.size()));
    std::ranges::copy(prefix, ids.mutable_data());
    return ids;
  }

  static void check(std::span<const float> logits) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    if (std::ranges::any_of(logits, [](float x) { return std::isnan(x); })) {
      throw OptionError("adjust returned NaN");
    }
    const float highest = std::ranges::max(logits);
    if (highest == kInfinity) throw OptionError("adjust returned +inf");
    if (highest == -kInfinity) throw OptionError("adjust left no token to choose: all are -inf");
  }

  static std::string shown(const py::handle& value) { return py::repr(value).cast<std::string>(); }

  py::object function_;
};

}  // namespace makemore
