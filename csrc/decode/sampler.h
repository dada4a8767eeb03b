#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace makemore {

/// How a token is chosen. The defaults are the model's own distribution.
struct SamplingOptions {
  double temperature = 1.0;  ///< >= 0; 0: the most likely token, of several the lowest id
  std::int64_t top_k = 0;    ///< keep the k most likely; 0 or >= V keeps all
  double top_p = 1.0;        ///< in (0, 1]: keep the smallest set whose mass is >= p
  double min_p = 0.0;        ///< in [0, 1]: least share of the most likely token's weight

  bool operator==(const SamplingOptions&) const = default;
};

/// The token whose share of the distribution holds `coin`, uniform in [0, 1). `cumulative` (V,) is
/// the running sum of its weights, the largest at least 1.
std::int64_t pick(std::span<const double> cumulative, double coin);

/// Turns logits into a distribution and coins into tokens: excluded tokens -> temperature -> top_k
/// -> top_p -> min_p -> inverse CDF in id order, in double. The only place where a token is chosen.
class Sampler {
 public:
  /// Throws OptionError for an option outside its range.
  Sampler(SamplingOptions options, std::int64_t vocab_size);

  /// Builds the distribution of one row of V logits, over the tokens that a mask allows,
  /// (V,), or over all. Allocates nothing. Throws ArtifactError for a NaN, +inf, or a row that
  /// leaves no token to choose; OptionError where the mask leaves none.
  void prepare(std::span<const float> logits, std::span<const std::uint8_t> allowed = {});

  /// The running sum (V,) of the weights of the prepared distribution, which `pick` takes.
  std::span<const double> cumulative() const { return cumulative_; }

  /// The natural-log probability of a token in the prepared distribution.
  double log_prob(std::int64_t token) const {
    return std::log(weights_[static_cast<std::size_t>(token)] / cumulative_.back());
  }

  std::int64_t pick(double coin) const { return makemore::pick(cumulative_, coin); }

 private:
  bool truncates() const;
  void truncate(std::span<const float> logits, std::span<const std::uint8_t> allowed);

  SamplingOptions options_;
  std::vector<double> weights_;     // (V,) unnormalised probabilities, 0 for tokens left out
  std::vector<double> cumulative_;  // (V,) running sum of weights_
  std::vector<std::size_t> order_;  // ids by falling logit, ties by id
};

/// Throws because no token may be chosen: the fault of a mask, or else of the model.
[[noreturn]] void throw_no_token(bool constrained);

/// log(sum(exp(logits))) in double: what to subtract from a logit for its log-probability. Throws
/// ArtifactError where that is not finite.
double log_sum_exp(std::span<const float> logits);

}  // namespace makemore
