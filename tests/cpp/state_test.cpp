// States of the steps that save them: any row of any step of a model can continue from any state.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <random>

#include "cpu_step.h"
#include "step_factory.h"
#include "tiny_models.h"

using namespace makemore;

namespace {

using Ids = std::vector<std::int64_t>;
using NewStep = std::function<std::unique_ptr<SnapshotStep>()>;

constexpr float kTolerance = 1e-3F;  // float16 sums of one row and of many
constexpr std::size_t kLongest = 6;  // tokens, fewer than every block holds

/// `kernel`: "" for none.
std::shared_ptr<const OnnxModel> open(const std::string& name, const std::string& kernel) {
  static const auto library = std::make_shared<const ort::Library>(ORT_LIBRARY);
  return open_model(library, read_model_file(ARTIFACTS "/" + name + "/model.onnx"), {}, kernel);
}

/// Makes steps of the kernel, without ONNX Runtime.
NewStep native_steps(const std::string& kernel) {
  return [model = open("fused", kernel)] { return new_cpu_step(model, {0, 0, 0, 0}, {}); };
}

/// Every kind of step that can save: ONNX Runtime's over each tiny model, and each kernel's.
std::vector<NewStep> kinds() {
  std::vector<NewStep> kinds;
  for (const Tiny& tiny : kTinyModels) {
    kinds.push_back([model = open(tiny.name, ""), axes = tiny.time_axes] {
      return std::make_unique<CpuStep>(model, axes);
    });
  }
  for (const std::string& kernel : kernel_names()) kinds.push_back(native_steps(kernel));
  return kinds;
}

/// The logits of a new step after the tokens of `fed`.
std::vector<float> logits_after(const NewStep& new_step, const Ids& fed) {
  const auto step = new_step();
  step->reset(1);
  std::span<const float> logits;
  for (std::size_t i = 0; i < fed.size(); ++i) {
    logits = step->run(std::span(&fed[i], 1), Ids{static_cast<std::int64_t>(i)});
  }
  return {logits.begin(), logits.end()};
}

struct Known {
  Ids fed;
  StateSnapshot state;
};

}  // namespace

TEST_CASE("a row continues from any state, whatever row of whatever step was in it") {
  for (const NewStep& new_step : kinds()) {
    std::mt19937 random(1);
    const auto below = [&random](std::size_t limit) { return random() % limit; };
    const std::unique_ptr<SnapshotStep> steps[] = {new_step(), new_step()};
    const auto vocab_size = static_cast<std::size_t>(steps[0]->vocab_size());
    std::vector<Known> known{{}};  // the zero state
    std::map<Ids, std::vector<float>> expected;
    for (int turn = 0; turn < 60; ++turn) {
      SnapshotStep& step = *steps[below(2)];
      std::vector<Ids> rows;
      std::vector<std::optional<StateSnapshot>> states;
      for (std::size_t i = 0, count = 1 + below(9); i < count; ++i) {
        const Known& from = known[below(known.size())];
        rows.push_back(from.fed);
        states.push_back(from.state);
      }
      step.restore(states);
      for (std::size_t i = 0, runs = 1 + below(2); i < runs; ++i) {
        Ids tokens, positions;
        for (Ids& row : rows) {
          positions.push_back(std::ssize(row));
          row.push_back(static_cast<std::int64_t>(below(vocab_size)));
          tokens.push_back(row.back());
        }
        const auto logits = step.run(tokens, positions);
        for (std::size_t row = 0; row < rows.size(); ++row) {
          auto [at, is_new] = expected.try_emplace(rows[row]);
          if (is_new) at->second = logits_after(new_step, rows[row]);
          for (std::size_t id = 0; id < vocab_size; ++id) {
            const float found = logits[row * vocab_size + id], wanted = at->second[id];
            CHECK((found == wanted || std::abs(found - wanted) < kTolerance));
          }
        }
      }
      for (std::size_t row = 0; row < rows.size(); ++row) {
        if (rows[row].size() + 2 > kLongest) continue;
        const StateSnapshot state = step.save(static_cast<std::int64_t>(row));
        if (!step.is_stateless()) CHECK(state->steps == std::ssize(rows[row]));
        known.push_back({rows[row], state});
      }
    }
  }
}

TEST_CASE("the steps of a model share its common prefixes") {
  for (const NewStep& new_step : kinds()) {
    const auto common = new_step()->common_prefixes();
    CHECK(common->size() == 1);
    const auto logits = common->logits(CommonPrefixes::kEmpty);
    CHECK(std::vector(logits.begin(), logits.end()) == logits_after(new_step, {0}));
    CHECK(new_step()->common_prefixes() == common);
  }
}

TEST_CASE("rows that began alike share pages") {
  for (const std::string& kernel : kernel_names()) {
    const auto step = native_steps(kernel)();
    step->reset(1);
    step->run(Ids{0}, Ids{0});
    const StateSnapshot begun = step->save(0);
    step->select(Ids{0, 0, 0});
    step->run(Ids{1, 2, 3}, Ids{1, 1, 1});
    for (const std::int64_t row : {0, 1, 2}) CHECK(step->save(row)->before == begun);
  }
}

TEST_CASE("a paged row may step again where it has been, but leaves no position out") {
  for (const std::string& kernel : kernel_names()) {
    const NewStep fresh = native_steps(kernel);
    const auto step = fresh();
    step->reset(1);
    for (const std::int64_t position : {0, 1, 2}) step->run(Ids{position}, Ids{position});
    const auto again = step->run(Ids{4}, Ids{1});
    CHECK(std::ranges::equal(again, logits_after(fresh, {0, 4})));
    CHECK_THROWS_WITH_AS(step->run(Ids{1}, Ids{4}), "a row of 2 steps was given position 4",
                         OptionError);
    step->reset(2);
    CHECK_THROWS_AS(step->run(Ids{0}, Ids{0}), OptionError);
    CHECK_THROWS_AS(step->run(Ids{0, 5}, Ids{0, 0}), OptionError);  // the vocabulary has 5
    CHECK_THROWS_AS(step->select(Ids{2}), OptionError);
    CHECK_THROWS_AS(step->reset(-1), OptionError);
  }
}
