#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "onnx_model.h"
#include "sampling_graph.h"

namespace makemore {

/// A model on a device, and the sessions beside it that move rows and that sample there. All steps
/// and decodes of a sampler share one, on any thread. A model on the CPU works the same
/// way, in the memory of ONNX Runtime.
class DeviceModel {
 public:
  using Value = ort::Owned<ort::OrtValue>;

  /// `time_axes`: for each state the axis of a row's shape that is time, or none. `block_size`:
  /// positions that the model knows. Throws ArtifactError where the axes are not as many as the
  /// states.
  DeviceModel(std::shared_ptr<const OnnxModel> model,
              std::span<const std::optional<std::int64_t>> time_axes,
              std::optional<std::int64_t> block_size = std::nullopt);

  const OnnxModel& model() const { return *model_; }
  const ort::Library& library() const { return model_->library(); }
  const ort::OrtMemoryInfo* memory() const { return memory_.get(); }

  /// Positions that may be asked for.
  std::int64_t block_size() const { return block_size_; }

  /// Whether state i is a cache, whose next value may overwrite the one before.
  const std::vector<bool>& in_place() const { return in_place_; }

  /// Rows `indices` of a tensor, as a new one on the device.
  Value gather(ort::ElementType type, const ort::OrtValue* data,
               std::span<const std::int64_t> indices) const;

  /// Makes `rows` of a tensor of `count` rows, each of `shape`, zeros where they are.
  void clear(ort::ElementType type, ort::OrtValue* data, std::int64_t count,
             const std::vector<std::int64_t>& shape, std::span<const std::size_t> rows) const;

  /// `rows` rows of zeros, each of `shape`, on the device.
  Value zeros(ort::ElementType type, std::int64_t rows,
              const std::vector<std::int64_t>& shape) const;

  /// The bytes of the model with a sampler behind it (`sampling_graph`).
  std::string sampler_bytes(SamplingGraphKind kind) const;

  /// Those bytes, opened when they are first asked for.
  ort::OrtSession* sampler(SamplingGraphKind kind) const;

 private:
  using Session = ort::Owned<ort::OrtSession>;
  struct Lazy {
    std::once_flag once;
    Session session{nullptr, nullptr};
  };

  std::shared_ptr<const OnnxModel> model_;
  std::int64_t block_size_;
  std::vector<bool> in_place_;
  ort::Owned<ort::OrtMemoryInfo> memory_;
  std::map<ort::ElementType, Session> gathers_, replaces_;
  mutable std::array<Lazy, kSamplingGraphKinds> samplers_;
};

}  // namespace makemore
