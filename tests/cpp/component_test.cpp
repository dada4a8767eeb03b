#include "component.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "errors.h"
#include "some_components.h"

namespace {

using namespace makemore::kernels;

Parameter indices(const std::vector<std::int32_t>& values) {
  Parameter made{
      true, false, {values.size()}, makemore::aligned_buffer(values.size() * sizeof(float))};
  std::memcpy(made.data.data(), values.data(), values.size() * sizeof(float));
  return made;
}

Parameter column(const std::vector<std::int32_t>& values) {
  Parameter made = indices(values);
  made.shape.push_back(1);
  return made;
}

/// 2 tokens; contexts are 0, the empty one, 1 and 2 after each token, 3 and 4 after two tokens.
std::vector<Parameter> sparse_ngram() {
  constexpr std::int32_t kNoContext = std::numeric_limits<std::int32_t>::max();
  std::vector<Parameter> made;
  made.push_back(parameter({1, 2}, {-1, -2}));
  made.push_back(indices({1, 2}));
  made.push_back(column({0, 1, 2, 4}));                // ends
  made.push_back(column({kNoContext, 0, 0}));          // suffix
  made.push_back(parameter({3, 1}, {0, -4, -8}));      // weight
  made.push_back(column({2, 2, 1, 0, 1}));             // token
  made.push_back(parameter({5, 1}, {0, 0, 1, 2, 3}));  // value
  made.push_back(column({0, 0, 3, 1, 4}));             // next
  made.push_back(column({0, 1, 2, 3}));
  made.push_back(column({kNoContext, 2, 2}));
  made.push_back(parameter({3, 1}, {0, -16, -32}));
  made.push_back(column({2, 2, 0, 1}));
  made.push_back(parameter({4, 1}, {0, 0, 5, 6}));
  return made;
}

std::unique_ptr<Component> new_sparse(const char* function, const std::vector<Parameter>& tables) {
  const std::vector<StateLayout> states{{true, {}}};
  return new_component(*family_kernels().front(), function, states, tables);
}

/// Logits (2) after each of the tokens, one after the other.
std::vector<float> logits_after(const Component& component,
                                const std::vector<std::int64_t>& tokens) {
  std::int64_t state = 0, following = 0, position = 0;
  std::vector<float> all;
  for (const std::int64_t token : tokens) {
    const auto* before = reinterpret_cast<const std::byte*>(&state);
    auto* after = reinterpret_cast<std::byte*>(&following);
    std::array<float, 2> logits;
    component.run({1, &token, &position, &before, &after, 0, logits.data()}, nullptr);
    all.insert(all.end(), logits.begin(), logits.end());
    state = following;
  }
  return all;
}

/// Numbers from -limit to limit, then some where floats end.
std::vector<float> sweep(float limit) {
  std::vector<float> values;
  for (int i = -1'000; i <= 1'000; ++i) values.push_back(limit * static_cast<float>(i) / 1'000);
  for (const float value : {0.0f, -0.0f, 1e-30f, 1e-7f, 90.0f, 200.0f, 1e10f, 3e38f}) {
    values.push_back(value);
    values.push_back(-value);
  }
  return values;
}

std::vector<float> first_states(const Component& component, std::size_t rows, std::size_t floats) {
  return stepped(component, rows, floats, 0).states;
}

/// A network of one unit, whose gates read the numbers of `table` (V, gates).
std::unique_ptr<Component> one_unit(const Kernel& kernel, const char* function, std::size_t states,
                                    const std::vector<float>& table, std::size_t gates) {
  const std::size_t vocab = table.size() / gates;
  const std::vector<float> none(vocab);
  std::vector<Parameter> parameters;
  parameters.push_back(parameter({vocab, gates}, table));
  parameters.push_back(parameter({gates, 1}, std::vector<float>(gates)));
  parameters.push_back(parameter({gates}, std::vector<float>(gates)));
  parameters.push_back(parameter({vocab, 1}, none));
  parameters.push_back(parameter({vocab}, none));
  return new_component(kernel, function, std::vector(states, StateLayout{false, {1}}), parameters);
}

}  // namespace

TEST_CASE("tanh of a cell is off by 2e-7 at most") {
  const auto values = sweep(12);
  for (const Kernel* kernel : family_kernels()) {
    const auto component = one_unit(*kernel, "RnnStep", 1, values, 1);
    const auto states = first_states(*component, values.size(), 1);
    for (std::size_t i = 0; i < values.size(); ++i) {
      REQUIRE(std::abs(states[i] - std::tanh(static_cast<double>(values[i]))) < 2e-7);
    }
  }
}

TEST_CASE("the sigmoid of a gate is off by 1e-7 at most, its product with a tanh by 3e-7") {
  const auto values = sweep(25);
  std::vector<float> table;  // input, forget, candidate and output gate
  for (const float value : values) table.insert(table.end(), {value, 0, 50, 50});
  for (const Kernel* kernel : family_kernels()) {
    const auto component = one_unit(*kernel, "LstmStep", 2, table, 4);
    const auto states = first_states(*component, values.size(), 2);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double cell = 1 / (1 + std::exp(-static_cast<double>(values[i])));
      REQUIRE(std::abs(states[2 * i + 1] - cell) < 1e-7);
      REQUIRE(std::abs(states[2 * i] - std::tanh(cell)) < 3e-7);
    }
  }
}

