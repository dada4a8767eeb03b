// What Python calls: convert, let go of the GIL, call, convert back. Only this file and the headers
// python_*.h know Python.
#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <algorithm>

#include "coin.h"
#include "conversions.h"
#include "decode.h"
#include "device_block_step.h"
#include "device_decoder.h"
#include "device_step.h"
#include "python_step.h"
#include "running_calls.h"
#include "step_factory.h"
#include "text.h"

using namespace makemore;

namespace {

/// The arrays that `decode` makes of a request.
template <class Decode>
py::tuple decode_to_numpy(const Ids& prompts, const Ids& offsets, DecodeRequest request,
                          const CancellationToken* cancellation, const Decode& decode) {
  request.prompts = {view(prompts), view(offsets)};
  const Interrupts interrupts{.poll = RunningCalls::poll, .token = cancellation};
  Decoded decoded = RunningCalls::without_gil([&] { return decode(request, interrupts); });
  std::vector<std::int64_t> ends{0};
  for (const std::int64_t length : decoded.lengths) ends.push_back(ends.back() + length);
  return py::make_tuple(to_numpy(std::move(decoded.tokens)), to_numpy(std::move(ends)),
                        to_numpy(std::move(decoded.log_probs)),
                        to_numpy(std::move(decoded.finished)));
}

Strategy find_strategy(const std::string& name) {
  if (name == "auto") return Strategy::kAuto;
  if (name == "tree") return Strategy::kTree;
  if (name == "cached") return Strategy::kCached;
  throw OptionError("strategy is '" + name + "'; it must be 'auto', 'tree' or 'cached'");
}

/// A function of `target` and the fields of a request.
template <class Target, class Run>
void def_decode(py::module_& m, const char* name, const char* target, Run run) {
  m.def(
      name,
      [run](const Target& on, const Ids& prompts, const Ids& offsets, std::int64_t rows,
            std::uint64_t first_row, std::int64_t max_length, const SamplingOptions& options,
            // Optional: pybind11 needs a microsecond for a None that is not.
            const std::optional<std::shared_ptr<Constraint>>& constraint, std::uint64_t seed,
            std::int64_t batch_size, bool log_probs, const std::string& strategy,
            const std::optional<std::shared_ptr<CancellationToken>>& cancellation) {
        return decode_to_numpy(prompts, offsets,
                               {.rows = rows,
                                .first_row = first_row,
                                .prompts = {},
                                .max_length = max_length,
                                .sampling = options,
                                .constraint = constraint.value_or(nullptr),
                                .seed = seed,
                                .batch_size = batch_size,
                                .log_probs = log_probs,
                                .strategy = find_strategy(strategy)},
                               cancellation ? cancellation->get() : nullptr,
                               [&](const DecodeRequest& request, const Interrupts& interrupts) {
                                 return run(on, request, interrupts);
                               });
      },
      py::arg(target), py::kw_only(), py::arg("prompts"), py::arg("offsets"), py::arg("rows"),
      py::arg("first_row") = 0, py::arg("max_length"), py::arg("options") = SamplingOptions(),
      py::arg("constraint") = py::none(), py::arg("seed") = 0, py::arg("batch_size"),
      py::arg("log_probs") = true, py::arg("strategy") = "auto",
      py::arg("cancellation") = py::none());
}

constexpr std::size_t kMaxMessage = 2000;  // bytes; ONNX Runtime quotes names of any length

void translate(std::exception_ptr exception) {
  const auto raise = [](const char* name, const std::exception& error) {
    py::set_error(py::module_::import("makemore.errors").attr(name),
                  to_text(one_line(error.what(), kMaxMessage)));
  };
  try {
    std::rethrow_exception(std::move(exception));
  } catch (const OptionError& error) {
    raise("OptionError", error);
  } catch (const ArtifactError& error) {
    raise("ArtifactError", error);
  } catch (const StepError& error) {
    raise("StepError", error);
  } catch (const OrtError& error) {
    raise("OrtError", error);
  } catch (const CancelledError& error) {
    raise("CancelledError", error);
  }
}

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
    return open_model(std::move(library), std::move(read), options, kernel);
  });
}

}  // namespace

