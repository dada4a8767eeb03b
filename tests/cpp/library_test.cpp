// What is not ONNX Runtime, or too old, is refused when it is opened; what is may be opened again.
#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <span>

#include "gather_model.h"
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

TEST_CASE("a file is read as ONNX, whatever its bytes 4 to 7 say") {
  const ort::Library library(ORT_LIBRARY);
  const std::string gather = ort::gather_model(ort::kFloat);
  const std::string file = ort::Message().number(5, 1).bytes(2, "ORTM");
  REQUIRE(file.substr(4, 4) == "ORTM");  // the mark of ONNX Runtime's own format
  CHECK_NOTHROW(library.session(file + gather, ort::Device::kCpu));
}

TEST_CASE("what opened ONNX Runtime first may go before what opened it later") {
  auto first = std::make_unique<const ort::Library>(ORT_LIBRARY);
  const ort::Library second(ORT_LIBRARY);
  first.reset();
  const auto session = second.session(ort::gather_model(ort::kFloat), ort::Device::kCpu);
  std::array<float, 1> data{1}, rows{};
  std::array<std::int64_t, 1> unknown{7};
  const std::array<std::int64_t, 1> one{1};
  const auto data_value = second.tensor(std::span(data), one, ort::kFloat);
  const auto index_value = second.tensor(std::span(unknown), one, ort::kInt64);
  const auto rows_value = second.tensor(std::span(rows), one, ort::kFloat);
  const std::array<const char*, 2> inputs{"data", "indices"};
  const std::array<const char*, 1> outputs{"rows"};
  const std::array<const ort::OrtValue*, 2> in{data_value.get(), index_value.get()};
  std::array<ort::OrtValue*, 1> out{rows_value.get()};
  // ONNX Runtime tells its logger of the error, too.
  CHECK_THROWS_AS(second.check("a row", ort::Run, session.get(), nullptr, inputs.data(), in.data(),
                               in.size(), outputs.data(), outputs.size(), out.data()),
                  OrtError);
}
