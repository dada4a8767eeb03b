#include "sampler.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "errors.h"
#include "vector_math.h"

namespace makemore {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class Number>
void require(bool good, const char* name, Number value, const char* limit) {
  if (good) return;
  std::array<char, 32> digits;  // the fewest that give the value back, as those of 1.0000001
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  throw OptionError(name + (" is " + std::string(digits.data(), end)) + "; it must be " + limit);
}

// Comparisons are false for NaN, so each range check refuses it too.
void validate(const SamplingOptions& options) {
  const double temperature = options.temperature;
  require(temperature >= 0 && temperature < kInfinity, "temperature", temperature,
          "a finite number >= 0");
  require(options.top_k >= 0, "top_k", options.top_k, ">= 0 (0 keeps all)");
  require(options.top_p > 0 && options.top_p <= 1, "top_p", options.top_p, "> 0 and <= 1");
  require(options.min_p >= 0 && options.min_p <= 1, "min_p", options.min_p, ">= 0 and <= 1");
}

bool has_nan(std::span<const float> values) {
  int count = 0;
  for (const float value : values) count |= value != value;
  return count != 0;
}

/// In lanes, which compilers make vectors of.
double highest_of(std::span<const double> values) {
  std::array<double, 8> highest;
  highest.fill(-kInfinity);
  const std::size_t whole = values.size() / highest.size() * highest.size();
  for (std::size_t i = 0; i < whole; i += highest.size()) {
    for (std::size_t lane = 0; lane < highest.size(); ++lane) {
      const double value = values[i + lane];
      highest[lane] = highest[lane] < value ? value : highest[lane];
    }
  }
  for (const double value : values.subspan(whole)) highest[0] = std::max(highest[0], value);
  return *std::ranges::max_element(highest);
}

}  // namespace

Sampler::Sampler(SamplingOptions options, std::int64_t vocab_size) : options_(std::move(options)) {
  validate(options_);
  const auto size = static_cast<std::size_t>(vocab_size);
  weights_.resize(size);
  cumulative_.resize(size);
  if (truncates()) order_.resize(size);
}

bool Sampler::truncates() const {
  return options_.top_k > 0 || options_.top_p < 1 || options_.min_p > 0;
}

void Sampler::prepare(std::span<const float> logits, std::span<const std::uint8_t> allowed) {
  if (has_nan(logits)) throw ArtifactError("the model's logits hold NaN");
  std::ranges::copy(logits, weights_.begin());
  for (std::size_t id = 0; id < allowed.size(); ++id) {
    if (allowed[id] == 0) weights_[id] = -kInfinity;
  }
  const double highest = highest_of(weights_);
  if (highest > 0 && std::isinf(highest)) throw ArtifactError("the model's logits hold +inf");
  if (std::isinf(highest)) throw_no_token(!allowed.empty());
  if (options_.temperature == 0) {
    const auto chosen = std::ranges::find(weights_, highest);
    std::fill(weights_.begin(), chosen, 0.0);
    *chosen = 1;
    std::fill(chosen + 1, weights_.end(), 0.0);
  } else {
    for (double& weight : weights_) weight -= highest;
    if (options_.temperature != 1) {
      for (double& weight : weights_) weight /= options_.temperature;
    }
    exp_of_negative(weights_);
    if (truncates()) truncate(logits, allowed);
  }
  double sum = 0;
  for (std::size_t id = 0; id < weights_.size(); ++id) {
    cumulative_[id] = sum += weights_[id];
  }
}

void Sampler::truncate(std::span<const float> logits, std::span<const std::uint8_t> allowed) {
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  std::ranges::sort(order_, [&](std::size_t a, std::size_t b) {
    if (!allowed.empty() && allowed[a] != allowed[b]) return allowed[b] == 0;
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  std::size_t kept = order_.size();
  if (options_.top_k > 0) kept = std::min(kept, static_cast<std::size_t>(options_.top_k));
  if (options_.top_p < 1) {
    double mass = 0;
    for (std::size_t i = 0; i < kept; ++i) mass += weights_[order_[i]];
    const double enough = options_.top_p * mass;
    std::size_t smallest = 0;
    for (double sum = 0; smallest < kept && sum < enough; ++smallest) {
      sum += weights_[order_[smallest]];
    }
    kept = smallest;
  }
  const double least = options_.min_p * weights_[order_[0]];
  for (std::size_t i = 0; i < order_.size(); ++i) {
    double& weight = weights_[order_[i]];
    if (i >= kept || weight < least) weight = 0;
  }
}

std::int64_t pick(std::span<const double> cumulative, double coin) {
  // The sum is at least 1, the weight of the most likely token, and a coin at most 1 - 2^-53, so
  // that even when rounded the product stays below the sum: some token is always found.
  const double target = coin * cumulative.back();
  // Of few tokens, counting is faster than a search, whose branches are hard to predict.
  constexpr std::size_t kMaxCounted = 64;
  if (cumulative.size() <= kMaxCounted) return count_up_to(cumulative, target);
  return std::ranges::upper_bound(cumulative, target) - cumulative.begin();
}

void throw_no_token(bool constrained) {
  constexpr auto kNoToken = "no token is left to choose: what is not excluded has probability 0";
  if (constrained) throw OptionError(kNoToken);
  throw ArtifactError(kNoToken);
}

double log_sum_exp(std::span<const float> logits) {
  const double highest = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - highest);
  const double result = highest + std::log(sum);
  if (!std::isfinite(result)) throw ArtifactError("the model's logits are not finite");
  return result;
}

}  // namespace makemore
