#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "component.h"
#include "snapshot_step.h"

namespace makemore {

class OnnxModel;

/// A model all of whose nodes are calls of functions that there are kernels for: one step, or
/// several and their mixture. It needs no session to run. Immutable, so threads may share one.
class NativeModel {
 public:
  /// A component, and where it begins within the state of a row.
  struct Part {
    std::unique_ptr<kernels::Component> component;
    std::size_t offset;
  };

  /// From the bytes of the file that `model` opened. Null where the file is not such a model in
  /// all details: ONNX Runtime then runs its nodes. Throws ArtifactError where the weights give
  /// other logits than the file declares, or where they take more memory in the form of a kernel
  /// than the model's `max_bytes`: each part of a mixture has its own.
  static std::unique_ptr<const NativeModel> read(const kernels::Kernel& kernel,
                                                 std::string_view file, const OnnxModel& model);

  const kernels::Kernel& kernel() const { return kernel_; }
  const std::vector<Part>& parts() const { return parts_; }
  std::size_t vocab_size() const { return parts_.front().component->vocab_size(); }
  std::size_t state_bytes() const { return state_bytes_; }  // 0: no part has a state
  std::int64_t block_size() const;
  bool reads_pages() const;           // some part does
  std::size_t multiply_adds() const;  // of all parts

  /// Bytes of the logits of all parts of a mixture, of one row.
  std::size_t part_logits_bytes() const {
    return mixture_weights_.size() * vocab_size() * sizeof(float);
  }

  /// Weights of the parts in the mixture; none for a single part.
  const std::vector<float>& mixture_weights() const { return mixture_weights_; }

 private:
  class Reader;

  explicit NativeModel(const kernels::Kernel& kernel) : kernel_(kernel) {}

  const kernels::Kernel& kernel_;
  std::vector<Part> parts_;
  std::size_t state_bytes_ = 0;
  std::vector<float> mixture_weights_;
};

}  // namespace makemore
