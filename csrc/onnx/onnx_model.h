#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model_file.h"
#include "native_model.h"
#include "ort_library.h"
#include "snapshot_step.h"

namespace makemore {

/// Bytes of a number of a state, or of what a sampler keeps.
std::size_t element_bytes(ort::ElementType type);

/// Bytes of a tensor; nothing where no memory holds it.
std::optional<std::size_t> bytes_of(ort::ElementType type, std::span<const std::int64_t> shape);

/// One state tensor of a step.
struct StateTensor {
  std::string name;
  ort::ElementType element_type;
  std::vector<std::int64_t> shape;  // of one row: the batch axis left out
  std::size_t row_bytes;
};

struct ModelOptions {
  ort::Device device = ort::Device::kCpu;
  bool trust = false;                       // any operator (see check_file)
  bool keep_file = false;                   // for a DeviceModel, which opens it again
  std::size_t max_bytes = kMaxBytes;        // of weights and the values of a step, and of a batch
  const kernels::Kernel* kernel = nullptr;  // for a NativeModel
};

/// An ONNX file that keeps the step contract, opened: inputs (token, position, states), outputs
/// (logits, next states), the batch axis first and free. Immutable, so steps on many threads share
/// one.
class OnnxModel {
 public:
  /// Throws ArtifactError for a file that may not be opened (see check_file), that is no ONNX model
  /// or that breaks the contract, OrtError where the device cannot be had.
  OnnxModel(std::shared_ptr<const ort::Library> library, ModelFile file,
            const ModelOptions& options = {});

  const ort::Library& library() const { return *library_; }
  ort::Device device() const { return options_.device; }
  std::size_t max_bytes() const { return options_.max_bytes; }
  ort::OrtSession* session() const { return session_.get(); }
  const std::string& file_bytes() const { return file_.bytes; }  // "" unless kept
  std::int64_t vocab_size() const { return vocab_size_; }
  const std::vector<StateTensor>& states() const { return states_; }

  /// Rows that a step may have so that decoding stays below `max_bytes`: for each row it keeps
  /// the state before and after a step, and about as much again in snapshots; also the logits of
  /// the parts that a NativeModel mixes.
  std::size_t max_rows() const {
    return options_.max_bytes / (4 * row_bytes_ + (native_ ? native_->part_logits_bytes() : 0));
  }
  const std::vector<const char*>& input_names() const { return input_names_; }
  const std::vector<const char*>& output_names() const { return output_names_; }

  /// Null where ONNX Runtime runs the nodes of the file.
  const NativeModel* native() const { return native_.get(); }

  /// Name of what runs the model; "" where ONNX Runtime runs the nodes of the file.
  std::string kernel() const { return native_ ? native_->kernel().name : ""; }

  /// The prefixes that strings begin with most often, the first of them computed by `step`, a step
  /// of this model.
  std::shared_ptr<CommonPrefixes> common_prefixes(SnapshotStep& step) const {
    std::call_once(common_prefixes_made_,
                   [&] { common_prefixes_ = std::make_shared<CommonPrefixes>(step); });
    return common_prefixes_;
  }

  /// Runs the session on tensors in the order of its inputs and outputs, when it is its turn (see
  /// RunTurn).
  void run(std::span<const ort::OrtValue* const> inputs, std::span<ort::OrtValue*> outputs) const;

  /// The value of a key of the file's metadata, "" where it has none.
  std::string metadata(const std::string& key) const;

 private:
  void read_names();
  void read_contract();
  void read_state(std::size_t input);
  void require(const std::string& name, const ort::TensorType& type,
               std::initializer_list<int> element_types, std::size_t rank) const;
  std::size_t add_row(const std::string& name, const ort::TensorType& type);
  template <class TypeSlot>
  ort::TensorType type_of(TypeSlot slot, std::size_t index) const {
    ort::OrtTypeInfo* info = nullptr;
    library_->check("reading a type", slot, session(), index, &info);
    const auto owned = library_->own(ort::ReleaseTypeInfo, info);
    return library_->type_of(*info);
  }

  std::shared_ptr<const ort::Library> library_;
  ModelFile file_;
  ModelOptions options_;
  ort::Owned<ort::OrtSession> session_{nullptr, nullptr};
  std::unique_ptr<const NativeModel> native_;
  std::vector<std::string> inputs_, outputs_;
  std::vector<const char*> input_names_, output_names_;
  std::int64_t vocab_size_ = 0;
  std::vector<StateTensor> states_;
  std::size_t row_bytes_ = 0;  // of a row's logits and states
  mutable std::once_flag common_prefixes_made_;
  mutable std::shared_ptr<CommonPrefixes> common_prefixes_;
};

}  // namespace makemore
