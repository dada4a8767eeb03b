#include "walk.h"

#include <algorithm>
#include <numeric>

#include "coin.h"

namespace makemore {
namespace {

constexpr std::int64_t kStop = 0;

class Walk {
 public:
  Walk(Memo& memo, const DecodeRequest& request, std::int64_t first, std::int64_t count)
      : memo_(memo),
        request_(request),
        first_(first),
        rows_(static_cast<std::size_t>(count), Row{memo.begin(request.choose)}),
        said_(rows_.size() * room_) {}

  /// Takes all rows to their ends; whether the memo had room for that.
  bool run(Watch& watch) {
    std::vector<std::size_t> waiting(rows_.size());
    std::iota(waiting.begin(), waiting.end(), std::size_t{0});
    while (!waiting.empty()) {
      watch.check();
      if (memo_.bytes() > 2 * Memo::kLimit) return false;
      memo_.evaluate(static_cast<std::size_t>(request_.batch_size));
      std::erase_if(waiting, [this](std::size_t i) { return ends(i); });
    }
    return true;
  }

  void append_to(Decoded& out) const {
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const auto said = said_.begin() + static_cast<std::ptrdiff_t>(i * room_);
      out.tokens.insert(out.tokens.end(), said, said + rows_[i].length);
      out.lengths.push_back(rows_[i].length);
      out.log_probs.push_back(rows_[i].log_prob);
      out.finished.push_back(rows_[i].stopped ? 1 : 0);
    }
  }

 private:
  struct Row {
    Memo::Node node;
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
    while (memo_.known(row.node)) {
      const auto position = static_cast<std::size_t>(row.length);
      const std::int64_t token =
          position < prompt.size()
              ? prompt[position]
              : pick(memo_.cumulative(row.node),
                     coin(request_.seed, number, static_cast<std::uint32_t>(position)));
      if (request_.log_probs) row.log_prob = memo_.add_log_prob(row.log_prob, row.node, token);
      row.stopped = token == kStop;
      if (row.stopped) return true;
      if (position == room_) widen();
      said_[i * room_ + position] = static_cast<std::int32_t>(token);
      if (++row.length == request_.max_length) return true;
      row.node = memo_.child(row.node, token);
    }
    return false;
  }

  /// Makes room for strings twice as long.
  void widen() {
    std::vector<std::int32_t> wider(2 * said_.size());
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      std::copy_n(&said_[i * room_], room_, &wider[i * 2 * room_]);
    }
    said_ = std::move(wider);
    room_ *= 2;
  }

  Memo& memo_;
  const DecodeRequest& request_;
  std::int64_t first_;
  std::vector<Row> rows_;
  std::size_t room_ = 16;           // most tokens of a row
  std::vector<std::int32_t> said_;  // (rows, room)
};

}  // namespace

bool walk(Memo& memo, const DecodeRequest& request, std::int64_t first, std::int64_t count,
          Watch& watch, Decoded& out) {
  Walk walk(memo, request, first, count);
  if (!walk.run(watch)) return false;
  walk.append_to(out);
  return true;
}

}  // namespace makemore
