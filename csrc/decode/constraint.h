#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace makemore {

/// Which tokens may follow a prefix, whatever the model's logits. What it knows of a prefix is a
/// state, which all rows with that prefix share. It never changes, so that threads may share it.
class Constraint {
 public:
  using State = std::int32_t;

  Constraint() = default;
  Constraint(const Constraint&) = delete;
  Constraint& operator=(const Constraint&) = delete;
  virtual ~Constraint() = default;

  /// The state of the empty prefix.
  virtual State start() const = 0;

  /// The state after one more token.
  virtual State next(State state, std::int64_t token) const = 0;

  /// (V,) 1 for each token that may follow, 0 for the others.
  virtual std::span<const std::uint8_t> allowed(State state) const = 0;

  /// Whether the other one has the same states and allows the same in each.
  virtual bool equals(const Constraint& other) const = 0;
};

/// Tokens that may never be chosen. It knows nothing of the prefix: there is one state.
class ExcludedTokens final : public Constraint {
 public:
  /// Throws OptionError for an id that is not of the vocabulary.
  ExcludedTokens(std::span<const std::int64_t> ids, std::int64_t vocab_size);

  State start() const override { return 0; }
  State next(State state, std::int64_t) const override { return state; }
  std::span<const std::uint8_t> allowed(State) const override { return allowed_; }
  std::span<const std::uint8_t> allowed() const { return allowed_; }
  bool equals(const Constraint& other) const override {
    const auto* excluded = dynamic_cast<const ExcludedTokens*>(&other);
    return excluded != nullptr && excluded->allowed_ == allowed_;
  }

 private:
  std::vector<std::uint8_t> allowed_;
};

/// Throws OptionError unless the constraint is for as many tokens.
void require_vocab_size(const Constraint& constraint, std::int64_t vocab_size);

}  // namespace makemore
