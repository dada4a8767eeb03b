#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "history_logits.h"
#include "snapshot_step.h"

namespace makemore {

inline std::vector<float> logits_of_last(const Ids& fed) {
  return history_logits({fed.back(), static_cast<std::int64_t>(fed.size())});
}

/// A model whose state is all that it was fed, which can be saved; or one without any.
class SavedStep : public SnapshotStep {
 public:
  explicit SavedStep(bool stateless = false) : stateless_(stateless) {}

  std::int64_t vocab_size() const override { return kVocabSize; }
  std::size_t snapshot_bytes() const override {
    return stateless_ ? 0 : pool_->node_bytes() + padding;
  }
  std::shared_ptr<CommonPrefixes> common_prefixes() override {
    if (!common_) common_ = std::make_shared<CommonPrefixes>(*this);
    return common_;
  }
  void reset(std::int64_t rows) override { fed_.assign(static_cast<std::size_t>(rows), {}); }

  std::span<const float> run(std::span<const std::int64_t> tokens,
                             std::span<const std::int64_t> positions) override {
    REQUIRE(tokens.size() == fed_.size());
    logits_.clear();
    for (std::size_t row = 0; row < fed_.size(); ++row) {
      if (stateless_) fed_[row].resize(static_cast<std::size_t>(positions[row]));
      REQUIRE(positions[row] == std::ssize(fed_[row]));
      fed_[row].push_back(tokens[row]);
      const auto logits = stateless_ ? logits_of_last(fed_[row]) : history_logits(fed_[row]);
      logits_.insert(logits_.end(), logits.begin(), logits.end());
    }
    ++runs;
    rows_run += std::ssize(fed_);
    most_rows = std::max(most_rows, std::ssize(fed_));
    return logits_;
  }

  void select(std::span<const std::int64_t> parents) override {
    std::vector<Ids> next;
    for (const std::int64_t parent : parents)
      next.push_back(fed_[static_cast<std::size_t>(parent)]);
    fed_ = std::move(next);
  }

  StateSnapshot save(std::int64_t row) override {
    const Ids& fed = fed_[static_cast<std::size_t>(row)];
    StateSnapshot state;
    for (const std::int64_t token : fed) {
      const std::int64_t steps = (state ? state->steps : 0) + 1;
      const auto added = pool_->add(state, steps);
      std::memcpy(added.data, &token, sizeof token);
      state = added.snapshot;
    }
    return state;
  }

  void restore(std::span<const std::optional<StateSnapshot>> states) override {
    fed_.resize(states.size());
    for (std::size_t row = 0; row < states.size(); ++row) {
      if (!states[row]) continue;
      fed_[row].clear();
      for (const SnapshotNode* step = states[row]->get(); step != nullptr;
           step = step->before.get()) {
        std::memcpy(&fed_[row].emplace_back(), step->data, sizeof(std::int64_t));
      }
      std::ranges::reverse(fed_[row]);
    }
  }

  std::int64_t rows() const { return std::ssize(fed_); }

  std::int64_t runs = 0, rows_run = 0, most_rows = 0;
  std::size_t padding = 0;  // of a saved state

 private:
  bool stateless_;
  std::shared_ptr<CommonPrefixes> common_;
  std::shared_ptr<SnapshotPool> pool_ = SnapshotPool::make(sizeof(std::int64_t));
  std::vector<Ids> fed_;
  std::vector<float> logits_;
};

}  // namespace makemore
