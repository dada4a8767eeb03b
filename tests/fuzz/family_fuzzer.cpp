// Parameters of any shapes and states of any kind as a model of the family: they are refused with
// an ArtifactError, or each kernel runs a few steps and stays within its memory.
#include <fuzzer/FuzzedDataProvider.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "component.h"
#include "errors.h"

namespace {

using namespace makemore::kernels;

std::size_t size(FuzzedDataProvider& data) {
  return data.ConsumeIntegralInRange<std::size_t>(1, 40);
}

/// The shapes of a model, of which some are changed.
struct Model {
  explicit Model(FuzzedDataProvider& data)
      : vocab(size(data)), width(size(data)), hidden(size(data)) {
    const std::array makers{&Model::recurrent, &Model::mlp, &Model::cnn, &Model::bow,
                            &Model::ngram};
    (this->*data.PickValueInArray(makers))(data);
    for (auto changes = data.ConsumeIntegralInRange(0, 2); changes > 0; --changes) {
      auto& shape = shapes[data.ConsumeIntegralInRange<std::size_t>(0, shapes.size() - 1)];
      shape.resize(data.ConsumeIntegralInRange<std::size_t>(0, 2), size(data));
      if (!shape.empty()) shape.back() = data.ConsumeIntegralInRange<std::size_t>(0, 40);
    }
    if (data.ConsumeBool() && !states.empty()) states[0].is_integer = data.ConsumeBool();
    for (const auto& shape : shapes) parameters.push_back(filled(shape, data));
  }

  static Parameter filled(const std::vector<std::size_t>& shape, FuzzedDataProvider& data) {
    std::size_t count = 1;
    for (const std::size_t axis : shape) count *= axis;
    const bool is_integer = shape.size() == 1 && data.ConsumeBool();
    Parameter made{is_integer, shape, makemore::aligned_buffer(count * sizeof(float))};
    const auto value = data.ConsumeIntegralInRange<std::int32_t>(-1, 50);
    const auto number = data.ConsumeFloatingPoint<float>();
    std::vector<std::int32_t> integers(count, value);
    std::vector<float> floats(count, number);
    const void* from = is_integer ? static_cast<void*>(integers.data()) : floats.data();
    if (count > 0) std::memcpy(made.data.data(), from, count * sizeof(float));
    return made;
  }

  void linear(std::size_t outputs, std::size_t inputs) {
    shapes.insert(shapes.end(), {{outputs, inputs}, {outputs}});
  }

  void recurrent(FuzzedDataProvider& data) {
    const std::size_t kind = data.ConsumeIntegralInRange<std::size_t>(0, 2);
    function = std::array{"RnnStep", "LstmStep", "GruStep"}[kind];
    const std::size_t gates = std::array<std::size_t, 3>{1, 4, 3}[kind] * hidden;
    const std::size_t layers = data.ConsumeIntegralInRange<std::size_t>(1, 2);
    const bool has_table = data.ConsumeBool();
    shapes.push_back({vocab, has_table ? gates : width});
    for (std::size_t layer = 0; layer < layers; ++layer) {
      const bool reads = layer > 0 || !has_table;
      if (reads) shapes.push_back({gates, layer > 0 ? hidden : width});
      shapes.push_back({gates, hidden});
      if (reads) shapes.push_back({gates});
      shapes.push_back({gates});
    }
    linear(vocab, hidden);
    states.assign(layers * (kind == 1 ? 2 : 1), {false, {hidden}});
  }

  void mlp(FuzzedDataProvider& data) {
    function = "MlpStep";
    const std::size_t context = data.ConsumeIntegralInRange<std::size_t>(2, 5);
    if (data.ConsumeBool()) {
      shapes.push_back({context * vocab, hidden});
      linear(vocab, hidden);
    } else {
      shapes.push_back({vocab, width});
      linear(hidden, context * width);
      linear(vocab, hidden);
      if (data.ConsumeBool()) shapes.push_back({vocab, context * width});
    }
    states = {{true, {context - 1}}};
  }

  void cnn(FuzzedDataProvider& data) {
    function = "CnnStep";
    const std::size_t layers = data.ConsumeIntegralInRange<std::size_t>(1, 3);
    shapes.push_back({vocab, width});
    for (std::size_t i = 0; i < layers; ++i) linear(2 * width, 2 * width);
    for (std::size_t i = 0; i + 1 < layers; ++i) linear(width, width);
    linear(hidden, layers * width);
    linear(hidden, hidden);
    linear(vocab, hidden);
    for (std::size_t i = 0; i < layers; ++i) states.push_back({false, {size(data), width}});
  }

  void bow(FuzzedDataProvider& data) {
    function = "BowStep";
    shapes = {{vocab, width}, {size(data), width}};
    linear(hidden, width);
    linear(width, hidden);
    linear(vocab, width);
    states = {{false, {width}}};
  }

  void ngram(FuzzedDataProvider& data) {
    function = data.ConsumeBool() ? "NgramStep" : "BigramStep";
    const std::size_t contexts = size(data);
    shapes = {{contexts, vocab}, {size(data) * vocab}, {contexts}};
    states = {{true, {}}};
    if (data.ConsumeBool()) {
      shapes = {{vocab, vocab}};
      states = {};
    }
  }

  std::size_t vocab, width, hidden;
  const char* function = "";
  std::vector<std::vector<std::size_t>> shapes;
  std::vector<StateLayout> states;
  std::vector<Parameter> parameters;
};

void run(const Component& component, std::size_t rows) {
  std::size_t bytes = 0;
  for (const StateLayout& state : component.states()) {
    std::size_t count = state.is_integer ? 2 : 1;
    for (const std::size_t axis : state.shape) count *= axis;
    bytes += count * sizeof(float);
  }
  std::vector<makemore::AlignedBuffer> now(rows), next(rows);
  for (auto& buffer : now) buffer = makemore::aligned_buffer(bytes);
  for (auto& buffer : next) buffer = makemore::aligned_buffer(bytes);
  const std::size_t floats = component.scratch_floats(rows);
  auto scratch = makemore::aligned_buffer(floats * sizeof(float) + 1);
  std::vector<float> logits(rows * component.vocab_size());
  const std::vector<std::int64_t> tokens(rows,
                                         static_cast<std::int64_t>(component.vocab_size()) - 1);
  for (std::int64_t position = 0; position < 4; ++position) {
    if (position >= component.block_size()) break;
    std::vector<const std::byte*> before;
    std::vector<std::byte*> after;
    for (std::size_t row = 0; row < rows; ++row) {
      before.push_back(reinterpret_cast<const std::byte*>(now[row].data()));
      after.push_back(reinterpret_cast<std::byte*>(next[row].data()));
    }
    const std::vector<std::int64_t> positions(rows, position);
    component.run(
        {rows, tokens.data(), positions.data(), before.data(), after.data(), 0, logits.data()},
        scratch.data()->values);
    now.swap(next);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  FuzzedDataProvider data(bytes, size);
  const auto rows = data.ConsumeIntegralInRange<std::size_t>(1, 17);
  const Model model(data);
  for (const Kernel* kernel : family_kernels()) {
    try {
      const auto component = new_component(*kernel, model.function, model.states, model.parameters);
      if (component) run(*component, rows);
    } catch (const makemore::ArtifactError&) {
    }
  }
  return 0;
}
