#include "decode.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "cached_decoder.h"
#include "cancellation.h"
#include "errors.h"
#include "parallel_for.h"
#include "prefix_tree_decoder.h"

namespace makemore {
namespace {

using Rows = std::vector<std::int64_t>;

/// Rows that go over the cache together, of a model without state: few, to stay in the cache.
constexpr std::int64_t kMaxStatelessRows = 1'024;

/// Rows that share more with those of earlier calls than with each other, if the model has a state.
constexpr std::int64_t kMaxCachedRows = 4'096;

/// Rows that are decoded together: enough to share, and few beside what they make.
constexpr std::int64_t kSlice = std::int64_t{1} << 18;

/// Batches of a worker, so that none waits long for the others at the end.
constexpr std::size_t kPartsEach = 4;

constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

std::size_t divide_up(std::size_t a, std::size_t b) { return a / b + (a % b > 0 ? 1 : 0); }

/// Appends the strings of batches, which together hold `count` rows from `first` on, in row order.
void append(Decoded& all, std::int64_t first, std::size_t count,
            std::span<const PrefixTreeDecoder> batches) {
  struct Place {
    const PrefixTreeDecoder::FinishedSequence* finished;
    const std::int32_t* tokens;
  };
  std::vector<Place> places(count);
  for (const PrefixTreeDecoder& batch : batches) {
    for (const PrefixTreeDecoder::FinishedSequence& finished : batch.finished()) {
      places[static_cast<std::size_t>(finished.row - first)] = {
          &finished, batch.tokens().data() + finished.begin};
    }
  }
  for (const auto& [finished, tokens] : places) {
    all.tokens.insert(all.tokens.end(), tokens, tokens + finished->length);
    all.lengths.push_back(finished->length);
    all.log_probs.push_back(finished->log_prob);
    all.finished.push_back(finished->stopped ? 1 : 0);
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

/// Decodes rows in a batch that the first worker begins and, where it is not alone, all end, each
/// some of the groups that wait by then. Of a step that cannot save, rows begin again: as many as
/// it may take together, in the order of the prefixes seen so far.
std::vector<PrefixTreeDecoder> decode_slice(std::span<Worker* const> workers,
                                            const DecodeRequest& request, const Rows& rows,
                                            CancellationToken& cancellation) {
  Step& step = workers.front()->step;
  const auto size = std::min(divide_up(rows.size(), workers.size()),
                             static_cast<std::size_t>(request.batch_size));
  // How rows begin is cheap to see: few prefixes are alive at first, however many the rows.
  const bool alone = step.can_save() && workers.size() == 1;
  std::vector<PrefixTreeDecoder> batches;
  batches.emplace_back(request, step.vocab_size(), rows);
  if (batches.front().run(step, alone ? kUnlimited : size, cancellation)) return batches;
  if (step.can_save()) {
    for (PrefixTreeDecoder& part : batches.front().split(kPartsEach * workers.size())) {
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
  parallel_for(workers, batches.size(), cancellation, [&](Worker& worker, std::size_t i) {
    batches[i].run(worker.step, kUnlimited, cancellation);
  });
  return batches;
}

Decoded decode_in_batches(std::span<Worker* const> workers, const DecodeRequest& request,
                          CancellationToken& cancellation) {
  Decoded all;
  for (std::int64_t begin = 0; begin < request.rows; begin += kSlice) {
    Rows rows(static_cast<std::size_t>(std::min(kSlice, request.rows - begin)));
    std::iota(rows.begin(), rows.end(), begin);
    append(all, begin, rows.size(), decode_slice(workers, request, rows, cancellation));
  }
  return all;
}

/// Appends the strings of `count` rows from `first` on, made over the cache; of half of them at a
/// time where it has no room for all, and without it where it has none for one.
void decode_range(Worker& worker, const DecodeRequest& request, std::int64_t first,
                  std::int64_t count, CancellationToken& cancellation, Decoded& out) {
  if (decode_cached(worker.cache, request, first, count, cancellation, out)) return;
  if (count == 1) {
    append(out, first, 1, decode_slice(std::array{&worker}, request, {first}, cancellation));
    return;
  }
  decode_range(worker, request, first, count / 2, cancellation, out);
  decode_range(worker, request, first + count / 2, count - count / 2, cancellation, out);
}

Decoded decode_by_cache(std::span<Worker* const> workers, const DecodeRequest& request,
                        CancellationToken& cancellation) {
  const std::int64_t most =
      workers.front()->step.is_stateless() ? kMaxStatelessRows : kMaxCachedRows;
  const std::int64_t size = std::min((request.rows - 1) / std::ssize(workers) + 1, most);
  const std::int64_t wave = size * std::ssize(workers) * static_cast<std::int64_t>(kPartsEach);
  Decoded all;
  std::vector<Decoded> parts;
  for (std::int64_t begin = 0; begin < request.rows; begin += wave) {
    const std::int64_t end = std::min(begin + wave, request.rows);
    parts.resize(static_cast<std::size_t>((end - begin - 1) / size + 1));
    parallel_for(workers, parts.size(), cancellation, [&](Worker& worker, std::size_t i) {
      const std::int64_t first = begin + static_cast<std::int64_t>(i) * size;
      parts[i].clear();
      decode_range(worker, request, first, std::min(size, end - first), cancellation, parts[i]);
    });
    for (const Decoded& part : parts) append(all, part, static_cast<std::size_t>(request.rows));
  }
  return all;
}

/// Whether to go over the cache: it pays where rows often come to nodes that are known, and a node
/// has to be small beside all that is kept.
bool pays_to_cache(const Worker& worker, const DecodeRequest& request) {
  const bool is_stateless = worker.step.is_stateless();
  const auto rows =
      static_cast<std::size_t>(is_stateless ? worker.step.vocab_size() : request.rows);
  return worker.step.can_save() && (is_stateless || request.rows <= kMaxCachedRows) &&
         rows * worker.cache.node_bytes() <= PrefixCache::kLimit / 4;
}

}  // namespace

Decoded decode(std::span<Worker* const> workers, const DecodeRequest& request,
               const std::function<void()>& poll) {
  if (workers.empty()) throw OptionError("decode needs at least one step");
  validate(request, workers.front()->step.vocab_size());
  CancellationToken cancellation(poll);
  if (request.rows == 0) return {};
  const bool cached = pays_to_cache(*workers.front(), request);
  return (cached ? decode_by_cache : decode_in_batches)(workers, request, cancellation);
}

}  // namespace makemore
