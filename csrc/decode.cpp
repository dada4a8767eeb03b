#include "decode.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <limits>
#include <numeric>
#include <optional>
#include <string>

#include "batch.h"
#include "errors.h"
#include "watch.h"

namespace makemore {
namespace {

using Rows = std::vector<std::int64_t>;

/// Rows that are brought into order at once: enough to share, and few beside what they make.
constexpr std::int64_t kSlice = 65'536;

void require(bool good, const char* name, std::int64_t value, const std::string& limit) {
  if (!good) throw OptionError(std::string(name) + " is " + std::to_string(value) + "; " + limit);
}

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

std::size_t divide_up(std::size_t a, std::size_t b) { return a / b + (a % b > 0 ? 1 : 0); }

/// What became of a batch.
struct Result {
  Rows rows;
  Decoded strings;
};

/// Decodes all rows as one batch, where that is small enough: then there is a result. Otherwise
/// brings `rows` into the order of their prefixes, as far as they were seen.
std::optional<Result> decode_or_sort(Step& step, const DecodeRequest& request, Rows& rows,
                                     std::size_t most_groups, Watch& watch) {
  Batch batch(step, request, rows);
  const bool decoded = batch.run(most_groups, watch);
  rows = batch.rows();
  if (!decoded) return std::nullopt;
  return Result{rows, batch.strings()};
}

/// Appends the strings of batches, which together hold the rows from `first` on, in row order.
void append(Decoded& all, std::int64_t first, std::span<const Result> results) {
  struct Place {
    const Decoded* strings;
    std::size_t index, begin;  // of the string, and of its tokens
  };
  std::vector<Place> places;
  for (const Result& result : results) places.resize(places.size() + result.rows.size());
  for (const Result& result : results) {
    std::size_t begin = 0;
    for (std::size_t i = 0; i < result.rows.size(); ++i) {
      places[static_cast<std::size_t>(result.rows[i] - first)] = {&result.strings, i, begin};
      begin += static_cast<std::size_t>(result.strings.lengths[i]);
    }
  }
  for (const auto& [strings, i, begin] : places) {
    const auto tokens = strings->tokens.begin() + static_cast<std::ptrdiff_t>(begin);
    all.tokens.insert(all.tokens.end(), tokens, tokens + strings->lengths[i]);
    all.lengths.push_back(strings->lengths[i]);
    all.log_probs.push_back(strings->log_probs[i]);
    all.finished.push_back(strings->finished[i]);
  }
}

/// Decodes `rows` in batches of at most `size`, spread over the steps.
std::vector<Result> decode_batches(std::span<Step* const> steps, const DecodeRequest& request,
                                   const Rows& rows, std::size_t size, Watch& watch) {
  std::vector<Result> results(divide_up(rows.size(), size));
  std::atomic<std::size_t> taken = 0;
  const auto work = [&](Step& step) {
    try {
      for (std::size_t i = taken++; i < results.size(); i = taken++) {
        const auto begin = rows.begin() + static_cast<std::ptrdiff_t>(i * size);
        const std::size_t count = std::min(size, rows.size() - i * size);
        Rows some(begin, begin + static_cast<std::ptrdiff_t>(count));
        results[i] = *decode_or_sort(step, request, some, size, watch);
      }
    } catch (const Watch::Stopped&) {  // the worker that failed tells why
    } catch (...) {
      watch.stop();
      throw;
    }
  };
  // A future of std::async waits for its thread when it goes, also when one of us throws.
  std::vector<std::future<void>> others;
  try {
    for (Step* step : steps.subspan(1, std::min(steps.size(), results.size()) - 1)) {
      others.push_back(std::async(std::launch::async, work, std::ref(*step)));
    }
    work(*steps.front());
    for (std::future<void>& other : others) {
      while (other.wait_for(Watch::kInterval) != std::future_status::ready) watch.poll();
      other.get();
    }
  } catch (...) {
    watch.stop();
    throw;
  }
  return results;
}

}  // namespace

Decoded decode(std::span<Step* const> steps, const DecodeRequest& request,
               const std::function<void()>& poll) {
  if (steps.empty()) throw OptionError("decode needs at least one step");
  validate(request, steps.front()->vocab_size());
  Watch watch(poll);
  Decoded all;
  for (std::int64_t begin = 0; begin < request.rows; begin += kSlice) {
    Rows rows(static_cast<std::size_t>(std::min(kSlice, request.rows - begin)));
    std::iota(rows.begin(), rows.end(), begin);
    const std::size_t share = divide_up(rows.size(), steps.size());
    const auto size = std::min(share, static_cast<std::size_t>(request.batch_size));
    // Rows of a batch share what they have in common, so those that begin alike go together. How
    // they begin is cheap to see: few prefixes are alive at first, however many the rows.
    if (auto whole = decode_or_sort(*steps.front(), request, rows, size, watch)) {
      append(all, begin, {&*whole, 1});
    } else {
      append(all, begin, decode_batches(steps, request, rows, size, watch));
    }
  }
  return all;
}

}  // namespace makemore
