// What is not ONNX Runtime, or too old, is refused when it is opened.
#include <doctest/doctest.h>

#include "ort_library.h"

using namespace makemore;

namespace {

void refuse(const char* path, const char* message) {
  CAPTURE(path);
  try {
    const ort::Library library(path);
    FAIL("it was taken");
  } catch (const OrtError& error) {
    CAPTURE(error.what());
    CHECK(std::string(error.what()).find(message) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("a library that is missing or none is refused") {
  refuse("/nowhere/libonnxruntime.so", "cannot open");
  refuse(ARTIFACTS "/bigram/model.onnx", "cannot open");
}

TEST_CASE("a library of something else is refused") { refuse(NO_LIBRARY, "has no OrtGetApiBase"); }

TEST_CASE("an ONNX Runtime that is too old is refused with both versions") {
  refuse(OLD_LIBRARY, "is ONNX Runtime 1.19.2; 1.20 or newer is needed");
}

TEST_CASE("an ONNX Runtime whose version is no number is refused") {
  refuse(ODD_LIBRARY, "is ONNX Runtime nightly; 1.20 or newer is needed");
}

TEST_CASE("an ONNX Runtime without the version of the table that we use is refused") {
  refuse(EMPTY_LIBRARY, "has no API version 17");
}
