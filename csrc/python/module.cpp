// The module _core: its parts, its errors, and what happens when the interpreter exits. Python is
// known in this folder only: convert, let go of the GIL, call, convert back.
#include "bindings.h"
#include "errors.h"
#include "run_turn.h"
#include "running_calls.h"
#include "text.h"

using namespace makemore;

namespace {

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

void end_calls_with_the_interpreter() {
  py::module_::import("atexit").attr("register")(py::cpp_function(RunningCalls::end_all));
  const py::module_ os = py::module_::import("os");
  if (!py::hasattr(os, "register_at_fork")) return;
  // Of what is called before a fork the first registered comes last: sessions stop when threads
  // that may run one were ended.
  os.attr("register_at_fork")(py::arg("before") = py::cpp_function(RunTurn::take_all),
                              py::arg("after_in_parent") = py::cpp_function(RunTurn::give_all_back),
                              py::arg("after_in_child") = py::cpp_function([] {
                                RunningCalls::forget_all();
                                RunTurn::give_all_back();
                              }));
}

}  // namespace

// What threads share is immutable, atomic, or locked by the call that uses it (StepLock).
PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
  m.doc() = "The C++ core: ONNX Runtime, one step, one choice, the decode loop.";
  py::register_local_exception_translator(translate);
  end_calls_with_the_interpreter();
  define_models(m);
  define_steps(m);
  define_workers(m);
  define_strings(m);
  define_decoding(m);
  m.def("texts", &texts_of<std::int32_t>, py::arg("ids"), py::arg("offsets"),
        py::arg("code_points"));
  m.def("texts", &texts_of<std::int64_t>, py::arg("ids"), py::arg("offsets"),
        py::arg("code_points"));
}
