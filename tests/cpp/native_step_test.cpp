// Steps of kernels, over the artifacts of tests/fused_artifact.py and tests/family_artifacts.py.
#include "native_step.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <future>

#include "step_factory.h"

using namespace makemore;

namespace {

constexpr std::int64_t kBlock = 8, kVocab = 5, kRows = 13;
constexpr float kTolerance = 1e-4F;

using Axes = std::vector<std::optional<std::int64_t>>;

/// `kernel`: "" for none.
std::shared_ptr<const OnnxModel> open(const std::string& kernel,
                                      const std::string& name = "fused") {
  static const auto library = std::make_shared<const ort::Library>(ORT_LIBRARY);
  return open_model(library, read_model_file(ARTIFACTS "/" + name + "/model.onnx"), {}, kernel);
}

std::vector<float> logits_of(std::shared_ptr<const OnnxModel> model) {
  const auto step = new_cpu_step(model, Axes(model->states().size()), kBlock);
  step->reset(kRows);
  std::vector<float> logits;
  for (std::int64_t turn = 0; turn < kBlock; ++turn) {
    std::vector<std::int64_t> tokens, positions;
    for (std::int64_t row = 0; row < kRows; ++row) {
      positions.push_back(std::max<std::int64_t>(turn - row % 3, 0));
      tokens.push_back((row + turn) % kVocab);
    }
    const auto found = step->run(tokens, positions);
    logits.insert(logits.end(), found.begin(), found.end());
  }
  return logits;
}

}  // namespace

TEST_CASE("a kernel runs in place of the nodes, and gives what they give") {
  CHECK(open("")->kernel().empty());
  const auto nodes = logits_of(open(""));
  for (const std::string& kernel : kernel_names()) {
    const auto model = open(kernel);
    CHECK(model->kernel() == kernel);
    const auto native = logits_of(model);
    REQUIRE(native.size() == nodes.size());
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      CHECK(std::abs(native[i] - nodes[i]) <= kTolerance);
    }
  }
}

TEST_CASE("a model without our functions is run by ONNX Runtime") {
  for (const std::string& kernel : kernel_names()) {
    CHECK(open(kernel, "cache")->native() == nullptr);
    CHECK(open(kernel, "cache")->kernel().empty());
  }
}

TEST_CASE("a block that the weights do not know is refused") {
  for (const std::string& kernel : kernel_names()) {
    CHECK_THROWS_AS(new_cpu_step(open(kernel), Axes(4), kBlock + 1), ArtifactError);
  }
}

TEST_CASE("threads share one model") {
  for (const std::string& kernel : {kernel_names().front(), std::string()}) {
    const auto model = open(kernel);
    const auto expected = logits_of(model);
    std::vector<std::future<std::vector<float>>> threads;
    for (int i = 0; i < 3; ++i) {
      threads.push_back(std::async(std::launch::async, logits_of, model));
    }
    for (auto& thread : threads) CHECK(thread.get() == expected);
  }
}
