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

/// Strings of several batches in the order of their rows.
Decoded join(std::span<Result> results, std::size_t rows) {
  Decoded all{{}, Rows(rows), std::vector<double>(rows), std::vector<std::uint8_t>(rows)};
  const auto index = [](std::int64_t row) { return static_cast<std::size_t>(row); };
  for (const Result& result : results) {
    for (std::size_t i = 0; i < result.rows.size(); ++i) {
      const std::size_t row = index(result.rows[i]);
      all.lengths[row] = result.strings.lengths[i];
      all.log_probs[row] = result.strings.log_probs[i];
      all.finished[row] = result.strings.finished[i];
    }
  }
  Rows ends(rows);
  std::partial_sum(all.lengths.begin(), all.lengths.end(), ends.begin());
  all.tokens.resize(rows == 0 ? 0 : index(ends.back()));
  for (Result& result : results) {
    auto from = result.strings.tokens.begin();
    for (std::size_t i = 0; i < result.rows.size(); ++i) {
      const std::int64_t length = result.strings.lengths[i];
      std::copy_n(from, length, all.tokens.begin() + (ends[index(result.rows[i])] - length));
      from += length;
    }
    result = {};
  }
  return all;
}

}  // namespace

Decoded decode(std::span<Step* const> steps, const DecodeRequest& request,
               const std::function<void()>& poll) {
  if (steps.empty()) throw OptionError("decode needs at least one step");
  validate(request, steps.front()->vocab_size());
  const auto count = static_cast<std::size_t>(request.rows);
  Rows rows(count);
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  Watch watch(poll);
  const auto decode_rows = [&](Step& step, Rows& some, std::size_t most_groups) {
    return decode_or_sort(step, request, some, most_groups, watch);
  };

  // Rows of a batch share what they have in common, so those that begin alike go together. How
  // they begin is cheap to see: few prefixes are alive at first, however many the rows.
  const std::size_t share = count / steps.size() + (count % steps.size() > 0 ? 1 : 0);
  const auto size = std::clamp<std::size_t>(share, 1, static_cast<std::size_t>(request.batch_size));
  if (auto whole = decode_rows(*steps.front(), rows, count <= size ? count : size)) {
    return join({&*whole, 1}, count);
  }

  std::vector<Result> results((count + size - 1) / size);
  std::atomic<std::size_t> taken = 0;
  const auto work = [&](Step& step) {
    try {
      for (std::size_t i = taken++; i < results.size(); i = taken++) {
        const auto begin = rows.begin() + static_cast<std::ptrdiff_t>(i * size);
        Rows some(begin, begin + static_cast<std::ptrdiff_t>(std::min(size, count - i * size)));
        results[i] = *decode_rows(step, some, size);
      }
    } catch (const Watch::Stopped&) {  // the worker that failed tells why
    } catch (...) {
      watch.stop();
      throw;
    }
  };
  steps = steps.first(std::min(steps.size(), results.size()));
  // A future of std::async waits for its thread when it goes, also when one of us throws.
  std::vector<std::future<void>> others;
  for (Step* step : steps.subspan(1)) {
    others.push_back(std::async(std::launch::async, work, std::ref(*step)));
  }
  work(*steps.front());
  for (std::future<void>& other : others) {
    while (other.wait_for(Watch::kInterval) != std::future_status::ready) watch.poll();
    other.get();
  }
  return join(results, count);
}

}  // namespace makemore
