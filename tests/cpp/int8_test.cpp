#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "component.h"
#include "some_components.h"

namespace {

using Shapes = std::vector<std::vector<std::size_t>>;

constexpr std::size_t kAll = static_cast<std::size_t>(-1);

/// Of these shapes, the matrices in int8 if `rounded`, or only the parameter of that index; else
/// the same numbers in float32.
std::vector<Parameter> int8_parameters(const Shapes& shapes, bool rounded,
                                       std::size_t only = kAll) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int> whole(-127, 127);
  std::uniform_real_distribution<float> scale(0.5f, 2.0f);
  auto parameters = random_parameters(shapes, false);
  for (std::size_t i = 1; i < shapes.size(); ++i) {  // the first are embeddings, or tables
    if (shapes[i].size() < 2) continue;
    const std::size_t rows = shapes[i][0], inputs = shapes[i][1];
    const bool is_int8 = rounded && (only == kAll || only == i);
    float* values = parameters[i].data.data()->values;
    std::vector<float> scales;
    for (std::size_t row = 0; row < rows; ++row) {
      scales.push_back(scale(random) / (73 * std::sqrt(static_cast<float>(inputs))));
      for (float* value = values + row * inputs; value < values + (row + 1) * inputs; ++value) {
        *value = static_cast<float>(whole(random)) * (is_int8 ? 1 : scales.back());
      }
    }
    if (is_int8) parameters[i].scales = scales;
  }
  return parameters;
}

std::unique_ptr<Component> made(const Kernel& kernel, const char* function,
                                const std::vector<StateLayout>& states, const Shapes& shapes,
                                bool rounded) {
  return new_component(kernel, function, states, int8_parameters(shapes, rounded));
}

float most_apart(const std::vector<float>& a, const std::vector<float>& b) {
  float most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
  return most;
}

Shapes of_perceptron(std::size_t vocab, std::size_t context, std::size_t width,
                     std::size_t hidden) {
  return {{vocab, width}, {hidden, context * width}, {hidden}, {vocab, hidden},
          {vocab},        {vocab, context * width}};
}

Shapes of_recurrent(std::size_t vocab, std::size_t width, std::size_t hidden, std::size_t gates) {
  return {{vocab, width},   {gates * hidden, width}, {gates * hidden, hidden},
          {gates * hidden}, {gates * hidden},        {vocab, hidden},
          {vocab}};
}

}  // namespace

TEST_CASE("products with int8 are those with the same numbers in float32") {
  constexpr std::size_t kContext = 3;
  const std::vector<StateLayout> window{{true, {kContext - 1}}};
  struct Sizes {
    std::size_t vocab, width, hidden;
  };
  for (const Sizes& sizes :
       {Sizes{100, 1, 1}, {5, 21, 64}, {70, 22, 200}, {130, 171, 513}, {33, 600, 1'025}}) {
    const auto shapes = of_perceptron(sizes.vocab, kContext, sizes.width, sizes.hidden);
    for (const Kernel* kernel : family_kernels()) {
      CAPTURE(std::string(kernel->name));
      CAPTURE(sizes.vocab);
      const auto rounded = made(*kernel, "MlpStep", window, shapes, true);
      const auto exact = made(*kernel, "MlpStep", window, shapes, false);
      for (const std::size_t rows : {1, 2, 3, 5}) {
        const auto logits = stepped(*rounded, rows, 2 * (kContext - 1), 0).logits;
        CHECK(most_apart(logits, stepped(*exact, rows, 2 * (kContext - 1), 0).logits) < 1e-4f);
      }
    }
  }
}

TEST_CASE("cells with int8 are those with the same numbers in float32") {
  for (const RecurrentKind& kind : kRecurrentKinds) {
    for (const std::size_t hidden : {1, 7, 64, 200, 515, 1'030}) {
      const auto shapes = of_recurrent(101, 5, hidden, kind.gates);
      const std::vector<StateLayout> layouts(kind.states, StateLayout{false, {hidden}});
      for (const Kernel* kernel : family_kernels()) {
        CAPTURE(std::string(kernel->name));
        CAPTURE(std::string(kind.function));
        CAPTURE(hidden);
        const auto rounded = made(*kernel, kind.function, layouts, shapes, true);
        const auto exact = made(*kernel, kind.function, layouts, shapes, false);
        const auto [of_int8, logits] = stepped(*rounded, 101, layouts.size() * hidden, 0.7f);
        const auto expected = stepped(*exact, 101, layouts.size() * hidden, 0.7f);
        CHECK(most_apart(of_int8, expected.states) < 1e-4f);
        CHECK(most_apart(logits, expected.logits) < 1e-4f);
        const auto one = stepped(*rounded, 1, layouts.size() * hidden, 0.7f);
        CHECK(std::equal(one.logits.begin(), one.logits.end(), logits.begin()));
        CHECK(std::equal(one.states.begin(), one.states.end(), of_int8.begin()));
      }
    }
  }
}

TEST_CASE("a network may have any of its matrices in int8, and the others in float32") {
  const auto shapes = of_recurrent(20, 6, 33, 4);
  const std::vector<StateLayout> layouts(2, StateLayout{false, {33}});
  for (const Kernel* kernel : family_kernels()) {
    const auto expected =
        stepped(*made(*kernel, "LstmStep", layouts, shapes, false), 20, 66, 0.7f).logits;
    for (std::size_t only = 1; only < shapes.size(); ++only) {
      const auto parameters = int8_parameters(shapes, true, only);
      const auto component = new_component(*kernel, "LstmStep", layouts, parameters);
      CHECK(most_apart(stepped(*component, 20, 66, 0.7f).logits, expected) < 1e-4f);
    }
  }
}

TEST_CASE("with int8 what is not finite does not become a number, and what is tiny does no harm") {
  constexpr std::size_t kVocab = 9, kContext = 2, kWidth = 20;
  const std::vector<StateLayout> window{{true, {kContext - 1}}};
  const auto shapes = of_perceptron(kVocab, kContext, kWidth, 30);
  for (const Kernel* kernel : family_kernels()) {
    CAPTURE(std::string(kernel->name));
    // Rows of tokens 0 and 1, the last number of whose embedding is `number`.
    const auto logits = [&](float number) {
      auto parameters = int8_parameters(shapes, true);
      float* embeddings = parameters[0].data.data()->values;
      std::fill_n(embeddings, kVocab * kWidth, 0.0f);
      embeddings[2 * kWidth - 1] = number;
      const auto component = new_component(*kernel, "MlpStep", window, parameters);
      return stepped(*component, 2, 2 * (kContext - 1), 0).logits;
    };
    const auto zero = logits(0);
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    for (const float number : {std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity}) {
      const auto found = logits(number);
      CHECK(std::equal(zero.begin(), zero.begin() + kVocab, found.begin()));
      CHECK(std::none_of(found.begin() + kVocab, found.end(),
                         [](float logit) { return std::isfinite(logit); }));
    }
    for (const float number : {1e-42f, -1e-37f, 1e-30f}) {
      CHECK(most_apart(logits(number), zero) < 1e-6f);
    }
  }
}
