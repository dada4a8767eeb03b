#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace makemore {

/// Most bytes that a file, its weights, the values of a step, or the states of a batch may take,
/// unless a caller says otherwise.
inline constexpr std::size_t kMaxBytes = std::size_t{1} << 29;

/// The bytes of an ONNX file, and what messages call it.
struct ModelFile {
  std::string name, bytes;
};

/// Throws ArtifactError for a file that cannot be read or has more than `max_bytes`.
ModelFile read_model_file(const std::filesystem::path& path, std::size_t max_bytes = kMaxBytes);

}  // namespace makemore
