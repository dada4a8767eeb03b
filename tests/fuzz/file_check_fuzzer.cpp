// Any bytes as an ONNX file: they are refused with an ArtifactError or pass.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "errors.h"
#include "file_check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const bool trust : {false, true}) {
    try {
      makemore::check_file(bytes, trust);
    } catch (const makemore::ArtifactError&) {
    }
  }
  return 0;
}
