#pragma once

#include <stdexcept>

// The type of an error names whose fault it is. Each has a Python type of the same name.
namespace makemore {

/// The caller's: an option or a token that is not possible.
struct OptionError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

/// The file's: it is not an artifact, or breaks the step contract.
struct ArtifactError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The step's: whoever wrote it, it does not do what the Step interface promises.
struct StepError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The environment's: ONNX Runtime is missing, unusable, or failed while it ran.
struct OrtError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A device has no memory left; a smaller batch may fit. Python sees an OrtError.
struct OutOfMemory : OrtError {
  using OrtError::OrtError;
};

/// Nobody's: the call was cancelled by its caller.
struct CancelledError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace makemore
