// The only file that knows Python: convert, let go of the GIL, call, convert back.
#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "coin.h"
#include "cpu_step.h"
#include "decode.h"
#include "device_step.h"

namespace py = pybind11;
using namespace makemore;

namespace {

using Ids = py::array_t<std::int64_t, py::array::c_style | py::array::forcecast>;

std::span<const std::int64_t> view(const Ids& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

/// A NumPy array that owns the memory of `values`.
template <class T>
py::array_t<T> to_numpy(std::vector<T> values) {
  auto owned = std::make_unique<std::vector<T>>(std::move(values));
  const auto size = static_cast<py::ssize_t>(owned->size());
  const T* data = owned->data();
  py::capsule owner(owned.release(), [](void* p) { delete static_cast<std::vector<T>*>(p); });
  return py::array_t<T>(size, data, owner);
}

/// Text that a file or a path gave: it need not be UTF-8.
py::str to_text(const std::string& bytes) {
  const auto size = static_cast<py::ssize_t>(bytes.size());
  return py::reinterpret_steal<py::str>(
      PyUnicode_DecodeUTF8(bytes.data(), size, "backslashreplace"));
}

/// A step written in Python: an object with the verbs reset, run and select and a vocab_size.
class PythonStep : public Step {
 public:
  explicit PythonStep(py::object step)
      : step_(std::move(step)), vocab_size_(step_.attr("vocab_size").cast<std::int64_t>()) {}

  std::int64_t vocab_size() const override { return vocab_size_; }

  void reset(std::int64_t rows) override {
    const py::gil_scoped_acquire gil;
    step_.attr("reset")(rows);
  }

  std::span<const float> run(std::span<const std::int64_t> tokens,
                             std::span<const std::int64_t> positions) override {
    const py::gil_scoped_acquire gil;
    const auto logits = step_.attr("run")(to_array(tokens), to_array(positions)).cast<Logits>();
    const auto size = tokens.size() * static_cast<std::size_t>(vocab_size_);
    if (static_cast<std::size_t>(logits.size()) != size) {
      throw ArtifactError("a step gave " + std::to_string(logits.size()) + " logits, not " +
                          std::to_string(size));
    }
    logits_.assign(logits.data(), logits.data() + size);
    return logits_;
  }

  void select(std::span<const std::int64_t> parents) override {
    const py::gil_scoped_acquire gil;
    step_.attr("select")(to_array(parents));
  }

 private:
  using Logits = py::array_t<float, py::array::c_style | py::array::forcecast>;

  static Ids to_array(std::span<const std::int64_t> values) {
    return Ids(static_cast<py::ssize_t>(values.size()), values.data());
  }

  py::object step_;
  std::int64_t vocab_size_;
  std::vector<float> logits_;
};

py::tuple decode_to_numpy(const std::vector<Step*>& steps, const Ids& prompts, const Ids& offsets,
                          DecodeRequest request) {
  request.prompts = {view(prompts), view(offsets)};
  Decoded decoded;
  {
    const py::gil_scoped_release no_gil;
    decoded = decode(steps, request, [] {
      const py::gil_scoped_acquire gil;
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    });
  }
  return py::make_tuple(to_numpy(std::move(decoded.tokens)), to_numpy(std::move(decoded.lengths)),
                        to_numpy(std::move(decoded.log_probs)),
                        to_numpy(std::move(decoded.finished)));
}

void translate(std::exception_ptr exception) {
  const auto raise = [](const char* name, const std::exception& error) {
    py::set_error(py::module_::import("makemore.errors").attr(name), to_text(error.what()));
  };
  try {
    std::rethrow_exception(std::move(exception));
  } catch (const OptionError& error) {
    raise("OptionError", error);
  } catch (const ArtifactError& error) {
    raise("ArtifactError", error);
  } catch (const OrtError& error) {
    raise("OrtError", error);
  }
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "The C++ core: ONNX Runtime, one step, one choice, the decode loop.";
  py::register_local_exception_translator(translate);

  py::class_<ort::Library, std::shared_ptr<ort::Library>>(m, "Library")
      .def(py::init<const std::filesystem::path&>(), py::arg("path"))
      .def_property_readonly("version", &ort::Library::version)
      .def("providers", &ort::Library::providers)
      .def("require_cuda",
           [](const ort::Library& library) { library.session_options(ort::Device::kCuda); });

  py::class_<StateTensor>(m, "StateTensor")
      .def_property_readonly("name", [](const StateTensor& state) { return to_text(state.name); })
      .def_readonly("shape", &StateTensor::shape)
      .def_property_readonly("dtype", [](const StateTensor& state) {
        return state.element_type == ort::kFloat ? "float32" : "int64";
      });

  py::class_<OnnxModel, std::shared_ptr<OnnxModel>>(m, "OnnxModel")
      .def(py::init([](std::shared_ptr<ort::Library> library, const std::filesystem::path& path,
                       bool cuda) {
             const py::gil_scoped_release no_gil;
             const auto device = cuda ? ort::Device::kCuda : ort::Device::kCpu;
             return std::make_shared<OnnxModel>(std::move(library), path, device);
           }),
           py::arg("library"), py::arg("path"), py::kw_only(), py::arg("cuda") = false)
      .def_property_readonly("vocab_size", &OnnxModel::vocab_size)
      .def_property_readonly("states", &OnnxModel::states)
      .def(
          "metadata",
          [](const OnnxModel& model, const std::string& key) {
            return py::bytes(model.metadata(key));
          },
          py::arg("key"));

  py::class_<Step>(m, "Step")
      .def_property_readonly("vocab_size", &Step::vocab_size)
      .def("reset", &Step::reset, py::arg("rows"))
      .def(
          "run",
          [](Step& step, const Ids& tokens, const Ids& positions) {
            const auto logits = step.run(view(tokens), view(positions));
            const py::ssize_t rows = tokens.size(), vocab_size = step.vocab_size();
            return py::array_t<float>({rows, vocab_size}, logits.data());
          },
          py::arg("tokens"), py::arg("positions"))
      .def(
          "select", [](Step& step, const Ids& parents) { step.select(view(parents)); },
          py::arg("parents"));
  py::class_<CpuStep, Step>(m, "CpuStep")
      .def(py::init([](std::shared_ptr<OnnxModel> model,
                       const std::vector<std::optional<std::int64_t>>& time_axes) {
             return std::make_unique<CpuStep>(std::move(model), time_axes);
           }),
           py::arg("model"), py::arg("time_axes"));
  py::class_<DeviceStep, Step>(m, "DeviceStep")
      .def(py::init<std::shared_ptr<OnnxModel>>(), py::arg("model"));
  py::class_<PythonStep, Step>(m, "PythonStep").def(py::init<py::object>(), py::arg("step"));

  py::class_<ChooseOptions>(m, "ChooseOptions")
      .def(py::init([](double temperature, std::int64_t top_k, double top_p, double min_p,
                       std::vector<std::int64_t> mask) {
             return ChooseOptions{temperature, top_k, top_p, min_p, std::move(mask)};
           }),
           py::kw_only(), py::arg("temperature") = 1.0, py::arg("top_k") = 0,
           py::arg("top_p") = 1.0, py::arg("min_p") = 0.0,
           py::arg("mask") = std::vector<std::int64_t>{});

  m.def("coin", &coin, py::arg("seed"), py::arg("row"), py::arg("position"));
  m.def(
      "choose",
      [](const py::array_t<float, py::array::c_style | py::array::forcecast>& logits, double coin,
         const ChooseOptions& options) {
        Chooser chooser(options, logits.size());
        chooser.prepare({logits.data(), static_cast<std::size_t>(logits.size())});
        return chooser.pick(coin);
      },
      py::arg("logits"), py::arg("coin"), py::arg("options") = ChooseOptions());
  m.def(
      "decode",
      [](const std::vector<Step*>& steps, const Ids& prompts, const Ids& offsets, std::int64_t rows,
         std::uint64_t first_row, std::int64_t max_length, const ChooseOptions& options,
         std::uint64_t seed, std::int64_t batch_size) {
        return decode_to_numpy(steps, prompts, offsets,
                               {rows, first_row, {}, max_length, options, seed, batch_size});
      },
      py::arg("steps"), py::kw_only(), py::arg("prompts"), py::arg("offsets"), py::arg("rows"),
      py::arg("first_row") = 0, py::arg("max_length"), py::arg("options") = ChooseOptions(),
      py::arg("seed") = 0, py::arg("batch_size"));
}
