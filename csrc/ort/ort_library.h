#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "errors.h"
#include "ort_abi.h"

namespace makemore::ort {

/// A handle that is given back to the library that made it.
template <class Handle>
using Owned = std::unique_ptr<Handle, void (*)(Handle*)>;

/// Type and dimensions of a tensor; a dimension that varies is -1.
struct TensorType {
  int element_type = 0;
  std::vector<std::int64_t> shape;
};

enum class Device { kCpu, kCuda };

/// ONNX Runtime, opened at run time by path: nothing is linked, so one build runs on any release
/// from 1.20 on. It stays open until the process ends, as its threads may outlive us.
class Library {
 public:
  /// Opens a shared library and runs a one-node model on it. Throws OrtError for a file that is
  /// not ONNX Runtime, is too old, or computes nonsense.
  explicit Library(const std::filesystem::path& path);

  const std::string& version() const { return version_; }
  std::vector<std::string> providers() const;

  /// Calls a slot that cannot fail.
  template <std::size_t Index, class Result, class... Parameters, class... Arguments>
  Result call(Slot<Index, Result(Parameters...)>, Arguments... arguments) const {
    return reinterpret_cast<Result (*)(Parameters...)>(table_[Index])(arguments...);
  }

  /// Calls a slot that returns a status. Throws Error, "<doing>: <what the library says>".
  template <class Error = OrtError, std::size_t Index, class... Parameters, class... Arguments>
  void check(const std::string& doing, Call<Index, Parameters...> slot,
             Arguments... arguments) const {
    if (OrtStatus* status = call(slot, arguments...)) throw Error(doing + ": " + take(status));
  }

  template <std::size_t Index, class Handle>
  Owned<Handle> own(Release<Index, Handle>, Handle* handle) const {
    return {handle, reinterpret_cast<void (*)(Handle*)>(table_[Index])};
  }

  /// Options of a session on one thread of the caller's. Throws OrtError where the device cannot
  /// be had, with what is missing.
  Owned<OrtSessionOptions> session_options(Device device) const;

  /// A session over the bytes of a model. Throws ArtifactError where ONNX Runtime refuses it.
  Owned<OrtSession> session(std::string_view model, Device device) const;

  /// One that takes at most `max_memory` bytes of the CPU's memory for its weights and for what a
  /// run computes, and that computes nothing before its first run.
  Owned<OrtSession> bounded_session(std::string_view model, OrtSessionOptions* options,
                                    std::size_t max_memory) const;

  /// Runs a one-node model. Throws OrtError where the device cannot be had, or computes nonsense.
  void self_test(Device device) const;

  Owned<OrtMemoryInfo> memory(Device device) const;

  /// A tensor over the caller's CPU memory, which must outlive it.
  template <class T, std::size_t Size>
  Owned<OrtValue> tensor(std::span<T, Size> data, std::span<const std::int64_t> shape,
                         int element_type) const {
    return tensor(data.data(), data.size_bytes(), shape, element_type);
  }

  TensorType type_of(const OrtTypeInfo& info) const;

  OrtEnv* env() const { return env_.get(); }
  OrtAllocator* default_allocator() const;

  /// Frees and returns a string that the library's default allocator made.
  std::string take(char* text) const;

 private:
  class BoundedMemory;

  Owned<OrtSession> session(std::string_view model, const OrtSessionOptions* options) const;
  Owned<OrtMemoryInfo> memory(const char* device, AllocatorType type) const;
  Owned<OrtValue> tensor(void* data, std::size_t bytes, std::span<const std::int64_t> shape,
                         int element_type) const;
  std::string take(OrtStatus* status) const;
  void append_cuda(OrtSessionOptions* options) const;

  void* const* table_ = nullptr;
  std::string version_;
  Owned<OrtEnv> env_{nullptr, nullptr};
  Owned<OrtMemoryInfo> cpu_memory_{nullptr, nullptr}, arena_memory_{nullptr, nullptr};
  std::unique_ptr<std::mutex> opening_ = std::make_unique<std::mutex>();
};

}  // namespace makemore::ort
