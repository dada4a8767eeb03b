#include "decode.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <limits>
#include <numeric>
#include <string>

#include "batch.h"
#include "errors.h"
#include "walk.h"
#include "watch.h"

namespace makemore {
namespace {

using Rows = std::vector<std::int64_t>;

/// Rows that go over the memo together, of a model without state: few, to stay in the cache.
constexpr std::int64_t kWalk = 1'024;

/// Rows that share more with those of earlier calls than with each other, if the model has a state.
constexpr std::int64_t kFew = 4'096;

/// Rows that are decoded together: enough to share, and few beside what they make.
constexpr std::int64_t kSlice = std::int64_t{1} << 18;

/// Batches of a worker, so that none waits long for the others at the end.
constexpr std::size_t kPartsEach = 4;

constexpr std::size_t kAny = std::numeric_limits<std::size_t>::max();

void require(bool good, const char* name, std::int64_t value, const std::string& limit) {
  if (!good) throw OptionError(std::string(name) + " is " + std::to_string(value) + "; " + limit);
}

}  // namespace

void validate(const DecodeRequest& request, std::int64_t vocab_size) {
  require(request.rows >= 0, "n", request.rows, "it must be >= 0");
  require(request.max_length >= 1, "max_length", request.max_length, "it must be >= 1");
  require(request.batch_size >= 1, "batch_size", request.batch_size, "it must be >= 1");
  for (const std::int64_t token : request.prompts.tokens) {
    require(token >= 0 && token < vocab_size, "a token", token,
            "the vocabulary has " + std::to_string(vocab_size));
  }
  const auto offsets = request.prompts.offsets;
  const bool one_each = offsets.size() == static_cast<std::size_t>(request.rows) + 1 &&
                        offsets.front() == 0 && std::ranges::is_sorted(offsets) &&
                        offsets.back() == static_cast<std::int64_t>(request.prompts.tokens.size());
  if (!offsets.empty() && !one_each) throw OptionError("offsets must part the prompts of n rows");
}

namespace {

std::size_t divide_up(std::size_t a, std::size_t b) { return a / b + (a % b > 0 ? 1 : 0); }

/// Appends the strings of batches, which together hold `count` rows from `first` on, in row order.
void append(Decoded& all, std::int64_t first, std::size_t count, std::span<const Batch> batches) {
  struct Place {
    const Batch::Ending* ending;
    const std::int32_t* tokens;
  };
  std::vector<Place> places(count);
  for (const Batch& batch : batches) {
    for (const Batch::Ending& ending : batch.endings()) {
      places[static_cast<std::size_t>(ending.row - first)] = {&ending,
                                                              batch.tokens().data() + ending.begin};
    }
  }
  for (const auto& [ending, tokens] : places) {
    all.tokens.insert(all.tokens.end(), tokens, tokens + ending->length);
    all.lengths.push_back(ending->length);
    all.log_probs.push_back(ending->log_prob);
    all.finished.push_back(ending->stopped ? 1 : 0);
  }
}

/// Appends strings that follow. The first make room for `rows` that are as long as they.
void append(Decoded& all, const Decoded& more, std::size_t rows) {
  const std::size_t room = rows / more.lengths.size() + 1;  // as many times
  const auto append_to = [room](auto& some, const auto& others) {
    if (some.empty()) some.reserve(room * others.size());
    some.insert(some.end(), others.begin(), others.end());
  };
  append_to(all.tokens, more.tokens);
  append_to(all.lengths, more.lengths);
  append_to(all.log_probs, more.log_probs);
  append_to(all.finished, more.finished);
}

/// Does tasks 0 to `tasks` - 1, spread over the workers.
void spread(std::span<Worker* const> workers, std::size_t tasks, Watch& watch,
            const std::function<void(Worker&, std::size_t)>& task) {
  std::atomic<std::size_t> taken = 0;
  const auto work = [&](Worker& worker) {
    try {
      for (std::size_t i = taken++; i < tasks; i = taken++) task(worker, i);
    } catch (const Watch::Stopped&) {  // the worker that failed tells why
    } catch (...) {
      watch.stop();
      throw;
    }
  };
  // A future of std::async waits for its thread when it goes, also when one of us throws.
  std::vector<std::future<void>> others;
  try {
    for (Worker* worker : workers.subspan(1, std::min(workers.size(), tasks) - 1)) {
      others.push_back(std::async(std::launch::async, work, std::ref(*worker)));
    }
    work(*workers.front());
    for (std::future<void>& other : others) {
      while (other.wait_for(Watch::kInterval) != std::future_status::ready) watch.poll();
      other.get();
    }
  } catch (...) {
    watch.stop();
    throw;
  }
}

/// Decodes rows in a batch that the first worker begins and, where it is not alone, all end, each
/// some of the groups that wait by then. Of a step that cannot save, rows begin again: as many as
/// it may take together, in the order of the prefixes seen so far.
std::vector<Batch> decode_slice(std::span<Worker* const> workers, const DecodeRequest& request,
                                const Rows& rows, Watch& watch) {
  Step& step = workers.front()->step;
  const auto size = std::min(divide_up(rows.size(), workers.size()),
                             static_cast<std::size_t>(request.batch_size));
  // How rows begin is cheap to see: few prefixes are alive at first, however many the rows.
  const bool alone = step.can_save() && workers.size() == 1;
  std::vector<Batch> batches;
  batches.emplace_back(request, step.vocab_size(), rows);
  if (batches.front().run(step, alone ? kAny : size, watch)) return batches;
  if (step.can_save()) {
    for (Batch& part : batches.front().split(kPartsEach * workers.size())) {
      batches.push_back(std::move(part));
    }
  } else {
    const Rows sorted = batches.front().rows();
    batches.clear();
    for (std::size_t begin = 0; begin < sorted.size(); begin += size) {
      const auto some = std::span(sorted).subspan(begin, std::min(size, sorted.size() - begin));
      batches.emplace_back(request, step.vocab_size(), some);
    }
  }
  spread(workers, batches.size(), watch,
         [&](Worker& worker, std::size_t i) { batches[i].run(worker.step, kAny, watch); });
  return batches;
}

Decoded decode_in_batches(std::span<Worker* const> workers, const DecodeRequest& request,
                          Watch& watch) {
  Decoded all;
  for (std::int64_t begin = 0; begin < request.rows; begin += kSlice) {
    Rows rows(static_cast<std::size_t>(std::min(kSlice, request.rows - begin)));
    std::iota(rows.begin(), rows.end(), begin);
    append(all, begin, rows.size(), decode_slice(workers, request, rows, watch));
  }
  return all;
}

/// Appends the strings of `count` rows from `first` on, made over the memo; of half of them at a
/// time where it has no room for all, and without it where it has none for one.
void walk_all(Worker& worker, const DecodeRequest& request, std::int64_t first, std::int64_t count,
              Watch& watch, Decoded& out) {
  if (walk(worker.memo, request, first, count, watch, out)) return;
  if (count == 1) {
    append(out, first, 1, decode_slice(std::array{&worker}, request, {first}, watch));
    return;
  }
  walk_all(worker, request, first, count / 2, watch, out);
  walk_all(worker, request, first + count / 2, count - count / 2, watch, out);
}

Decoded decode_over_memo(std::span<Worker* const> workers, const DecodeRequest& request,
                         Watch& watch) {
  const std::int64_t most = workers.front()->step.is_stateless() ? kWalk : kFew;
  const std::int64_t size = std::min((request.rows - 1) / std::ssize(workers) + 1, most);
  const std::int64_t wave = size * std::ssize(workers) * static_cast<std::int64_t>(kPartsEach);
  Decoded all;
  std::vector<Decoded> parts;
  for (std::int64_t begin = 0; begin < request.rows; begin += wave) {
    const std::int64_t end = std::min(begin + wave, request.rows);
    parts.resize(static_cast<std::size_t>((end - begin - 1) / size + 1));
    spread(workers, parts.size(), watch, [&](Worker& worker, std::size_t i) {
      const std::int64_t first = begin + static_cast<std::int64_t>(i) * size;
      parts[i].clear();
      walk_all(worker, request, first, std::min(size, end - first), watch, parts[i]);
    });
    for (const Decoded& part : parts) append(all, part, static_cast<std::size_t>(request.rows));
  }
  return all;
}

/// Whether to go over the memo: it pays where rows often come to nodes that are known, and a node
/// has to be small beside all that is kept.
bool has_use_of_memo(const Worker& worker, const DecodeRequest& request) {
  const bool is_stateless = worker.step.is_stateless();
  const auto rows =
      static_cast<std::size_t>(is_stateless ? worker.step.vocab_size() : request.rows);
  return worker.step.can_save() && (is_stateless || request.rows <= kFew) &&
         rows * worker.memo.node_bytes() <= Memo::kLimit / 4;
}

}  // namespace

Decoded decode(std::span<Worker* const> workers, const DecodeRequest& request,
               const std::function<void()>& poll) {
  if (workers.empty()) throw OptionError("decode needs at least one step");
  validate(request, workers.front()->step.vocab_size());
  Watch watch(poll);
  if (request.rows == 0) return {};
  const bool over_memo = has_use_of_memo(*workers.front(), request);
  return (over_memo ? decode_over_memo : decode_in_batches)(workers, request, watch);
}

}  // namespace makemore