TEST_CASE("a mixture of one model is its log-softmax, off by 2e-6 at most") {
  const std::array weights{1.0f};
  for (const Kernel* kernel : family_kernels()) {
    for (const std::size_t size : {2, 15, 16, 27, 300}) {
      const Mixture mixture{1, size, weights.data()};
      std::vector<float> logits(3 * size), mixed(3 * size),
          scratch(2 * (size + kernel->packing.lanes));
      for (std::size_t i = 0; i < logits.size(); ++i) {
        logits[i] = 40 * std::sin(static_cast<float>(i * i));
      }
      kernel->mixture(mixture, logits.data(), 3, scratch.data(), mixed.data());
      for (std::size_t row = 0; row < 3; ++row) {
        double total = 0;
        for (std::size_t i = 0; i < size; ++i) {
          total += std::exp(static_cast<double>(logits[row * size + i]));
        }
        for (std::size_t i = row * size; i < (row + 1) * size; ++i) {
          const double expected = logits[i] - std::log(total);
          REQUIRE(std::abs(mixed[i] - expected) < 2e-6 * (1 + std::abs(expected)));
        }
      }
    }
  }
}

TEST_CASE("what is impossible for all models of a mixture stays impossible, and NaN stays NaN") {
  const std::array weights{0.25f, 0.75f};
  const float none = -std::numeric_limits<float>::infinity();
  for (const Kernel* kernel : family_kernels()) {
    const Mixture mixture{2, 3, weights.data()};
    const std::array logits{0.0f, none, 1.0f, 0.0f, none, -1.0f};
    std::array<float, 3> mixed;
    std::vector<float> scratch(2 * (3 + kernel->packing.lanes));
    kernel->mixture(mixture, logits.data(), 1, scratch.data(), mixed.data());
    CHECK(std::isfinite(mixed[0]));
    CHECK(mixed[1] == none);
    const std::array unknown{0.0f, std::nanf(""), 1.0f, 0.0f, 0.0f, 0.0f};
    kernel->mixture(mixture, unknown.data(), 1, scratch.data(), mixed.data());
    CHECK(std::isnan(mixed[1]));
  }
}

TEST_CASE("an n-gram refuses tables that lead out of each other") {
  const std::vector<float> logits(6);  // 3 contexts, 2 tokens
  const std::vector<StateLayout> states{{true, {}}};
  for (const Kernel* kernel : family_kernels()) {
    const auto made = [&](const std::vector<std::int32_t>& next,
                          const std::vector<std::int32_t>& state) {
      std::vector<Parameter> parameters;
      parameters.push_back(parameter({3, 2}, logits));
      parameters.push_back(indices(next));
      parameters.push_back(indices(state));
      return new_component(*kernel, "NgramStep", states, parameters);
    };
    CHECK(made({0, 1, 2, 0}, {0, 1, 1}) != nullptr);
    CHECK_THROWS_AS(made({0, 1, 3, 0}, {0, 1, 1}), makemore::ArtifactError);
    CHECK_THROWS_AS(made({0, -1, 2, 0}, {0, 1, 1}), makemore::ArtifactError);
    CHECK_THROWS_AS(made({0, 1, 2, 0}, {0, 1, 2}), makemore::ArtifactError);
    CHECK_THROWS_AS(made({0, 1, 2}, {0, 1, 1}), makemore::ArtifactError);
    CHECK_THROWS_AS(made({0, 1, 2, 0}, {0, 1}), makemore::ArtifactError);
  }
}

