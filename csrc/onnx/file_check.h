#pragma once

#include <string_view>

namespace makemore {

/// Reads an ONNX file before ONNX Runtime does, which computes with what a file says and crashes on
/// some of it. Throws ArtifactError, which does not name the file, for
/// - bytes that are no protobuf message, or that different parsers would read differently, or that
///   ONNX Runtime would take for its own format;
/// - tensors that are sparse, or not wholly in the file;
/// - operators that draw random numbers: a seed would not give the same strings again;
/// - unless the file is trusted: operators that no step needs (`is_known`), graphs within nodes,
///   functions that call functions, two values of a name, more nodes or values than any model has,
///   attributes out of range.
void check_file(std::string_view bytes, bool trust);

}  // namespace makemore
