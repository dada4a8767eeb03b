// The device's step and sampler in a real ONNX Runtime, on the memory of the CPU.
#include <doctest/doctest.h>

#include <memory>

#include "device_block_step.h"
#include "device_step.h"
#include "row_by_row.h"
#include "tiny_models.h"

using namespace makemore;

namespace {

using Ids = std::vector<std::int64_t>;
std::shared_ptr<const DeviceModel> open(const Tiny& tiny) {
  static const auto library = std::make_shared<const ort::Library>(ORT_LIBRARY);
  const std::string path = std::string(ARTIFACTS "/") + tiny.name + "/model.onnx";
  return std::make_shared<const DeviceModel>(
      std::make_shared<const OnnxModel>(library, read_model_file(path),
                                        ModelOptions{.keep_file = true}),
      tiny.time_axes);
}

/// The model's logits by its definition: all tokens fed one after the other to a fresh row.
LogitsOf logits_by(Step& step) {
  return [&step](const Ids& fed) {
    step.reset(1);
    std::span<const float> logits;
    for (std::int64_t position = 0; position < std::ssize(fed); ++position) {
      logits = step.run(std::span(fed).subspan(static_cast<std::size_t>(position), 1),
                        std::span(&position, 1));
    }
    return std::vector<float>(logits.begin(), logits.end());
  };
}

struct Case {
  SamplingOptions options;
  Ids excluded = {};
};

const std::vector<Case> kCases{{{}},
                               {{.temperature = 0.6}},
                               {{.temperature = 0}},
                               {{.top_k = 2}},
                               {{.top_p = 0.7}},
                               {{.min_p = 0.4}},
                               {{}, {1}},
                               {{.temperature = 0, .top_k = 1, .top_p = 0.1, .min_p = 1}, {2}},
                               {{.temperature = 1.5, .top_k = 3, .top_p = 0.9, .min_p = 0.2}, {3}}};

}  // namespace

TEST_CASE("slots are refused that a kernel could not index") {
  const std::vector<StateTensor> states{{"cache", ort::kFloat, {16, 64}, 4096},
                                        {"count", ort::kInt64, {}, 8}};
  require_indexable((1 << 21) - 1, states);
  CHECK_THROWS_WITH_AS(require_indexable(1 << 21, states),
                       "a state of 2097152 slots has more than 2147483647 numbers", OutOfMemory);
  CHECK_THROWS_AS(require_indexable(std::int64_t{1} << 62, states), OutOfMemory);
}

TEST_CASE("the sampler on the device makes the strings of the definition, whatever the options") {
  for (const Tiny& tiny : kTinyModels) {
    CAPTURE(tiny.name);
    const auto device = open(tiny);
    DeviceStep alone(device);
    for (const auto& [options, excluded] : kCases) {
      DecodeRequest request;
      request.rows = 60;
      request.max_length = 7;
      request.seed = 5;
      request.batch_size = 16;
      request.sampling = options;
      if (!excluded.empty()) {
        request.excluded =
            std::make_shared<const ExcludedTokens>(excluded, device->model().vocab_size());
      }
      DeviceBlockStep step(device, options, request.excluded.get());
      const Decoded made = decode_on_device(step, request);
      const Decoded expected = row_by_row(logits_by(alone), step.vocab_size(), request);
      CHECK(made.tokens == expected.tokens);
      CHECK(made.lengths == expected.lengths);
      CHECK(made.finished == expected.finished);
      for (std::size_t i = 0; i < made.log_probs.size(); ++i) {
        CHECK(made.log_probs[i] == doctest::Approx(expected.log_probs[i]).epsilon(1e-12));
      }
    }
  }
}

TEST_CASE("options outside their range are refused before anything runs") {
  const auto device = open(kTinyModels[0]);
  for (const SamplingOptions& options :
       {SamplingOptions{.temperature = -1}, {.top_k = -1}, {.top_p = 0}, {.min_p = 2}}) {
    CHECK_THROWS_AS(DeviceBlockStep(device, options), OptionError);
  }
}

TEST_CASE("time axes that are not as many as the states are refused") {
  CHECK_THROWS_AS(open({"cache", {}}), ArtifactError);
  CHECK_THROWS_AS(open({"bigram", {1}}), ArtifactError);
}
