#include <pybind11/stl.h>

#include "bindings.h"
#include "coin.h"
#include "decode.h"
#include "device_block_step.h"
#include "device_decoder.h"
#include "python_processor.h"
#include "running_calls.h"

namespace makemore {
namespace {

template <class T>
using Table = py::array_t<T, py::array::c_style | py::array::forcecast>;

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
                        to_numpy(std::move(decoded.finished)), to_numpy(std::move(decoded.rows)));
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
            const std::optional<std::shared_ptr<ExcludedTokens>>& excluded,
            const std::vector<std::shared_ptr<LogitsProcessor>>& processors,
            const std::optional<std::shared_ptr<RowFilter>>& filter, std::uint64_t seed,
            std::int64_t batch_size, bool log_probs, const std::string& strategy,
            const std::optional<std::shared_ptr<CancellationToken>>& cancellation) {
        return decode_to_numpy(prompts, offsets,
                               {.rows = rows,
                                .first_row = first_row,
                                .prompts = {},
                                .max_length = max_length,
                                .sampling = options,
                                .excluded = excluded.value_or(nullptr),
                                .processors = processors,
                                .filter = filter.value_or(nullptr),
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
      py::arg("excluded") = py::none(), py::arg("processors") = py::list(),
      py::arg("row_filter") = py::none(), py::arg("seed") = 0, py::arg("batch_size"),
      py::arg("log_probs") = true, py::arg("strategy") = "auto",
      py::arg("cancellation") = py::none());
}

/// Runs a request that records, over prompts one a row.
void record(const std::vector<Worker*>& workers, const Ids& prompts, const Ids& offsets,
            DecodeRequest request, const CancellationToken* cancellation) {
  request.prompts = {view(prompts), view(offsets)};
  request.rows = std::max(offsets.size() - 1, py::ssize_t{0});
  for (std::int64_t row = 0; row < request.rows; ++row) {
    request.max_length = std::max(request.max_length, offsets.at(row + 1) - offsets.at(row) + 1);
  }
  const Interrupts interrupts{.poll = RunningCalls::poll, .token = cancellation};
  RunningCalls::without_gil([&] { return decode(workers, request, interrupts); });
}

py::array_t<double> distributions(const std::vector<Worker*>& workers, const Ids& prompts,
                                  const Ids& offsets, const SamplingOptions& options,
                                  std::shared_ptr<ExcludedTokens> excluded,
                                  std::vector<std::shared_ptr<LogitsProcessor>> processors,
                                  std::int64_t batch_size, const CancellationToken* cancellation) {
  const std::int64_t vocab_size = workers.empty() ? 0 : workers.front()->step.vocab_size();
  py::array_t<double> out({std::max(offsets.size() - 1, py::ssize_t{0}), vocab_size});
  const std::span<double> all(out.mutable_data(), static_cast<std::size_t>(out.size()));
  record(workers, prompts, offsets,
         {.max_length = 1,
          .sampling = options,
          .excluded = std::move(excluded),
          .processors = std::move(processors),
          .batch_size = batch_size,
          .log_probs = false,
          .records = {.distributions = all}},
         cancellation);
  return out;
}

py::array_t<double> token_log_probs(const std::vector<Worker*>& workers, const Ids& prompts,
                                    const Ids& offsets, std::int64_t batch_size,
                                    const CancellationToken* cancellation) {
  py::array_t<double> out(prompts.size());
  const std::span<double> all(out.mutable_data(), static_cast<std::size_t>(out.size()));
  record(workers, prompts, offsets,
         {.max_length = 1, .batch_size = batch_size, .records = {.token_log_probs = all}},
         cancellation);
  return out;
}

std::int64_t choose(const py::array_t<float, py::array::c_style | py::array::forcecast>& logits,
                    double coin, const SamplingOptions& options, const ExcludedTokens* excluded) {
  Sampler sampler(options, logits.size());
  if (excluded != nullptr) require_vocab_size(*excluded, logits.size());
  const auto allowed = excluded != nullptr ? excluded->allowed() : std::span<const std::uint8_t>();
  sampler.prepare({logits.data(), static_cast<std::size_t>(logits.size())}, allowed);
  return sampler.pick(coin);
}

}  // namespace

void define_decoding(py::module_& m) {
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

  py::class_<LogitsProcessor, std::shared_ptr<LogitsProcessor>>(m, "LogitsProcessor");
  py::class_<RepetitionPenalty, LogitsProcessor, std::shared_ptr<RepetitionPenalty>>(
      m, "RepetitionPenalty")
      .def(py::init<double>(), py::arg("penalty"));
  py::class_<PythonProcessor, LogitsProcessor, std::shared_ptr<PythonProcessor>>(m,
                                                                                 "PythonProcessor")
      .def(py::init<py::object>(), py::arg("function"));
  py::class_<RowFilter, std::shared_ptr<RowFilter>>(m, "RowFilter")
      .def(py::init([](const Table<std::int32_t>& transitions, const Table<std::uint8_t>& accepting,
                       std::int64_t vocab_size) {
             return RowFilter({transitions.data(), transitions.data() + transitions.size()},
                              {accepting.data(), accepting.data() + accepting.size()}, vocab_size);
           }),
           py::arg("transitions"), py::arg("accepting"), py::arg("vocab_size"));
  py::class_<ExcludedTokens, std::shared_ptr<ExcludedTokens>>(m, "ExcludedTokens")
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
  m.def("choose", &choose, py::arg("logits"), py::arg("coin"),
        py::arg("options") = SamplingOptions(), py::arg("excluded") = py::none());
  m.def("distributions", &distributions, py::arg("workers"), py::kw_only(), py::arg("prompts"),
        py::arg("offsets"), py::arg("options") = SamplingOptions(),
        py::arg("excluded") = py::none(), py::arg("processors") = py::list(), py::arg("batch_size"),
        py::arg("cancellation") = py::none());
  m.def("token_log_probs", &token_log_probs, py::arg("workers"), py::kw_only(), py::arg("prompts"),
        py::arg("offsets"), py::arg("batch_size"), py::arg("cancellation") = py::none());
  def_decode<std::vector<Worker*>>(
      m, "decode", "workers",
      [](const auto& workers, const DecodeRequest& request, const Interrupts& interrupts) {
        return decode(workers, request, interrupts);
      });
  def_decode<std::shared_ptr<DeviceModel>>(
      m, "decode_on_device", "model",
      [](const auto& model, const DecodeRequest& request, const Interrupts& interrupts) {
        DeviceBlockStep step(model, request.sampling, request.excluded.get());
        return decode_on_device(step, request, interrupts);
      });
}

}  // namespace makemore
