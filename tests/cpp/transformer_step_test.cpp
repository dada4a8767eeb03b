// Each kernel against the definition of a GPT-2, in double and one number at a time.
#include "transformer_step.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <future>
#include <limits>
#include <random>

#include "errors.h"
#include "half.h"

using namespace makemore;
using namespace makemore::transformer;

namespace {

constexpr float kEpsilon = 1e-5F;
constexpr double kTolerance = 1e-5;      // of the largest logit
constexpr double kHalfTolerance = 2e-3;  // where keys and values are kept in float16

struct Shape {
  std::size_t layers, width, heads, block, vocab;
};

void round_to_halves(std::vector<float>& values) {
  for (float& value : values) value = float_of_half(half_of_float(value));
}

/// Random parameters, in the order that a TransformerStep takes them.
struct Weights {
  explicit Weights(const Shape& of, bool in_halves = false) : shape(of), halves(in_halves) {
    const std::size_t width = shape.width;
    add(shape.vocab, width, 1);
    add(shape.block, width, 1);
    for (std::size_t i = 0; i < shape.layers; ++i) {
      norm();
      linear(3 * width, width);
      linear(width, width);
      norm();
      linear(4 * width, width);
      linear(width, 4 * width);
    }
    norm();
    add(shape.vocab, width, 1 / std::sqrt(static_cast<double>(width)));
  }

  void norm() {
    add(shape.width, 1, 0.3);
    for (float& weight : values.back()) weight += 1;
    if (halves) round_to_halves(values.back());
    add(shape.width, 1, 0.3);
  }

  void linear(std::size_t outputs, std::size_t inputs) {
    add(outputs, inputs, 1 / std::sqrt(static_cast<double>(inputs)));
    add(outputs, 1, 0.3);
  }

  void add(std::size_t rows, std::size_t columns, double deviation) {
    std::normal_distribution<double> normal(0, deviation);
    auto& added = values.emplace_back(rows * columns);
    for (float& value : added) value = static_cast<float>(normal(random));
    if (halves) round_to_halves(added);
    parameters.push_back({{added.data(), nullptr}, rows, columns});
  }

  TransformerStep step(const Kernel& kernel) const {
    return {kernel, parameters, static_cast<std::int64_t>(shape.heads), kEpsilon, {}, halves};
  }

  Shape shape;
  bool halves;
  std::mt19937 random{1};
  std::vector<std::vector<float>> values;
  std::vector<Parameter> parameters;
};

using Numbers = std::vector<double>;

/// One row of the definition: Radford et al. (2019), section 2.3.
class Oracle {
 public:
  explicit Oracle(const Weights& weights) : weights_(weights), past_(weights.shape.layers) {}

  /// The logits after `token`, at the position after that of the last call.
  Numbers logits_after(std::size_t token) {
    next_ = 2;
    Numbers x(weights_.shape.width);
    const auto &embedding = weights_.values[0], &of_position = weights_.values[1];
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = embedding[token * x.size() + i] + of_position[position_ * x.size() + i];
    }
    ++position_;
    for (auto& past : past_) {
      add(x, linear(attend(past, linear(norm(x)))));
      Numbers hidden = linear(norm(x));
      for (double& h : hidden) {
        h = h / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(-1)) * (h + 0.044715 * h * h * h)));
      }
      add(x, linear(hidden));
    }
    return linear(norm(x), false);
  }

 private:
  static void add(Numbers& x, const Numbers& y) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }

  Numbers norm(const Numbers& x) {
    const auto &weight = weights_.values[next_], &bias = weights_.values[next_ + 1];
    next_ += 2;
    const auto size = static_cast<double>(x.size());
    double mean = 0, variance = 0;
    for (const double value : x) mean += value / size;
    for (const double value : x) variance += (value - mean) * (value - mean) / size;
    Numbers y(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      y[i] = (x[i] - mean) / std::sqrt(variance + kEpsilon) * weight[i] + bias[i];
    }
    return y;
  }

  Numbers linear(const Numbers& x, bool has_bias = true) {
    const auto& weight = weights_.values[next_++];
    Numbers y(weight.size() / x.size());
    for (std::size_t i = 0; i < y.size(); ++i) {
      if (has_bias) y[i] = weights_.values[next_][i];
      for (std::size_t j = 0; j < x.size(); ++j) y[i] += weight[i * x.size() + j] * x[j];
    }
    next_ += has_bias ? 1 : 0;
    return y;
  }

  Numbers attend(std::vector<Numbers>& past, const Numbers& qkv) const {
    past.push_back(qkv);
    const std::size_t width = weights_.shape.width, size = width / weights_.shape.heads;
    Numbers y(width);
    for (std::size_t head = 0; head < width; head += size) {
      Numbers weights;
      double total = 0;
      for (const Numbers& then : past) {
        double score = 0;
        for (std::size_t i = head; i < head + size; ++i) score += qkv[i] * then[width + i];
        weights.push_back(std::exp(score / std::sqrt(static_cast<double>(size))));
        total += weights.back();
      }
      for (std::size_t slot = 0; slot < past.size(); ++slot) {
        for (std::size_t i = head; i < head + size; ++i) {
          y[i] += weights[slot] / total * past[slot][2 * width + i];
        }
      }
    }
    return y;
  }

  const Weights& weights_;
  std::vector<std::vector<Numbers>> past_;  // query, key and value of each position
  std::size_t position_ = 0, next_ = 0;
};

