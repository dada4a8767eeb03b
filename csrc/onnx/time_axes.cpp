#include "time_axes.h"

#include <string>

#include "errors.h"

namespace makemore {

void require_time_axes(std::span<const StateTensor> states,
                       std::span<const std::optional<std::int64_t>> time_axes,
                       std::optional<std::int64_t> block_size) {
  if (time_axes.size() != states.size()) {
    throw ArtifactError("the metadata names " + std::to_string(time_axes.size()) +
                        " states, the model has " + std::to_string(states.size()));
  }
  for (std::size_t i = 0; i < states.size(); ++i) {
    if (!time_axes[i]) continue;
    const auto& shape = states[i].shape;
    const std::int64_t axis = *time_axes[i];
    if (axis < 0 || axis >= std::ssize(shape)) {
      throw ArtifactError("state " + states[i].name + " has no axis " + std::to_string(axis));
    }
    const std::int64_t slots = shape[static_cast<std::size_t>(axis)];
    if (block_size && slots != *block_size) {
      throw ArtifactError("state " + states[i].name + " has " + std::to_string(slots) +
                          " slots for a block of " + std::to_string(*block_size));
    }
  }
}

}  // namespace makemore
