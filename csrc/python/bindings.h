#pragma once

#include "conversions.h"

// The parts of the module, each of which defines classes and functions in `m`.
namespace makemore {

/// ONNX Runtime and models: model_bindings.cpp.
void define_models(py::module_& m);

/// Steps: step_bindings.cpp.
void define_steps(py::module_& m);

/// Workers, and the pools that lend them: worker_pool.cpp.
void define_workers(py::module_& m);

/// What a call made: strings_bindings.cpp.
void define_strings(py::module_& m);

/// What decodes, and what a request is made of: decode_bindings.cpp.
void define_decoding(py::module_& m);

}  // namespace makemore
