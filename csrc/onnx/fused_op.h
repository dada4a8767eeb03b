#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "ort_abi.h"
#include "snapshot_step.h"

namespace makemore {

class OnnxModel;

/// An operator of our own that a session runs in place of a function of its file. It must outlive
/// the session, which may refuse to open because of it.
class FusedOp {
 public:
  FusedOp() = default;
  FusedOp(const FusedOp&) = delete;
  FusedOp& operator=(const FusedOp&) = delete;
  virtual ~FusedOp() = default;

  virtual void add_to(ort::OrtSessionOptions* options) const = 0;

  /// Whether a session could not be opened because the operator cannot replace the function.
  virtual bool declined() const = 0;

  /// What runs in the session; "" where its file does not call the function.
  virtual std::string kernel() const = 0;

  /// Throws ArtifactError where the weights of the function contradict what the model declares.
  virtual void check(const OnnxModel& model) const = 0;

  /// Throws ArtifactError where the weights contradict the `block_size` of the metadata, if any.
  virtual void check_block(std::optional<std::int64_t> block_size) const = 0;

  /// A step that needs no session, where the function is the whole of the model: a call of ONNX
  /// Runtime costs half as much as a step of one row. Null where the function is only a part.
  virtual std::unique_ptr<SnapshotStep> new_step(std::shared_ptr<const OnnxModel> model) const = 0;
};

}  // namespace makemore
