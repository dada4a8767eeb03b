// The steps over real models in a real ONNX Runtime. The artifacts are those of
// tests/tiny_artifacts.py; Python checks their golden samples, here the steps are compared.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <deque>
#include <fstream>
#include <limits>
#include <memory>

#include "cpu_step.h"
#include "decode.h"
#include "device_step.h"
#include "gather_model.h"
#include "tiny_models.h"

using namespace makemore;

namespace {

std::shared_ptr<const ort::Library> library() {
  static const auto opened = std::make_shared<const ort::Library>(ORT_LIBRARY);
  return opened;
}

std::shared_ptr<const OnnxModel> open(const std::string& name) {
  const std::string path = std::string(ARTIFACTS "/") + name + "/model.onnx";
  return std::make_shared<const OnnxModel>(library(), read_model_file(path));
}

template <class AnyStep>
Decoded sample(const std::vector<AnyStep*>& steps, std::int64_t batch_size,
               Strategy strategy = Strategy::kAuto) {
  DecodeRequest request;
  request.rows = 300;
  request.max_length = 7;
  request.seed = 5;
  request.batch_size = batch_size;
  request.strategy = strategy;
  std::deque<Worker> workers;
  std::vector<Worker*> pointers;
  [[maybe_unused]] const auto budget = std::make_shared<CacheBudget>(CacheBudget::kDefaultBytes);
  for (AnyStep* step : steps) {
    if constexpr (std::is_same_v<AnyStep, SnapshotStep>) {
      pointers.push_back(&workers.emplace_back(*step, budget));
    } else {
      pointers.push_back(&workers.emplace_back(*step));
    }
  }
  return decode(pointers, request);
}

void check_same(const Decoded& made, const Decoded& expected) {
  CHECK(made.tokens == expected.tokens);
  CHECK(made.lengths == expected.lengths);
  CHECK(made.log_probs == expected.log_probs);
  CHECK(made.finished == expected.finished);
}

}  // namespace

TEST_CASE("the library has a version and a provider for the CPU") {
  CHECK(library()->version().substr(0, 2) == "1.");
  CHECK(std::ranges::count(library()->providers(), "CPUExecutionProvider") == 1);
}

TEST_CASE("a model has its states and its metadata") {
  const auto history = open("history");
  CHECK(history->vocab_size() == 4);
  REQUIRE(history->states().size() == 2);
  CHECK(history->states()[0].name == "trace");
  CHECK(history->states()[0].shape == std::vector<std::int64_t>{3});
  CHECK(history->states()[0].row_bytes == 3 * sizeof(float));
  CHECK(history->states()[1].element_type == ort::kInt64);
  CHECK(history->states()[1].row_bytes == sizeof(std::int64_t));
  const auto half = open("half");
  CHECK(half->states()[0].element_type == ort::kHalf);
  CHECK(half->states()[0].row_bytes == 3 * 2);
  CHECK(history->metadata("makemore").front() == '{');
  CHECK(history->metadata("nothing").empty());
}

TEST_CASE("every step and strategy gives the same strings, for any batch size and workers") {
  for (const Tiny& tiny : kTinyModels) {
    CAPTURE(tiny.name);
    const auto model = open(tiny.name);
    CpuStep alone(model, tiny.time_axes), other(model, tiny.time_axes);
    const auto on_device = std::make_shared<const DeviceModel>(model, tiny.time_axes);
    DeviceStep device(on_device), second_device(on_device);
    const Decoded expected = sample<SnapshotStep>({&alone}, 1, Strategy::kTree);
    for (const std::int64_t batch_size : {1, 3, 64, 1000}) {
      for (const auto& steps : {std::vector<SnapshotStep*>{&alone}, {&alone, &other}}) {
        for (const Strategy strategy : {Strategy::kAuto, Strategy::kTree, Strategy::kCached}) {
          check_same(sample(steps, batch_size, strategy), expected);
        }
      }
      // Without snapshots, the CPU's step too.
      for (const auto& steps :
           {std::vector<Step*>{&alone}, {&alone, &other}, {&device}, {&device, &second_device}}) {
        check_same(sample(steps, batch_size), expected);
      }
    }
  }
}

TEST_CASE("the bigram gives the logits of its table") {
  CpuStep step(open("bigram"), Axes{});
  step.reset(2);
  const std::array<std::int64_t, 2> tokens{0, 3}, positions{0, 7};
  const auto logits = step.run(tokens, positions);
  REQUIRE(logits.size() == 8);
  CHECK(logits[1] == doctest::Approx(std::log(0.4)));
  CHECK(logits[4] == doctest::Approx(std::log(0.45)));
}

