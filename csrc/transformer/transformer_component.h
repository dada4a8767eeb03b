#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "component.h"
#include "transformer_step.h"

namespace makemore::transformer {

/// Name of the function of the domain makemore.
inline constexpr std::string_view kFunction = "TransformerStep";

struct Attributes {
  std::int64_t heads = 0;
  float epsilon = -1;
  Activation activation = Activation::kGeluTanh;
};

/// A transformer as one of the models that are mixed, by the kernel of that name; null where there
/// is none. `states`: shapes of a row. Throws ArtifactError where they, the parameters or the
/// attributes are not those of a GPT-2.
std::unique_ptr<kernels::Component> new_component(std::string_view kernel,
                                                  std::span<const kernels::StateLayout> states,
                                                  std::span<const kernels::Parameter> parameters,
                                                  const Attributes& attributes);

}  // namespace makemore::transformer
