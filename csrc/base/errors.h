#pragma once

#include <stdexcept>

namespace makemore {

/// The caller's fault: an option or a token that cannot be.
struct OptionError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

/// The file's fault: not an artifact, or one that breaks the step contract.
struct ArtifactError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The environment's fault: ONNX Runtime is missing, unusable, or failed while it ran.
struct OrtError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A device had no memory left; less may fit.
struct OutOfMemory : OrtError {
  using OrtError::OrtError;
};

}  // namespace makemore
