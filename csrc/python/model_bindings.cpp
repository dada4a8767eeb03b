#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "bindings.h"
#include "device_model.h"
#include "running_calls.h"
#include "step_factory.h"

namespace makemore {
namespace {

using Bytes =
    std::variant<py::bytes, std::filesystem::path>;  // in this order: a path takes bytes, too

std::shared_ptr<OnnxModel> open(std::shared_ptr<ort::Library> library, const Bytes& file, bool cuda,
                                const std::optional<std::string>& kernel, bool trust,
                                bool keep_file, std::size_t max_bytes) {
  const ModelOptions options{cuda ? ort::Device::kCuda : ort::Device::kCpu, trust,
                             keep_file || cuda, max_bytes};
  const auto* path = std::get_if<std::filesystem::path>(&file);
  ModelFile read{"the bytes given", {}};
  if (path == nullptr) read.bytes = std::get<py::bytes>(file);
  return RunningCalls::without_gil([&] {
    if (path != nullptr) read = read_model_file(*path, max_bytes);
    return open_model(library, std::move(read), options, kernel);
  });
}

}  // namespace

void define_models(py::module_& m) {
  py::class_<ort::Library, std::shared_ptr<ort::Library>>(m, "Library")
      .def(py::init<const std::filesystem::path&>(), py::arg("path"))
      .def_property_readonly("version", &ort::Library::version)
      .def("providers", &ort::Library::providers)
      .def("require_cuda",
           [](const ort::Library& library) { library.self_test(ort::Device::kCuda); });

  py::class_<StateTensor>(m, "StateTensor")
      .def_property_readonly("name", [](const StateTensor& state) { return to_text(state.name); })
      .def_readonly("shape", &StateTensor::shape)
      .def_property_readonly("dtype", [](const StateTensor& state) {
        return state.element_type == ort::kFloat  ? "float32"
               : state.element_type == ort::kHalf ? "float16"
                                                  : "int64";
      });

  py::class_<OnnxModel, std::shared_ptr<OnnxModel>>(m, "OnnxModel")
      .def(py::init(&open), py::arg("library"), py::arg("file"), py::kw_only(),
           py::arg("cuda") = false, py::arg("kernel") = py::none(), py::arg("trust") = false,
           py::arg("keep_file") = false, py::arg("max_bytes") = kMaxBytes)
      .def_property_readonly("vocab_size", &OnnxModel::vocab_size)
      .def_property_readonly("max_rows", &OnnxModel::max_rows)
      .def_property_readonly("kernel", &OnnxModel::kernel)
      .def_property_readonly("states", &OnnxModel::states)
      .def(
          "metadata",
          [](const OnnxModel& model, const std::string& key) {
            return py::bytes(model.metadata(key));
          },
          py::arg("key"));

  m.def("kernels", &kernel_names);

  py::class_<DeviceModel, std::shared_ptr<DeviceModel>>(m, "DeviceModel")
      .def(py::init([](std::shared_ptr<OnnxModel> model,
                       const std::vector<std::optional<std::int64_t>>& time_axes,
                       std::optional<std::int64_t> block_size) {
             return std::make_shared<DeviceModel>(std::move(model), time_axes, block_size);
           }),
           py::arg("model"), py::arg("time_axes"), py::arg("block_size") = py::none())
      .def(
          "sampler_bytes",
          [](const DeviceModel& model, const SamplingOptions& options, bool excludes) {
            return py::bytes(model.sampler_bytes(sampling_graph_kind(options, excludes)));
          },
          py::arg("options"), py::arg("excludes") = false);
}

}  // namespace makemore
