#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace makemore {

using Axes = std::vector<std::optional<std::int64_t>>;

/// A file of tests/tiny_artifacts.py, and the axes of time of its states.
struct Tiny {
  const char* name;
  Axes time_axes;
};
inline const std::vector<Tiny> kTinyModels{
    {"bigram", {}},
    {"sparse", {}},
    {"history", {std::nullopt, std::nullopt}},
    {"half", {std::nullopt, std::nullopt}},
    {"cache", {1}},
    {"cache", {std::nullopt}}};  // a promise that need not be used

}  // namespace makemore
