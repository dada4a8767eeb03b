#include "step_factory.h"

#include <algorithm>
#include <utility>

#include "cpu_step.h"
#include "errors.h"
#include "native_step.h"
#include "transformer_op.h"

namespace makemore {
namespace {

template <class Kernel>
const Kernel* find_kernel(const std::vector<const Kernel*>& kernels,
                          const std::optional<std::string>& name) {
  const auto found = std::ranges::find_if(
      kernels, [&](const Kernel* kernel) { return !name || kernel->name == *name; });
  if (found != kernels.end()) return *found;
  if (name && !name->empty()) throw OptionError("this machine has no kernel " + *name);
  return nullptr;
}

}  // namespace

std::vector<std::string> kernel_names() {
  std::vector<std::string> names;
  for (const transformer::Kernel* kernel : transformer::kernels()) {
    names.emplace_back(kernel->name);
  }
  return names;
}

std::shared_ptr<OnnxModel> open_model(std::shared_ptr<const ort::Library> library, ModelFile file,
                                      ModelOptions options,
                                      const std::optional<std::string>& kernel) {
  const auto* found = find_kernel(transformer::kernels(), kernel);
  std::unique_ptr<FusedOp> op;
  if (found != nullptr && options.device == ort::Device::kCpu) {
    op = std::make_unique<transformer::TransformerOp>(library, *found);
    options.kernel = find_kernel(kernels::family_kernels(), kernel);
  }
  return std::make_shared<OnnxModel>(std::move(library), std::move(file), options, std::move(op));
}

std::unique_ptr<SnapshotStep> new_cpu_step(
    std::shared_ptr<const OnnxModel> model,
    const std::vector<std::optional<std::int64_t>>& time_axes,
    std::optional<std::int64_t> block_size) {
  auto step = std::make_unique<CpuStep>(model, time_axes, block_size);  // checks its arguments
  if (model->native() != nullptr) {
    return std::make_unique<NativeStep>(model, *model->native(), block_size);
  }
  if (model->fused_op() == nullptr) return step;
  model->fused_op()->check_block(block_size);
  const bool all_grow = std::ranges::count(time_axes, 0) == std::ssize(time_axes);
  auto fused = all_grow ? model->fused_op()->new_step(model) : nullptr;
  if (fused) return fused;
  return step;
}

}  // namespace makemore
