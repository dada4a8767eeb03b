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
    const float* scales = parameter.scales.empty() ? nullptr : parameter.scales.data();
    matrices.push_back(
        {{parameter.data.data()->values, scales}, shape[0], shape.size() == 2 ? shape[1] : 1});
  }
  return matrices;
}

/// A page is what a step of a row wrote, in which this model's part begins at an offset.
class TransformerComponent final : public kernels::Component {
 public:
  TransformerComponent(const Kernel& kernel, std::span<const kernels::Parameter> parameters,
                       const Attributes& attributes)
      : step_(kernel, as_matrices(parameters), attributes.heads, attributes.epsilon,
              attributes.activation, kernels::Parameters(parameters).were_halves()) {}

  std::size_t vocab_size() const override { return step_.model().vocab_size; }

  std::vector<kernels::StateLayout> states() const override {
    const Model& model = step_.model();
    return {2 * model.layer_count, kernels::StateLayout{false, {model.block_size, model.width}}};
  }

  std::size_t step_bytes() const override { return step_.page_bytes(); }
  bool reads_pages() const override { return true; }

  std::int64_t block_size() const override {
    return static_cast<std::int64_t>(step_.model().block_size);
  }

  std::size_t multiply_adds() const override { return step_.multiply_adds(); }
  std::size_t scratch_floats(std::size_t) const override { return 0; }  // it has its own

  void run(const kernels::RowBatch& batch, float*) const override {
    step_.run({batch.rows, batch.tokens, batch.positions, batch.pages, batch.block_size,
               batch.after, batch.offset, batch.logits});
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
