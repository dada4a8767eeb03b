// Looks like ONNX Runtime from outside: of FAKE_VERSION, with no table of functions in it.
#include <cstdint>

#ifdef FAKE_VERSION

namespace {
struct ApiBase {
  void* const* (*get_api)(std::uint32_t version);
  const char* (*get_version)();
};
}  // namespace

extern "C" __attribute__((visibility("default"))) const ApiBase* OrtGetApiBase() {
  static const ApiBase base{[](std::uint32_t) -> void* const* { return nullptr; },
                            [] { return FAKE_VERSION; }};
  return &base;
}

#endif