constexpr std::size_t kPlace = 12;  // bytes of a page that belong to another model
constexpr std::byte kNan{0xff};     // a number of such bytes is none

/// The pages of some rows, and their last logits.
struct Rows {
  Rows(const TransformerStep& step, std::size_t rows, std::byte fill = {})
      : block(step.model().block_size),
        vocab(step.model().vocab_size),
        page_bytes(kPlace + step.page_bytes()),
        logits(rows * vocab),
        memory(rows * block * page_bytes, fill) {
    for (std::size_t i = 0; i < rows * block; ++i) pages.push_back(page(i).data());
  }

  std::span<std::byte> page(std::size_t slot) {
    return std::span(memory).subspan(slot * page_bytes, page_bytes);
  }

  void run(const TransformerStep& step, const std::vector<std::int64_t>& tokens,
           const std::vector<std::int64_t>& positions) {
    std::vector<std::byte*> written;
    for (std::size_t row = 0; row < tokens.size(); ++row) {
      written.push_back(page(row * block + static_cast<std::size_t>(positions[row])).data());
    }
    step.run({tokens.size(), tokens.data(), positions.data(), pages.data(), block, written.data(),
              kPlace, logits.data()});
  }

  std::vector<float> row(std::size_t index) const {
    const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(index * vocab);
    return {begin, begin + static_cast<std::ptrdiff_t>(vocab)};
  }

  std::size_t block, vocab, page_bytes;
  std::vector<float> logits;
  std::vector<std::byte> memory;
  std::vector<const std::byte*> pages;
};

std::int64_t token(std::size_t row, std::size_t position, const Shape& shape) {
  return static_cast<std::int64_t>((7 * row + 3 * position * position) % shape.vocab);
}

/// Runs the rows `first` to `first` + `rows` of an endless batch to the end of the block.
std::vector<std::vector<float>> logits_of(const TransformerStep& step, const Shape& shape,
                                          std::size_t first, std::size_t rows) {
  Rows batch(step, rows);
  std::vector<std::vector<float>> logits(rows);
  for (std::size_t position = 0; position < shape.block; ++position) {
    std::vector<std::int64_t> tokens;
    for (std::size_t row = 0; row < rows; ++row)
      tokens.push_back(token(first + row, position, shape));
    batch.run(step, tokens, std::vector(rows, static_cast<std::int64_t>(position)));
    for (std::size_t row = 0; row < rows; ++row) {
      for (const float logit : batch.row(row)) logits[row].push_back(logit);
    }
  }
  return logits;
}

void check_against_definition(const Weights& weights) {
  const Shape& shape = weights.shape;
  CAPTURE(shape.width);
  CAPTURE(weights.halves);
  const double tolerance = weights.halves ? kHalfTolerance : kTolerance;
  constexpr std::size_t kRows = 3;
  for (const Kernel* kernel : makemore::transformer::kernels()) {
    CAPTURE(kernel->name);
    const TransformerStep step = weights.step(*kernel);
    Rows rows(step, kRows);
    std::vector<Oracle> oracles(kRows, Oracle(weights));
    double worst = 0, largest = 0;
    for (std::size_t turn = 0; turn < shape.block + kRows; ++turn) {
      std::vector<std::int64_t> tokens, positions;  // row i waits for i turns at position 0
      for (std::size_t row = 0; row < kRows; ++row) {
        const std::size_t position = std::min(turn - std::min(turn, row), shape.block - 1);
        positions.push_back(static_cast<std::int64_t>(position));
        tokens.push_back(token(row, position, shape));
      }
      rows.run(step, tokens, positions);
      for (std::size_t row = 0; row < kRows; ++row) {
        if (turn < row || turn - row >= shape.block) continue;
        const Numbers wanted = oracles[row].logits_after(static_cast<std::size_t>(tokens[row]));
        const auto found = rows.row(row);
        for (std::size_t i = 0; i < wanted.size(); ++i) {
          worst = std::max(worst, std::abs(found[i] - wanted[i]));
          largest = std::max(largest, std::abs(wanted[i]));
        }
      }
    }
    CHECK(worst <= tolerance * largest);
  }
}

