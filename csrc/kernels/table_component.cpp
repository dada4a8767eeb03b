#include <algorithm>
#include <utility>

#include "component.h"
#include "errors.h"
#include "memory_block.h"

namespace makemore::kernels {
namespace {

/// A row of logits for each token: a bigram.
class TableComponent final : public Component {
 public:
  explicit TableComponent(Parameters parameters) : vocab_size_(parameters.shape(0, 2)[0]) {
    if (parameters.count() != 1) throw ArtifactError("a bigram has one parameter");
    const auto table = parameters.floats({vocab_size_, vocab_size_});
    logits_.assign(table.begin(), table.end());
  }

  std::size_t vocab_size() const override { return vocab_size_; }
  std::vector<StateLayout> states() const override { return {}; }
  std::size_t scratch_floats(std::size_t) const override { return 0; }
  std::size_t multiply_adds() const override { return 0; }

  void run(const RowBatch& batch, float*) const override {
    for (std::size_t row = 0; row < batch.rows; ++row) {
      const auto token = static_cast<std::size_t>(batch.tokens[row]);
      std::copy_n(logits_.data() + token * vocab_size_, vocab_size_,
                  batch.logits + row * vocab_size_);
    }
  }

 private:
  std::size_t vocab_size_;
  std::vector<float> logits_;  // (V, V)
};

/// An automaton over contexts, the state: `next` is the context after each of R states and each
/// token, which has a row of logits and leaves a state.
class NgramComponent final : public Component {
 public:
  explicit NgramComponent(Parameters parameters) : vocab_size_(parameters.shape(0, 2)[1]) {
    const std::size_t contexts = parameters.shape(0, 2)[0];
    const std::size_t edges = parameters.shape(1, 1)[0];
    if (parameters.count() != 3 || edges % vocab_size_ != 0) {
      throw ArtifactError("the parameters are not those of an n-gram");
    }
    const auto logits = parameters.floats({contexts, vocab_size_});
    const auto next = parameters.indices({edges}, contexts);
    const auto state = parameters.indices({contexts}, edges / vocab_size_);
    logits_.assign(logits.begin(), logits.end());
    next_.assign(next.begin(), next.end());
    state_.assign(state.begin(), state.end());
  }

  std::size_t vocab_size() const override { return vocab_size_; }
  std::vector<StateLayout> states() const override { return {{true, {}}}; }
  std::size_t scratch_floats(std::size_t) const override { return 0; }
  std::size_t multiply_adds() const override { return 0; }

  void run(const RowBatch& batch, float*) const override {
    for (std::size_t row = 0; row < batch.rows; ++row) {
      const auto* before = reinterpret_cast<const std::int64_t*>(batch.before[row] + batch.offset);
      const auto edge = static_cast<std::size_t>(*before) * vocab_size_ +
                        static_cast<std::size_t>(batch.tokens[row]);
      const auto context = static_cast<std::size_t>(next_[edge]);
      *reinterpret_cast<std::int64_t*>(batch.after[row] + batch.offset) = state_[context];
      std::copy_n(logits_.data() + context * vocab_size_, vocab_size_,
                  batch.logits + row * vocab_size_);
    }
  }

 private:
  std::size_t vocab_size_;
  LargeVector<float> logits_;               // (S, V)
  LargeVector<std::int32_t> next_, state_;  // (R * V), (S)
};

}  // namespace

std::unique_ptr<Component> new_table(Parameters parameters) {
  return std::make_unique<TableComponent>(std::move(parameters));
}

std::unique_ptr<Component> new_ngram(Parameters parameters) {
  return std::make_unique<NgramComponent>(std::move(parameters));
}

}  // namespace makemore::kernels