// What threads share is immutable, atomic, or locked by the call that uses it (StepLock).
PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
  m.doc() = "The C++ core: ONNX Runtime, one step, one choice, the decode loop.";
  py::register_local_exception_translator(translate);
  py::module_::import("atexit").attr("register")(py::cpp_function(RunningCalls::end_all));
  const py::module_ os = py::module_::import("os");
  if (py::hasattr(os, "register_at_fork")) {
    os.attr("register_at_fork")(py::arg("after_in_child") =
                                    py::cpp_function(RunningCalls::forget_all));
  }

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
      .def_property_readonly("kernel",
                             [](const OnnxModel& model) {
                               return model.fused_op() != nullptr ? model.fused_op()->kernel()
                                                                  : std::string();
                             })
      .def_property_readonly("states", &OnnxModel::states)
      .def(
          "metadata",
          [](const OnnxModel& model, const std::string& key) {
            return py::bytes(model.metadata(key));
          },
          py::arg("key"));

  m.def("kernels", &kernel_names);

  py::class_<Step>(m, "Step")
      .def_property_readonly("vocab_size", &Step::vocab_size)
      .def(
          "reset",
          [](Step& step, std::int64_t rows) {
            const StepLock lock(step);
            step.reset(rows);
          },
          py::arg("rows"))
      .def(
          "run",
          [](Step& step, const Ids& tokens, const Ids& positions) {
            const StepLock lock(step);
            const auto logits = run_checked(step, view(tokens), view(positions));
            py::array_t<float> copy({tokens.size(), static_cast<py::ssize_t>(step.vocab_size())});
            std::ranges::copy(logits, copy.mutable_data());
            return copy;
          },
          py::arg("tokens"), py::arg("positions"))
      .def(
          "select",
          [](Step& step, const Ids& parents) {
            const StepLock lock(step);
            step.select(view(parents));
          },
          py::arg("parents"));
  py::class_<SnapshotStep, Step>(m, "SnapshotStep");
  m.def("cpu_step", &new_cpu_step, py::arg("model"), py::arg("time_axes"),
        py::arg("block_size") = py::none());
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
  py::class_<DeviceStep, Step>(m, "DeviceStep")
      .def(py::init<std::shared_ptr<DeviceModel>>(), py::arg("model"));
  py::class_<PythonStep, Step>(m, "PythonStep").def(py::init<py::object>(), py::arg("step"));

  py::class_<CacheBudget, std::shared_ptr<CacheBudget>>(m, "CacheBudget")
      .def(py::init<std::size_t>(), py::arg("limit"));
  py::class_<Worker>(m, "Worker")
      .def(py::init<Step&>(), py::arg("step"), py::keep_alive<1, 2>())
      .def(py::init<SnapshotStep&, std::shared_ptr<CacheBudget>>(), py::arg("step"),
           py::arg("budget"), py::keep_alive<1, 2>())
      .def_property_readonly("cache_bytes", [](Worker& worker) {
        const StepLock lock(worker.step);
        return worker.cache ? worker.cache->bytes() : 0;
      });

  py::class_<SamplingOptions>(m, "SamplingOptions")
      .def(py::init([](double temperature, std::int64_t top_k, double top_p, double min_p) {
             return SamplingOptions{temperature, top_k, top_p, min_p};
           }),
           py::kw_only(), py::arg("temperature") = 1.0, py::arg("top_k") = 0,
           py::arg("top_p") = 1.0, py::arg("min_p") = 0.0);

  py::class_<Constraint, std::shared_ptr<Constraint>>(m, "Constraint");
  py::class_<ExcludedTokens, Constraint, std::shared_ptr<ExcludedTokens>>(m, "ExcludedTokens")
      .def(py::init<const std::vector<std::int64_t>&, std::int64_t>(), py::arg("ids"),
           py::arg("vocab_size"));

  py::class_<CancellationToken, std::shared_ptr<CancellationToken>>(
      m, "CancellationToken",
      "Cancels the calls that it was given to, from any thread: each raises `CancelledError` "
      "before its next step. It stays cancelled, so a later call needs a new one.")
      .def(py::init<>())
      .def("cancel", &CancellationToken::cancel, "Cancels all calls that have this token.")
      .def_property_readonly("cancelled", &CancellationToken::is_cancelled,
                             "Whether `cancel` was called.");

  m.def("coin", &coin, py::arg("seed"), py::arg("row"), py::arg("position"));
  m.def(
      "choose",
      [](const py::array_t<float, py::array::c_style | py::array::forcecast>& logits, double coin,
         const SamplingOptions& options, const ExcludedTokens* excluded) {
        Sampler sampler(options, logits.size());
        const auto allowed =
            excluded != nullptr ? excluded->allowed() : std::span<const std::uint8_t>();
        sampler.prepare({logits.data(), static_cast<std::size_t>(logits.size())}, allowed);
        return sampler.pick(coin);
      },
      py::arg("logits"), py::arg("coin"), py::arg("options") = SamplingOptions(),
      py::arg("excluded") = py::none());
  def_decode<std::vector<Worker*>>(
      m, "decode", "workers",
      [](const auto& workers, const DecodeRequest& request, const Interrupts& interrupts) {
        return decode(workers, request, interrupts);
      });
  def_decode<std::shared_ptr<DeviceModel>>(
      m, "decode_on_device", "model",
      [](const auto& model, const DecodeRequest& request, const Interrupts& interrupts) {
        DeviceBlockStep step(model, request.sampling, request.constraint.get());
        return decode_on_device(step, request, interrupts);
      });
  m.def("texts", &texts<std::int32_t>, py::arg("ids"), py::arg("offsets"), py::arg("code_points"));
  m.def("texts", &texts<std::int64_t>, py::arg("ids"), py::arg("offsets"), py::arg("code_points"));
}
