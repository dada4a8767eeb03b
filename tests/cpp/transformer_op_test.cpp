// The kernels inside ONNX Runtime, over the artifact of tests/fused_artifact.py.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <future>

#include "cpu_step.h"
#include "paged_step.h"
#include "step_factory.h"

using namespace makemore;

namespace {

constexpr std::int64_t kBlock = 8, kVocab = 5;
constexpr float kTolerance = 1e-4F;

/// `kernel`: "" for none.
std::shared_ptr<const OnnxModel> open(const std::string& kernel,
                                      const std::string& name = "fused") {
  static const auto library = std::make_shared<const ort::Library>(ORT_LIBRARY);
  return open_model(library, read_model_file(ARTIFACTS "/" + name + "/model.onnx"), {}, kernel);
}

std::string kernel_of(const OnnxModel& model) {
  return model.fused_op() != nullptr ? model.fused_op()->kernel() : "";
}

using Axes = std::vector<std::optional<std::int64_t>>;
const Axes kInPlace{0, 0, 0, 0}, kCopied(4);

std::vector<float> logits_of(std::shared_ptr<const OnnxModel> model, const Axes& time_axes,
                             std::int64_t rows) {
  CpuStep step(std::move(model), time_axes);
  step.reset(rows);
  std::vector<float> logits;
  for (std::int64_t turn = 0; turn < kBlock; ++turn) {
    std::vector<std::int64_t> tokens, positions;
    for (std::int64_t row = 0; row < rows; ++row) {
      positions.push_back(std::max<std::int64_t>(turn - row % 3, 0));
      tokens.push_back((row + turn) % kVocab);
    }
    const auto found = step.run(tokens, positions);
    logits.insert(logits.end(), found.begin(), found.end());
  }
  return logits;
}

}  // namespace

TEST_CASE("a kernel runs in place of the function, and gives what its body gives") {
  CHECK(kernel_of(*open("")).empty());
  const auto body = logits_of(open(""), kInPlace, 13);
  for (const std::string& kernel : kernel_names()) {
    const auto model = open(kernel);
    CHECK(kernel_of(*model) == kernel);
    for (const Axes& time_axes : {kInPlace, kCopied}) {
      const auto fused = logits_of(model, time_axes, 13);
      REQUIRE(fused.size() == body.size());
      for (std::size_t i = 0; i < body.size(); ++i) {
        CHECK(std::abs(fused[i] - body[i]) <= kTolerance);
      }
    }
  }
}

TEST_CASE("a model without the function runs as it is") {
  for (const std::string& kernel : kernel_names()) {
    const auto model = open(kernel, "cache");
    CHECK(kernel_of(*model).empty());
    CHECK(model->fused_op()->new_step(model) == nullptr);
  }
}

TEST_CASE("a kernel that is the whole of a model can be run without ONNX Runtime") {
  for (const std::string& kernel : kernel_names()) {
    const auto model = open(kernel);
    const auto is_paged = [&](const Axes& time_axes) {
      return dynamic_cast<PagedStep*>(new_cpu_step(model, time_axes, kBlock).get()) != nullptr;
    };
    CHECK(is_paged(kInPlace));
    CHECK(!is_paged(kCopied));
  }
}

TEST_CASE("threads run one session at the same time") {
  for (const std::string& kernel : kernel_names()) {
    const auto model = open(kernel);
    const auto expected = logits_of(model, kCopied, 100);
    std::vector<std::future<std::vector<float>>> threads;
    for (int i = 0; i < 3; ++i) {
      threads.push_back(std::async(std::launch::async, logits_of, model, kCopied, 100));
    }
    for (auto& thread : threads) CHECK(thread.get() == expected);
  }
}
