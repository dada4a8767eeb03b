#pragma once

#include <string_view>

namespace makemore {

/// Throws ArtifactError unless a TensorProto of ONNX holds all of its numbers itself: no text, and
/// nothing in another file.
void check_tensor(std::string_view bytes);

}  // namespace makemore
