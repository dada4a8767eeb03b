#pragma once

#include <string_view>

#include "parameters.h"

namespace makemore {

// Constants of a file as kernels take them. Both throw ArtifactError for tensors of another kind,
// and for numbers that are not raw bytes.

/// The numbers of a TensorProto of float32, float16 or int32; of float16 as float32.
kernels::Parameter read_parameter(std::string_view tensor);

/// A matrix of int8, and the scales of its rows, float32.
kernels::Parameter read_rows(std::string_view tensor, std::string_view scales);

}  // namespace makemore
