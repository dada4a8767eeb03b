#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <semaphore>
#include <span>
#include <string>
#include <vector>

#include "ort_library.h"
#include "snapshot_step.h"
#include "transformer_op.h"

namespace makemore {

/// Bytes of a number of a state, or of what a sampler keeps.
std::size_t element_bytes(ort::ElementType type);

/// One state tensor of a step.
struct StateTensor {
  std::string name;
  ort::ElementType element_type;
  std::vector<std::int64_t> shape;  // of one row: the batch axis left out
  std::size_t row_bytes;
};

/// An ONNX file that keeps the step contract, opened: inputs (token, position, states), outputs
/// (logits, next states), the batch axis first and free. Immutable, so steps on many threads share
/// one.
class OnnxModel {
 public:
  /// Throws ArtifactError for a file that is no ONNX model or breaks the contract, OrtError where
  /// the device cannot be had. `kernel`, if any, runs a transformer's step on the CPU.
  OnnxModel(std::shared_ptr<const ort::Library> library, const std::filesystem::path& path,
            ort::Device device, const transformer::Kernel* kernel = nullptr);

  const ort::Library& library() const { return *library_; }
  ort::Device device() const { return device_; }
  ort::OrtSession* session() const { return session_.get(); }
  const std::filesystem::path& path() const { return path_; }
  std::int64_t vocab_size() const { return vocab_size_; }
  const std::vector<StateTensor>& states() const { return states_; }
  const std::vector<const char*>& input_names() const { return input_names_; }
  const std::vector<const char*>& output_names() const { return output_names_; }

  /// The name of the kernel that runs the step; "" where ONNX Runtime runs the nodes of the file.
  std::string kernel() const { return op_ && op_->runs_kernel() ? op_->kernel().name : ""; }

  /// The kernel's step, where it is the whole of the model: to be run without ONNX Runtime, whose
  /// calls cost half as much as a step of one row. Null where it is not.
  const transformer::TransformerStep* transformer_step() const {
    return op_ ? op_->step(inputs_, outputs_) : nullptr;
  }

  /// The first step of every string, computed by `step` once for all steps of this model.
  std::shared_ptr<const FirstStep> first_step(SnapshotStep& step) const {
    std::call_once(first_step_made_,
                   [&] { first_step_ = std::make_shared<const FirstStep>(run_first_step(step)); });
    return first_step_;
  }

  /// Runs the session on tensors in the order of its inputs and outputs. No more threads are in it
  /// at once than the machine has cores: ONNX Runtime keeps working memory for as many runs as
  /// there ever were at once.
  void run(std::span<const ort::OrtValue* const> inputs, std::span<ort::OrtValue*> outputs) const;

  /// The value of a key of the file's metadata, "" where it has none.
  std::string metadata(const std::string& key) const;

 private:
  ort::Owned<ort::OrtSession> open(const std::filesystem::path& path) const;
  void read_names();
  void read_contract(const std::string& path);
  template <class TypeSlot>
  ort::TensorType type_of(TypeSlot slot, std::size_t index) const {
    ort::OrtTypeInfo* info = nullptr;
    library_->check("reading a type", slot, session(), index, &info);
    const auto owned = library_->own(ort::ReleaseTypeInfo, info);
    return library_->type_of(*info);
  }

  std::shared_ptr<const ort::Library> library_;
  std::filesystem::path path_;
  ort::Device device_;
  std::unique_ptr<transformer::TransformerOp> op_;  // null: no kernel
  ort::Owned<ort::OrtSession> session_{nullptr, nullptr};
  std::vector<std::string> inputs_, outputs_;
  std::vector<const char*> input_names_, output_names_;
  std::int64_t vocab_size_ = 0;
  std::vector<StateTensor> states_;
  mutable std::counting_semaphore<> runs_;
  mutable std::once_flag first_step_made_;
  mutable std::shared_ptr<const FirstStep> first_step_;
};

}  // namespace makemore
