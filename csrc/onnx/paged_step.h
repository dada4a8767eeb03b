#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "onnx_step.h"
#include "transformer_step.h"

namespace makemore {

/// The step of a transformer that a kernel runs, without ONNX Runtime. What a row keeps of a
/// position is a page of its own, which rows that began alike share: no row is ever copied.
class PagedStep : public OnnxStep {
 public:
  /// `fused` is the whole of the model, which owns it.
  PagedStep(std::shared_ptr<const OnnxModel> model, const transformer::TransformerStep& fused);

  void reset(std::int64_t rows) override;
  /// A row steps to the position after its last one, or again to an earlier one.
  std::span<const float> run(std::span<const std::int64_t> tokens,
                             std::span<const std::int64_t> positions) override;
  void select(std::span<const std::int64_t> parents) override;
  std::size_t snapshot_bytes() const override { return pool_->node_bytes(); }
  StateSnapshot save(std::int64_t row) override { return states_[static_cast<std::size_t>(row)]; }
  void restore(std::span<const std::optional<StateSnapshot>> states) override;

 private:
  const transformer::TransformerStep& fused_;
  std::shared_ptr<SnapshotPool> pool_;
  std::vector<StateSnapshot> states_;  // (rows,)
  std::vector<const float*> pages_;    // (rows, T), those of a row's steps
  std::vector<float*> written_;        // (rows,) the page of a row that the next run writes
  std::vector<float> logits_;          // (rows, V)
};

}  // namespace makemore
