#include "cached_decoder.h"

#include <algorithm>
#include <numeric>

#include "coin.h"

namespace makemore {
namespace {

constexpr std::int64_t kStop = 0;

class CachedDecoder {
 public:
  CachedDecoder(PrefixCache& cache, const DecodeRequest& request, std::int64_t first,
                std::int64_t count)
      : cache_(cache),
        request_(request),
        first_(first),
        rows_(static_cast<std::size_t>(count), Row{cache.begin(request.sampling)}),
        tokens_(rows_.size() * room_) {}

  /// Takes all rows to their ends; whether the cache had room for that.
  bool run(CancellationToken& cancellation) {
    std::vector<std::size_t> waiting(rows_.size());
    std::iota(waiting.begin(), waiting.end(), std::size_t{0});
    while (!waiting.empty()) {
      cancellation.check();
      if (cache_.bytes() > 2 * PrefixCache::kLimit) return false;
      cache_.evaluate(static_cast<std::size_t>(request_.batch_size));
      std::erase_if(waiting, [this](std::size_t i) { return ends(i); });
    }
    return true;
  }

  void append_to(Decoded& out) const {
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const auto tokens = tokens_.begin() + static_cast<std::ptrdiff_t>(i * room_);
      out.tokens.insert(out.tokens.end(), tokens, tokens + rows_[i].length);
      out.lengths.push_back(rows_[i].length);
      out.log_probs.push_back(rows_[i].log_prob);
      out.finished.push_back(rows_[i].stopped ? 1 : 0);
    }
  }

 private:
  struct Row {
    PrefixCache::Node node;
    std::int32_t length = 0;
    double log_prob = 0;
    bool stopped = false;
  };

  /// Takes row i on as far as is known; whether it has come to its end.
  bool ends(std::size_t i) {
    Row& row = rows_[i];
    const std::int64_t in_request = first_ + static_cast<std::int64_t>(i);
    const std::uint64_t number = request_.first_row + static_cast<std::uint64_t>(in_request);
    const auto prompt = request_.prompts.of(in_request);
    while (cache_.known(row.node)) {
      const auto position = static_cast<std::size_t>(row.length);
      const std::int64_t token =
          position < prompt.size()
              ? prompt[position]
              : pick(cache_.cumulative(row.node),
                     coin(request_.seed, number, static_cast<std::uint32_t>(position)));
      if (request_.log_probs) row.log_prob = cache_.add_log_prob(row.log_prob, row.node, token);
      row.stopped = token == kStop;
      if (row.stopped) return true;
      if (position == room_) widen();
      tokens_[i * room_ + position] = static_cast<std::int32_t>(token);
      if (++row.length == request_.max_length) return true;
      row.node = cache_.child(row.node, token);
    }
    return false;
  }

  /// Makes room for strings twice as long.
  void widen() {
    std::vector<std::int32_t> wider(2 * tokens_.size());
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      std::copy_n(&tokens_[i * room_], room_, &wider[i * 2 * room_]);
    }
    tokens_ = std::move(wider);
    room_ *= 2;
  }

  PrefixCache& cache_;
  const DecodeRequest& request_;
  std::int64_t first_;
  std::vector<Row> rows_;
  std::size_t room_ = 16;             // most tokens of a row
  std::vector<std::int32_t> tokens_;  // (rows, room)
};

}  // namespace

bool decode_cached(PrefixCache& cache, const DecodeRequest& request, std::int64_t first,
                   std::int64_t count, CancellationToken& cancellation, Decoded& out) {
  CachedDecoder decoder(cache, request, first, count);
  if (!decoder.run(cancellation)) return false;
  decoder.append_to(out);
  return true;
}

}  // namespace makemore
