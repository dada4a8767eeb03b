#include "io_binding.h"

namespace makemore::ort {

Binding::Binding(const Library& library, OrtSession* session)
    : library_(library), session_(session) {
  OrtIoBinding* raw = nullptr;
  library_.check("making a binding", CreateIoBinding, session, &raw);
  binding_ = library_.own(ReleaseIoBinding, raw);
}

void Binding::input(const char* name, const OrtValue* value) {
  library_.check("binding an input", BindInput, binding_.get(), name, value);
}

void Binding::output(const char* name, const OrtValue* value) {
  library_.check("binding an output", BindOutput, binding_.get(), name, value);
}

void Binding::output(const char* name, const OrtMemoryInfo* memory) {
  library_.check("binding an output", BindOutputToDevice, binding_.get(), name, memory);
}

void Binding::run() const {
  library_.check("a step failed", RunWithBinding, session_, nullptr, binding_.get());
}

void Binding::synchronize() const {
  library_.check("copying to the device", SynchronizeBoundInputs, binding_.get());
  library_.check("copying from the device", SynchronizeBoundOutputs, binding_.get());
}

std::vector<Owned<OrtValue>> Binding::take_outputs() const {
  OrtAllocator* allocator = library_.default_allocator();
  OrtValue** raw = nullptr;
  std::size_t count = 0;
  library_.check("reading outputs", GetBoundOutputValues, binding_.get(), allocator, &raw, &count);
  std::vector<Owned<OrtValue>> values;
  for (std::size_t i = 0; i < count; ++i) values.push_back(library_.own(ReleaseValue, raw[i]));
  library_.check("freeing a list", AllocatorFree, allocator, static_cast<void*>(raw));
  return values;
}

}  // namespace makemore::ort