TEST_CASE("a step's multiply-adds are those of its matrices, padded, and none of tables") {
  constexpr std::size_t kVocab = 5, kWidth = 3, kHidden = 64;  // whole blocks of any kernel
  for (const RecurrentKind& kind : kRecurrentKinds) {
    const std::size_t gates = kind.gates * kHidden;
    const auto parameters = random_parameters({{kVocab, kWidth},
                                               {gates, kWidth},
                                               {gates, kHidden},
                                               {gates},
                                               {gates},
                                               {kVocab, kHidden},
                                               {kVocab}},
                                              false);
    const std::vector<StateLayout> layouts(kind.states, StateLayout{false, {kHidden}});
    for (const Kernel* kernel : family_kernels()) {
      const auto component = new_component(*kernel, kind.function, layouts, parameters);
      const std::size_t lanes = kernel->packing.lanes;
      const std::size_t logits = (kVocab + lanes - 1) / lanes * lanes;
      CHECK(component->multiply_adds() == gates * (kWidth + kHidden) + logits * kHidden);
    }
  }
  for (const Kernel* kernel : family_kernels()) {
    const auto table = new_component(*kernel, "BigramStep", {}, random_parameters({{5, 5}}, false));
    REQUIRE(table != nullptr);
    CHECK(table->multiply_adds() == 0);
  }
}

TEST_CASE("weights in float16 give the bits of the same numbers in float32") {
  constexpr std::size_t kVocab = 5, kWidth = 3, kHidden = 21;
  const std::vector<std::vector<std::size_t>> ends{{kVocab, kHidden}, {kVocab}};
  for (const RecurrentKind& kind : kRecurrentKinds) {
    const std::size_t gates = kind.gates * kHidden;
    std::vector<std::vector<std::size_t>> shapes{
        {kVocab, kWidth}, {gates, kWidth}, {gates, kHidden}, {gates}, {gates}};
    shapes.insert(shapes.end(), ends.begin(), ends.end());
    const std::vector<StateLayout> layouts(kind.states, StateLayout{false, {kHidden}});
    for (const Kernel* kernel : family_kernels()) {
      CAPTURE(std::string(kind.function));
      const auto made = [&](bool halves) {
        const auto parameters = random_parameters(shapes, halves);
        const auto component = new_component(*kernel, kind.function, layouts, parameters);
        return stepped(*component, kVocab, layouts.size() * kHidden, 0.5f);
      };
      CHECK(made(true).states == made(false).states);
      CHECK(made(true).logits == made(false).logits);
    }
  }
}

TEST_CASE(
    "what a sparse n-gram has not seen has the log-probability after the suffix and a weight") {
  if (family_kernels().empty()) return;
  const auto tables = sparse_ngram();
  // After 0: context 1. After 0 1: 3, where 1 was not seen, but after its suffix, 2. After 1 1: 4.
  CHECK(logits_after(*new_sparse("SparseNgramStep", tables), {0, 1, 1}) ==
        std::vector<float>{-1 - 4, 1, 5, 3 - 16, 2 - 32, 6});
  CHECK(logits_after(*new_sparse("SparseAdditiveStep", tables), {0, 1, 1}) ==
        std::vector<float>{-4, 1, 5, -16, -32, 6});
}

TEST_CASE("a sparse n-gram with any other number in a table is refused, or reads what it has") {
  if (family_kernels().empty()) return;
  const std::size_t count = sparse_ngram().size();
  std::size_t refused = 0, made = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t size = sparse_ngram()[i].shape[0];
    for (std::size_t at = 0; sparse_ngram()[i].is_integer && at < size; ++at) {
      for (const std::int32_t number : {-1, 0, 1, 2, 3, 4, 5, 6, 1 << 20, INT32_MAX}) {
        auto tables = sparse_ngram();
        reinterpret_cast<std::int32_t*>(tables[i].data.data())[at] = number;
        try {
          const auto component = new_sparse("SparseNgramStep", tables);
          for (unsigned bits = 0; bits < 32; ++bits) {
            logits_after(*component,
                         {bits & 1, bits >> 1 & 1, bits >> 2 & 1, bits >> 3 & 1, bits >> 4 & 1});
          }
          ++made;
        } catch (const makemore::ArtifactError&) {
          ++refused;
        }
      }
    }
  }
  CHECK(made > 50);
  CHECK(refused > 200);
}

TEST_CASE("a sparse n-gram of too few, too many, or other tables is refused") {
  if (family_kernels().empty()) return;
  for (std::size_t i = 0; i < sparse_ngram().size(); ++i) {
    auto tables = sparse_ngram();
    tables.erase(tables.begin() + static_cast<std::ptrdiff_t>(i));
    CHECK_THROWS_AS(new_sparse("SparseNgramStep", tables), makemore::ArtifactError);
    tables = sparse_ngram();
    tables.insert(tables.begin() + static_cast<std::ptrdiff_t>(i), column({0}));
    CHECK_THROWS_AS(new_sparse("SparseNgramStep", tables), makemore::ArtifactError);
  }
  CHECK_THROWS_AS(new_sparse("SparseNgramStep", {}), makemore::ArtifactError);
}

TEST_CASE("a function that no kernel stands for has no component") {
  for (const Kernel* kernel : family_kernels()) {
    CHECK(new_component(*kernel, "OtherStep", {}, {}) == nullptr);
  }
}
