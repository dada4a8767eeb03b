#include "component.h"

#include <algorithm>

#include "errors.h"
#ifdef MAKEMORE_X86_KERNELS
#include "x86_level.h"
#endif

namespace makemore::kernels {

#if defined(MAKEMORE_X86_KERNELS)
extern const Kernel x86_64_v3, x86_64_v4, x86_64_v4_vnni;

std::vector<const Kernel*> family_kernels() {
  return those_that_run(x86_64_v4_vnni, x86_64_v4, x86_64_v3);
}
#elif defined(MAKEMORE_NEON_KERNEL)
extern const Kernel neon;

std::vector<const Kernel*> family_kernels() { return {&neon}; }
#else
std::vector<const Kernel*> family_kernels() { return {}; }
#endif

std::size_t Component::step_bytes() const {
  std::size_t bytes = 0;
  for (const StateLayout& state : states()) {
    std::size_t size = state.is_integer ? sizeof(std::int64_t) : sizeof(float);
    for (const std::size_t axis : state.shape) size *= axis;
    bytes += size;
  }
  return bytes;
}

std::unique_ptr<Component> new_component(const Kernel& kernel, std::string_view function,
                                         std::span<const StateLayout> states,
                                         std::span<const Parameter> parameters) {
  auto made = [&]() -> std::unique_ptr<Component> {
    const Parameters read(parameters);
    if (function == "RnnStep") return new_recurrent(kernel, Cell::kRnn, states, read);
    if (function == "LstmStep") return new_recurrent(kernel, Cell::kLstm, states, read);
    if (function == "GruStep") return new_recurrent(kernel, Cell::kGru, states, read);
    if (function == "MlpStep") return new_perceptron(kernel, states, read);
    if (function == "CnnStep") return new_convolutions(kernel, states, read);
    if (function == "BowStep") return new_bag_of_words(kernel, read);
    if (function == "BigramStep") return new_table(read);
    if (function == "NgramStep") return new_ngram(read);
    if (function == "SparseNgramStep") return new_sparse_ngram(read, true);
    if (function == "SparseAdditiveStep") return new_sparse_ngram(read, false);
    return nullptr;
  }();
  if (made && !std::ranges::equal(made->states(), states)) {
    throw ArtifactError("the states are not those of the parameters");
  }
  return made;
}

}  // namespace makemore::kernels
