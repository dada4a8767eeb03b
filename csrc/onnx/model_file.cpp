#include "model_file.h"

#include <fstream>
#include <system_error>

#include "errors.h"

namespace makemore {

ModelFile read_model_file(const std::filesystem::path& path, std::size_t max_bytes) {
  ModelFile file{path.string(), {}};
  std::error_code error;
  const auto require_readable = [&](bool readable) {
    if (!readable) throw ArtifactError("cannot load " + file.name + ": it cannot be read");
  };
  const auto size = std::filesystem::file_size(path, error);
  require_readable(!error);  // only a file has a size: to open a pipe would wait for its writer
  std::ifstream stream(path, std::ios::binary);
  require_readable(static_cast<bool>(stream));
  if (size > max_bytes) {
    throw ArtifactError("cannot load " + file.name + ": it has " + std::to_string(size) +
                        " bytes, more than max_bytes = " + std::to_string(max_bytes));
  }
  file.bytes.resize(static_cast<std::size_t>(size));
  stream.read(file.bytes.data(), static_cast<std::streamsize>(size));
  file.bytes.resize(static_cast<std::size_t>(stream.gcount()));
  return file;
}

}  // namespace makemore
