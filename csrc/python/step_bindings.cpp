#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "bindings.h"
#include "device_step.h"
#include "python_step.h"
#include "running_calls.h"
#include "step_factory.h"

namespace makemore {

void define_steps(py::module_& m) {
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
  py::class_<SnapshotStep, Step>(m, "SnapshotStep")
      .def_property_readonly("is_cheap", &SnapshotStep::is_cheap)
      .def_property_readonly("snapshot_bytes", &SnapshotStep::snapshot_bytes)
      .def_property_readonly("common_prefix_bytes", &CommonPrefixes::prefix_bytes)
      .def(
          "find_common_prefixes",
          [](SnapshotStep& step, std::size_t max_count, std::size_t max_states,
             std::int64_t max_length, std::optional<std::int64_t> max_microseconds,
             const CancellationToken* cancellation) {
            const StepLock lock(step);
            CommonPrefixes::Limits limits{
                .count = max_count, .states = max_states, .length = max_length};
            if (max_microseconds) {
              limits.end =
                  CommonPrefixes::Clock::now() + std::chrono::microseconds(*max_microseconds);
            }
            const Interrupts interrupts{.poll = RunningCalls::poll, .token = cancellation};
            return RunningCalls::without_gil([&] {
              CallCancellation call(interrupts);
              return step.common_prefixes()->grow(step, limits, call);
            });
          },
          py::arg("max_count"), py::arg("max_states"), py::arg("max_length"),
          py::arg("max_microseconds") = py::none(), py::arg("cancellation") = py::none());
  m.def("cpu_step", &new_cpu_step, py::arg("model"), py::arg("time_axes"),
        py::arg("block_size") = py::none());
  py::class_<DeviceStep, Step>(m, "DeviceStep")
      .def(py::init<std::shared_ptr<DeviceModel>>(), py::arg("model"));
  py::class_<PythonStep, Step>(m, "PythonStep").def(py::init<py::object>(), py::arg("step"));
}

}  // namespace makemore
