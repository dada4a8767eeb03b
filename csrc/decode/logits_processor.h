#pragma once

#include <cstdint>
#include <span>

namespace makemore {

/// Changes the logits after a prefix, before a token is chosen from them; the probability that is
/// reported stays the model's own. It is called once for all rows with a prefix, from any thread,
/// and must be a function of what it is given: how often it is called is not defined.
class LogitsProcessor {
 public:
  LogitsProcessor() = default;
  LogitsProcessor(const LogitsProcessor&) = delete;
  LogitsProcessor& operator=(const LogitsProcessor&) = delete;
  virtual ~LogitsProcessor() = default;

  /// prefix: the tokens so far, without the start. logits: (V,).
  virtual void process(std::span<const std::int32_t> prefix, std::span<float> logits) const = 0;
};

/// Makes tokens less likely that the prefix holds already: Keskar et al. (2019), CTRL, section 4.1.
class RepetitionPenalty final : public LogitsProcessor {
 public:
  /// penalty: what the logits of such tokens are divided by, or multiplied with where they are
  /// below 0. Throws OptionError unless it is finite and at least 1.
  explicit RepetitionPenalty(double penalty);

  void process(std::span<const std::int32_t> prefix, std::span<float> logits) const override;

 private:
  float penalty_;
};

}  // namespace makemore
