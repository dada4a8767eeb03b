#include "step_factory.h"

#include <algorithm>
#include <utility>

#include "cpu_step.h"
#include "errors.h"
#include "native_step.h"
#include "time_axes.h"

namespace makemore {
namespace {

const kernels::Kernel* find_kernel(const std::optional<std::string>& name) {
  const auto all = kernels::family_kernels();
  const auto found = std::ranges::find_if(
      all, [&](const kernels::Kernel* kernel) { return !name || kernel->name == *name; });
  if (found != all.end()) return *found;
  if (name && !name->empty()) throw OptionError("this machine has no kernel " + *name);
  return nullptr;
}

}  // namespace

std::vector<std::string> kernel_names() {
  std::vector<std::string> names;
  for (const kernels::Kernel* kernel : kernels::family_kernels()) {
    names.emplace_back(kernel->name);
  }
  return names;
}

std::shared_ptr<OnnxModel> open_model(std::shared_ptr<const ort::Library> library, ModelFile file,
                                      ModelOptions options,
                                      const std::optional<std::string>& kernel) {
  const auto* found = find_kernel(kernel);
  if (options.device == ort::Device::kCpu) options.kernel = found;
  return std::make_shared<OnnxModel>(std::move(library), std::move(file), options);
}

std::unique_ptr<SnapshotStep> new_cpu_step(
    std::shared_ptr<const OnnxModel> model,
    const std::vector<std::optional<std::int64_t>>& time_axes,
    std::optional<std::int64_t> block_size) {
  if (model->native() == nullptr) return std::make_unique<CpuStep>(model, time_axes, block_size);
  require_time_axes(model->states(), time_axes, block_size);
  const std::int64_t known = model->native()->block_size();
  if (block_size && *block_size > known) {
    throw ArtifactError("block_size is " + std::to_string(*block_size) + ", but the weights know " +
                        std::to_string(known) + " positions");
  }
  return std::make_unique<NativeStep>(model, *model->native(), block_size);
}

}  // namespace makemore
