#include "transformer_component.h"

#include <algorithm>
#include <vector>

#include "errors.h"

namespace makemore::transformer {
namespace {

std::vector<Parameter> as_matrices(std::span<const kernels::Parameter> parameters) {
  std::vector<Parameter> matrices;
  for (const kernels::Parameter& parameter : parameters) {
    const auto& shape = parameter.shape;
    if (parameter.is_integer || shape.empty() || shape.size() > 2) {
      throw ArtifactError("a parameter is not float32 of one or two axes");
    }
    matrices.push_back({parameter.data.data()->values, shape[0], shape.size() == 2 ? shape[1] : 1});
  }
  return matrices;
}

/// A page of a row is what a step writes, at the offset of the batch.
class TransformerComponent final : public kernels::Component {
 public:
  TransformerComponent(const Kernel& kernel, std::span<const kernels::Parameter> parameters,
                       const Attributes& attributes)
      : step_(kernel, as_matrices(parameters), attributes.heads, attributes.epsilon,
              attributes.activation) {}

  std::size_t vocab_size() const override { return step_.model().vocab_size; }

  std::vector<kernels::StateLayout> states() const override {
    const Model& model = step_.model();
    return {2 * model.layer_count, kernels::StateLayout{false, {model.block_size, model.width}}};
  }

  std::size_t step_bytes() const override { return step_.page_floats() * sizeof(float); }
  bool reads_pages() const override { return true; }

  std::int64_t block_size() const override {
    return static_cast<std::int64_t>(step_.model().block_size);
  }

  std::size_t scratch_floats(std::size_t) const override { return 0; }  // it has its own

  void run(const kernels::RowBatch& batch, float*) const override {
    const std::size_t block_size = step_.model().block_size;
    std::vector<const float*> pages(batch.rows * block_size);
    std::vector<float*> written(batch.rows);
    for (std::size_t row = 0; row < batch.rows; ++row) {
      const auto used = static_cast<std::size_t>(batch.positions[row]) + 1;
      for (std::size_t slot = 0; slot < used; ++slot) {
        const std::byte* page = batch.pages[row * batch.block_size + slot] + batch.offset;
        pages[row * block_size + slot] = reinterpret_cast<const float*>(page);
      }
      written[row] = reinterpret_cast<float*>(batch.after[row] + batch.offset);
    }
    step_.run({batch.tokens, batch.rows}, {batch.positions, batch.rows}, pages.data(),
              written.data(), batch.logits);
  }

 private:
  TransformerStep step_;
};

}  // namespace

std::unique_ptr<kernels::Component> new_component(std::string_view kernel,
                                                  std::span<const kernels::StateLayout> states,
                                                  std::span<const kernels::Parameter> parameters,
                                                  const Attributes& attributes) {
  const auto all = transformer::kernels();
  const auto found =
      std::ranges::find_if(all, [&](const Kernel* each) { return each->name == kernel; });
  if (found == all.end()) return nullptr;
  auto made = std::make_unique<TransformerComponent>(**found, parameters, attributes);
  if (!std::ranges::equal(made->states(), states)) {
    throw ArtifactError("the states are not the caches of a GPT-2");
  }
  return made;
}

}  // namespace makemore::transformer
