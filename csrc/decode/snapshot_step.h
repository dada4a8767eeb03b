#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>

#include "common_prefixes.h"
#include "state_snapshot.h"
#include "step.h"

namespace makemore {

/// A step whose row states can be saved, and restored in any row of any step of the same model.
class SnapshotStep : public Step {
 public:
  /// The state of a row.
  virtual StateSnapshot save(std::int64_t row) = 0;

  /// Row i gets `states[i]`, or keeps the state that it has where there is none; there may be fewer
  /// or more rows than before.
  virtual void restore(std::span<const std::optional<StateSnapshot>> states) = 0;

  /// Bytes that one more step adds to the saved state of a row; 0 where the model has no state, so
  /// that its logits depend on the last token and its position only.
  virtual std::size_t snapshot_bytes() const = 0;

  /// The prefixes that strings begin with most often, the same for all steps of a model. The rows
  /// of this step are undefined afterwards.
  virtual std::shared_ptr<CommonPrefixes> common_prefixes() = 0;

  /// Rows that it may have at most.
  virtual std::size_t max_rows() const { return std::numeric_limits<std::size_t>::max(); }

  /// Multiply-adds of a step of a row, but those of attention, where they are known.
  virtual std::optional<std::size_t> multiply_adds() const { return std::nullopt; }

  /// Whether a step only reads tables, so that reading a cache of what it gave is no faster.
  bool is_lookup() const { return multiply_adds() == 0; }

  /// Whether a step takes about as long as to fetch from memory what it gave, where that is not in
  /// the processor's cache: 50,000 multiply-adds take 0.4 us with 512-bit vectors.
  bool is_cheap() const {
    const auto count = multiply_adds();
    return count && *count < 50'000;
  }

  bool is_stateless() const { return snapshot_bytes() == 0; }
};

}  // namespace makemore
