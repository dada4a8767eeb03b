#pragma once

#include <vector>

#include "ort_library.h"

namespace makemore::ort {

/// Inputs and outputs of a session, bound by name to memory of a device.
class Binding {
 public:
  Binding(const Library& library, OrtSession* session);

  /// A value on the CPU is copied to the device at once; one on the device is used as it is.
  void input(const char* name, const OrtValue* value);

  /// Results are written into `value`, on the device or on the CPU.
  void output(const char* name, const OrtValue* value);

  /// Each run makes a new value in `memory`, for `take_outputs`.
  void output(const char* name, const OrtMemoryInfo* memory);

  void run() const;

  /// Waits until what was copied from the CPU is on the device, and back.
  void synchronize() const;

  /// The values of the outputs, in the order in which they were bound.
  std::vector<Owned<OrtValue>> take_outputs() const;

 private:
  const Library& library_;
  OrtSession* session_;
  Owned<OrtIoBinding> binding_{nullptr, nullptr};
};

}  // namespace makemore::ort
