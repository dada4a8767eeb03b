#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "onnx_model.h"

namespace makemore {

/// Throws ArtifactError where `time_axes` are not as many as the states, where a state has no such
/// axis, or other slots than `block_size`.
void require_time_axes(std::span<const StateTensor> states,
                       std::span<const std::optional<std::int64_t>> time_axes,
                       std::optional<std::int64_t> block_size);

}  // namespace makemore