const Shape kSmall{2, 64, 4, 6, 27};

}  // namespace

TEST_CASE("every kernel gives the logits of the definition") {
  // Widths, heads and vocabularies of whole vectors, of parts of them, and smaller than one.
  for (const Shape& shape : {Shape{1, 32, 4, 8, 27},
                             {2, 64, 4, 16, 27},
                             {2, 20, 2, 7, 30},
                             {3, 36, 9, 12, 33},
                             {2, 48, 3, 5, 400},
                             {12, 6, 2, 4, 3},
                             {1, 5, 1, 3, 1},
                             {1, 192, 6, 40, 50},
                             {1, 384, 6, 3, 1000}}) {
    for (const bool halves : {false, true}) check_against_definition(Weights(shape, halves));
  }
}
TEST_CASE("a row's logits have the same bits whatever the rows beside it") {
  for (const bool halves : {false, true}) {
    const Weights weights(kSmall, halves);
    for (const Kernel* kernel : makemore::transformer::kernels()) {
      CAPTURE(kernel->name);
      const TransformerStep step = weights.step(*kernel);
      const auto all = logits_of(step, kSmall, 0, 200);
      for (const std::size_t rows : {1, 2, 3, 4, 5, 6, 7, 64, 97}) {
        for (const std::size_t first : {0, 5, 100}) {
          const auto some = logits_of(step, kSmall, first, rows);
          for (std::size_t row = 0; row < rows; ++row) CHECK(some[row] == all[first + row]);
        }
      }
    }
  }
}

TEST_CASE("only the pages up to a row's position are read, and only that one is written") {
  for (const bool halves : {false, true}) {
    const Weights weights(kSmall, halves);
    for (const Kernel* kernel : makemore::transformer::kernels()) {
      const TransformerStep step = weights.step(*kernel);
      Rows clean(step, 1), poisoned(step, 1, kNan);
      for (const std::int64_t position : {0, 1}) {
        clean.run(step, {3}, {position});
        poisoned.run(step, {3}, {position});
        CHECK(poisoned.logits == clean.logits);
      }
      const auto untouched = [&](std::size_t slot, std::size_t bytes) {
        return std::ranges::count(poisoned.page(slot).first(bytes), kNan) ==
               static_cast<std::ptrdiff_t>(bytes);
      };
      for (std::size_t slot = 0; slot < kSmall.block; ++slot) {
        CHECK(untouched(slot, kPlace));
        CHECK(untouched(slot, poisoned.page_bytes) == (slot > 1));
      }
    }
  }
}

TEST_CASE("threads share a step") {
  const Weights weights(kSmall);
  for (const Kernel* kernel : makemore::transformer::kernels()) {
    const TransformerStep step = weights.step(*kernel);
    const auto expected = logits_of(step, kSmall, 0, 20);
    std::vector<std::future<std::vector<std::vector<float>>>> threads;
    for (int i = 0; i < 3; ++i) {
      threads.push_back(std::async(std::launch::async, logits_of, std::cref(step), kSmall, 0, 20));
    }
    for (auto& thread : threads) CHECK(thread.get() == expected);
  }
}

TEST_CASE("parameters that are none of a GPT-2 are refused") {
  for (const Kernel* kernel : makemore::transformer::kernels()) {
    Weights weights(kSmall);
    CHECK_THROWS_WITH_AS(TransformerStep(*kernel, weights.parameters, 5, kEpsilon),
                         "a width of 64 is not for 5 heads", ArtifactError);
    weights.parameters[4].rows = 100;
    CHECK_THROWS_WITH_AS(weights.step(*kernel), "parameter 4 is (100, 64), not (192, 64)",
                         ArtifactError);
    weights.parameters.pop_back();
    CHECK_THROWS_AS(weights.step(*kernel), ArtifactError);
  }
}
