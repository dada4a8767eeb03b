#include <pybind11/stl.h>

#include "bindings.h"
#include "coin.h"
#include "decode.h"
#include "device_block_step.h"
#include "device_decoder.h"
#include "python_processor.h"
#include "running_calls.h"
#include "strings.h"
#include "text_output.h"
#include "worker_pool.h"

namespace makemore {
namespace {

template <class T>
using Table = py::array_t<T, py::array::c_style | py::array::forcecast>;

/// A request, all but which rows it is for; and the arrays that its prompts are in.
struct Request {
  Ids prompts, offsets;
  DecodeRequest decode;
};

Strategy find_strategy(const std::string& name) {
  if (name == "auto") return Strategy::kAuto;
  if (name == "tree") return Strategy::kTree;
  if (name == "cached") return Strategy::kCached;
  throw OptionError("strategy is '" + name + "'; it must be 'auto', 'tree' or 'cached'");
}

Request make_request(const Ids& prompts, const Ids& offsets, std::int64_t max_length,
                     const SamplingOptions& options, std::shared_ptr<ExcludedTokens> excluded,
                     std::vector<std::shared_ptr<LogitsProcessor>> processors,
                     std::shared_ptr<RowFilter> row_filter, std::int64_t batch_size,
                     const std::string& strategy, bool drawn_log_probs) {
  return {prompts,
          offsets,
          {.prompts = {view(prompts), view(offsets)},
           .max_length = max_length,
           .sampling = options,
           .excluded = std::move(excluded),
           .processors = std::move(processors),
           .filter = std::move(row_filter),
           .batch_size = batch_size,
           .drawn_log_probs = drawn_log_probs,
           .strategy = find_strategy(strategy)}};
}

/// A request for those rows.
DecodeRequest request_for(const Request& shared, std::int64_t rows, std::uint64_t first_row,
                          std::uint64_t seed, bool log_probs) {
  DecodeRequest request = shared.decode;
  request.rows = rows;
  request.first_row = first_row;
  request.seed = seed;
  request.log_probs = log_probs;
  return request;
}

// Optional: pybind11 needs a microsecond for a None that is not.
using Cancellation = std::optional<std::shared_ptr<CancellationToken>>;

Interrupts interrupts_of(const Cancellation& cancellation) {
  return {.poll = RunningCalls::poll, .token = cancellation ? cancellation->get() : nullptr};
}

/// Runs a part of a call with as many workers as it is lent.
template <class Run>
auto with_workers(WorkerPool& pool, const py::object& new_step, std::size_t threads,
                  const Run& run) {
  WorkerPool::Loan loan(pool, new_step, threads);
  auto result = run(loan.workers());
  loan.give_back();
  return result;
}

Strings decode_strings(WorkerPool& pool, const py::object& new_step, std::size_t threads,
                       const Request& shared, std::int64_t rows, std::uint64_t first_row,
                       std::uint64_t seed, bool log_probs, const Cancellation& cancellation) {
  const auto request = request_for(shared, rows, first_row, seed, log_probs);
  const Interrupts interrupts = interrupts_of(cancellation);
  return with_workers(pool, new_step, threads, [&](auto workers) {
    return Strings(RunningCalls::without_gil([&] { return decode(workers, request, interrupts); }));
  });
}

/// The texts of the strings, without anything else. `code_points`: of each token.
Texts decode_texts(WorkerPool& pool, const py::object& new_step, std::size_t threads,
                   const Request& shared, std::int64_t rows, std::uint64_t first_row,
                   std::uint64_t seed, const CodePoints& code_points,
                   const Cancellation& cancellation) {
  const auto request = request_for(shared, rows, first_row, seed, false);
  const Interrupts interrupts = interrupts_of(cancellation);
  return with_workers(pool, new_step, threads, [&](auto workers) {
    for (const Worker* worker : workers) {
      if (worker->step.vocab_size() > code_points.size()) throw py::index_error("no such token");
    }
    TextOutput output(request, code_points);
    RunningCalls::without_gil([&] { return decode(workers, request, output, interrupts), true; });
    return output.texts();
  });
}

/// Runs a request for what it records, over a prompt for each row.
void record(WorkerPool& pool, const py::object& new_step, std::size_t threads,
            const Request& shared, const Records& records, const CancellationToken* cancellation) {
  DecodeRequest request = shared.decode;
  request.rows = std::max(shared.offsets.size() - 1, py::ssize_t{0});
  request.log_probs = !records.token_log_probs.empty();
  request.records = records;
  const Interrupts interrupts{.poll = RunningCalls::poll, .token = cancellation};
  with_workers(pool, new_step, threads, [&](auto workers) {
    return RunningCalls::without_gil([&] { return decode(workers, request, interrupts); });
  });
}

std::span<double> view(py::array_t<double>& array) {
  return {array.mutable_data(), static_cast<std::size_t>(array.size())};
}

py::array_t<double> distributions(WorkerPool& pool, const py::object& new_step, std::size_t threads,
                                  const Request& request, const CancellationToken* cancellation) {
  py::array_t<double> out(
      {std::max(request.offsets.size() - 1, py::ssize_t{0}), pool.vocab_size()});
  record(pool, new_step, threads, request, {.token_log_probs = {}, .distributions = view(out)},
         cancellation);
  return out;
}

py::array_t<double> token_log_probs(WorkerPool& pool, const py::object& new_step,
                                    std::size_t threads, const Request& request,
                                    const CancellationToken* cancellation) {
  py::array_t<double> out(request.prompts.size());
  record(pool, new_step, threads, request, {.token_log_probs = view(out), .distributions = {}},
         cancellation);
  return out;
}

Strings decode_strings_on_device(const std::shared_ptr<DeviceModel>& model, const Request& shared,
                                 std::int64_t rows, std::uint64_t first_row, std::uint64_t seed,
                                 bool log_probs, const Cancellation& cancellation) {
  const auto request = request_for(shared, rows, first_row, seed, log_probs);
  const Interrupts interrupts = interrupts_of(cancellation);
  return Strings(RunningCalls::without_gil([&] {
    DeviceBlockStep step(model, request.sampling, request.excluded.get());
    return decode_on_device(step, request, interrupts);
  }));
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
  py::class_<Request>(m, "Request")
      .def(py::init(&make_request), py::kw_only(), py::arg("prompts"), py::arg("offsets"),
           py::arg("max_length"), py::arg("options") = SamplingOptions(),
           py::arg("excluded") = py::none(), py::arg("processors") = py::list(),
           py::arg("row_filter") = py::none(), py::arg("batch_size"), py::arg("strategy") = "auto",
           py::arg("drawn_log_probs") = false)
      .def_property_readonly("needs_host", [](const Request& request) {
        return request.offsets.size() > 0 || request.decode.drawn_log_probs;
      });
  m.def("distributions", &distributions, py::arg("pool"), py::arg("new_step"), py::arg("threads"),
        py::arg("request"), py::arg("cancellation") = py::none());
  m.def("token_log_probs", &token_log_probs, py::arg("pool"), py::arg("new_step"),
        py::arg("threads"), py::arg("request"), py::arg("cancellation") = py::none());
  m.def("decode", &decode_strings, py::arg("pool"), py::arg("new_step"), py::arg("threads"),
        py::arg("request"), py::arg("rows"), py::arg("first_row") = 0, py::arg("seed") = 0,
        py::arg("log_probs") = true, py::arg("cancellation") = py::none());
  m.def("decode_texts", &decode_texts, py::arg("pool"), py::arg("new_step"), py::arg("threads"),
        py::arg("request"), py::arg("rows"), py::arg("first_row"), py::arg("seed"),
        py::arg("code_points"), py::arg("cancellation") = py::none());
  m.def("decode_on_device", &decode_strings_on_device, py::arg("model"), py::arg("request"),
        py::arg("rows"), py::arg("first_row") = 0, py::arg("seed") = 0, py::arg("log_probs") = true,
        py::arg("cancellation") = py::none());
}

}  // namespace makemore
