// Parameters of any shapes, numbers of heads and epsilons as a transformer: they are refused with
// an ArtifactError, or each kernel runs a few steps and stays within its memory.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "errors.h"
#include "transformer_step.h"

namespace {

using namespace makemore::transformer;

/// The weights of a small transformer, of which some get another shape.
struct Weights {
  explicit Weights(FuzzedDataProvider& data) {
    const std::size_t vocab = size(data), block = size(data), width = size(data);
    add(vocab, width);
    add(block, width);
    for (auto layers = data.ConsumeIntegralInRange(0, 2); layers > 0; --layers) {
      norm(width);
      linear(3 * width, width);
      linear(width, width);
      norm(width);
      linear(4 * width, width);
      linear(width, 4 * width);
    }
    norm(width);
    add(vocab, width);
    for (auto changes = data.ConsumeIntegralInRange(0, 2); changes > 0; --changes) {
      const auto at = data.ConsumeIntegralInRange<std::size_t>(0, parameters.size() - 1);
      parameters[at].rows = size(data);
      parameters[at].columns = size(data);
    }
    parameters.resize(parameters.size() - data.ConsumeIntegralInRange<std::size_t>(0, 1));
    for (Parameter& parameter : parameters) {
      const float value = data.ConsumeFloatingPoint<float>();
      parameter.values = values.emplace_back(parameter.rows * parameter.columns, value).data();
    }
  }

  static std::size_t size(FuzzedDataProvider& data) {
    return data.ConsumeIntegralInRange<std::size_t>(0, 40);
  }

  void add(std::size_t rows, std::size_t columns) {
    parameters.push_back({nullptr, rows, columns});
  }

  void norm(std::size_t width) {
    add(width, 1);
    add(width, 1);
  }

  void linear(std::size_t outputs, std::size_t inputs) {
    add(outputs, inputs);
    add(outputs, 1);
  }

  std::vector<Parameter> parameters;
  std::vector<std::vector<float>> values;
};

void run(const TransformerStep& step, std::size_t rows) {
  const std::size_t block = step.model().block_size, floats = step.page_floats();
  const std::vector<std::int64_t> tokens(rows,
                                         static_cast<std::int64_t>(step.model().vocab_size) - 1);
  std::vector<std::vector<float>> memory(rows * block, std::vector<float>(floats));
  std::vector<const float*> pages;
  for (const auto& page : memory) pages.push_back(page.data());
  std::vector<float> logits(rows * step.model().vocab_size);
  for (std::size_t position = 0; position < block; ++position) {
    std::vector<float*> written;
    for (std::size_t row = 0; row < rows; ++row) {
      written.push_back(memory[row * block + position].data());
    }
    const std::vector<std::int64_t> positions(rows, static_cast<std::int64_t>(position));
    step.run(tokens, positions, pages.data(), written.data(), logits.data());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  FuzzedDataProvider data(bytes, size);
  const auto heads = data.ConsumeBool() ? data.ConsumeIntegralInRange<std::int64_t>(-1, 9)
                                        : data.ConsumeIntegral<std::int64_t>();
  const auto epsilon = data.ConsumeFloatingPoint<float>();
  const auto rows = data.ConsumeIntegralInRange<std::size_t>(1, 17);
  const Weights weights(data);
  for (const Kernel* kernel : kernels()) {
    try {
      const TransformerStep step(*kernel, weights.parameters, heads, epsilon);
      run(step, rows);
    } catch (const makemore::ArtifactError&) {
    }
  }
  return 0;
}
