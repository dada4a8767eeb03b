#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "onnx_model.h"
#include "snapshot_step.h"

namespace makemore {

/// Names of the kernels that this machine runs, the fastest first.
std::vector<std::string> kernel_names();

/// Opens a model. `kernel` names the kernels to run it with, where they can:
/// without a name the fastest, for "" none. Throws OptionError for one that the machine lacks, and
/// what OnnxModel throws.
std::shared_ptr<OnnxModel> open_model(std::shared_ptr<const ort::Library> library, ModelFile file,
                                      ModelOptions options,
                                      const std::optional<std::string>& kernel = {});

/// The step of a model on the CPU, by its kernels where there are any. `time_axes`
/// and `block_size` are those of the metadata (see CpuStep). Throws ArtifactError where they
/// contradict the model.
std::unique_ptr<SnapshotStep> new_cpu_step(
    std::shared_ptr<const OnnxModel> model,
    const std::vector<std::optional<std::int64_t>>& time_axes,
    std::optional<std::int64_t> block_size);

}  // namespace makemore