TEST_CASE("a step takes no rows, and more or fewer than before") {
  for (const Tiny& tiny : kTinyModels) {
    const auto model = open(tiny.name);
    CpuStep cpu(model, tiny.time_axes);
    DeviceStep device(std::make_shared<const DeviceModel>(model, tiny.time_axes));
    for (Step* step : {static_cast<Step*>(&cpu), static_cast<Step*>(&device)}) {
      step->reset(0);
      CHECK(step->run({}, {}).empty());
      step->select({});
      step->reset(1);
      const std::array<std::int64_t, 3> zeros{0, 0, 0};
      CHECK(step->run(std::span(zeros).first(1), std::span(zeros).first(1)).size() ==
            static_cast<std::size_t>(model->vocab_size()));
      step->select(zeros);
      const std::array<std::int64_t, 3> ones{1, 1, 1};
      const auto logits = step->run(ones, ones);
      const auto row = logits.first(logits.size() / 3);
      CHECK(std::ranges::equal(row, logits.last(row.size())));
      step->select({});
      CHECK(step->run({}, {}).empty());
    }
  }
}

TEST_CASE("rows, tokens and parents that do not fit are refused") {
  const auto model = open("history");
  CpuStep cpu(model, Axes{std::nullopt, std::nullopt});
  DeviceStep device(std::make_shared<const DeviceModel>(model, Axes{std::nullopt, std::nullopt}));
  const std::array<std::int64_t, 2> zeros{0, 0}, beyond{0, 2}, before{0, -1}, crossed{1, 0};
  for (Step* step : {static_cast<Step*>(&cpu), static_cast<Step*>(&device)}) {
    CHECK_THROWS_AS(step->reset(-1), OptionError);
    step->reset(2);
    CHECK_THROWS_AS(step->run(std::span(zeros).first(1), zeros), OptionError);
    CHECK_THROWS_AS(step->run(zeros, std::span(zeros).first(1)), OptionError);
    CHECK_THROWS_AS(step->select(beyond), OptionError);
    CHECK_THROWS_AS(step->select(before), OptionError);
  }
  CHECK_THROWS_AS(cpu.select(crossed), OptionError);
}

TEST_CASE(
    "tokens and positions that a model does not know are refused, and the step can be used again") {
  const auto model = open("cache");  // of 4 tokens and 8 positions
  CpuStep in_place(model, Axes{1}), copied(model, Axes{std::nullopt}, 8);
  DeviceStep device(std::make_shared<const DeviceModel>(model, Axes{1}, 8));
  constexpr auto kLowest = std::numeric_limits<std::int64_t>::min();
  constexpr auto kHighest = std::numeric_limits<std::int64_t>::max();
  for (Step* step : std::initializer_list<Step*>{&in_place, &copied, &device}) {
    step->reset(1);
    const std::array<std::int64_t, 1> zero{0};
    for (const std::int64_t beyond : {kLowest, std::int64_t{-1}, std::int64_t{4}, kHighest}) {
      CHECK_THROWS_AS(step->run(std::array{beyond}, zero), OptionError);
    }
    for (const std::int64_t beyond : {kLowest, std::int64_t{-1}, std::int64_t{8}, kHighest}) {
      CHECK_THROWS_AS(step->run(zero, std::array{beyond}), OptionError);
    }
    CHECK(step->run(zero, zero).size() == 4);
  }
}

TEST_CASE("time axes that the model does not have are refused") {
  const auto model = open("cache");
  CHECK_THROWS_AS(CpuStep(model, Axes{}), ArtifactError);
  CHECK_THROWS_AS(CpuStep(model, Axes{3}), ArtifactError);
  CHECK_THROWS_AS(CpuStep(model, Axes{-1}), ArtifactError);
  CHECK_THROWS_AS(CpuStep(model, Axes{1, 1}), ArtifactError);
  CHECK_THROWS_AS(CpuStep(model, Axes{1}, 9), ArtifactError);
}

TEST_CASE("a file that is no step is refused") {
  const std::string path = "not_a_step.onnx";
  const auto refuse = [&](const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
    CHECK_THROWS_AS(OnnxModel(library(), read_model_file(path)), ArtifactError);
    std::remove(path.c_str());
  };
  refuse("");
  refuse("hello");
  refuse(ort::gather_model(ort::kFloat));
  CHECK_THROWS_AS(read_model_file("nowhere.onnx"), ArtifactError);
  CHECK_THROWS_AS(read_model_file(ARTIFACTS), ArtifactError);
  CHECK_THROWS_AS(read_model_file(ARTIFACTS "/bigram/model.onnx", 100), ArtifactError);
}

TEST_CASE("cuda is refused by a library that has no CUDA provider") {
  if (std::ranges::count(library()->providers(), "CUDAExecutionProvider") > 0) return;
  CHECK_THROWS_AS(OnnxModel(library(), read_model_file(ARTIFACTS "/bigram/model.onnx"),
                            {.device = ort::Device::kCuda}),
                  OrtError);
}
