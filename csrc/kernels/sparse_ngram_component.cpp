#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <utility>

#include "component.h"
#include "errors.h"
#include "memory_block.h"

namespace makemore::kernels {
namespace {

constexpr std::int32_t kNoContext = std::numeric_limits<std::int32_t>::max();
constexpr std::size_t kMostLevels = 8;

void require(bool holds, const char* what) {
  if (!holds) throw ArtifactError(std::string("a sparse n-gram whose ") + what);
}

/// The known contexts of one length, a row of entries each. Row 0 is no context, so that the one of
/// number `first` has row 1.
struct Level {
  struct Row {
    std::int32_t begin;   // its first entry; the end is where the next row begins
    std::int32_t suffix;  // the context without its oldest token
    float weight;         // what the log-probability of a token without an entry is made of
  };
  struct Entry {
    std::int32_t token;
    float log_prob;
  };

  std::int64_t first;
  std::vector<Row> rows;
  std::vector<Entry> entries;      // of a row in the order of their tokens
  std::vector<std::int32_t> next;  // the context after each entry; none for the longest contexts

  Level(Parameters& parameters, std::size_t index, std::int64_t first, std::size_t contexts,
        std::size_t vocab_size, bool is_longest);

  const Row* row(std::int64_t context) const { return rows.data() + (context - first + 1); }

  std::span<const Entry> entries_of(const Row* row) const {
    return {entries.data() + row[0].begin, entries.data() + row[1].begin};
  }

  /// The context after a row and a token; 0 where the token was not seen there.
  std::int32_t following(const Row* row, std::int32_t token) const {
    const auto seen = entries_of(row);
    const auto found = std::ranges::lower_bound(seen, token, {}, &Entry::token);
    if (found == seen.end() || found->token != token) return 0;
    return next[static_cast<std::size_t>(&*found - entries.data())];
  }

 private:
  void check_rows() const;
  void check_entries(std::int32_t vocab_size) const;
};

/// `index`: of its first parameter. contexts: how many there are in all levels.
Level::Level(Parameters& parameters, std::size_t index, std::int64_t first, std::size_t contexts,
             std::size_t vocab_size, bool is_longest)
    : first(first) {
  const std::size_t row_count = parameters.shape(index + 1, 2)[0];
  const std::size_t entry_count = parameters.shape(index + 3, 2)[0];
  const auto ends = parameters.indices({row_count + 1, 1}, entry_count);
  const auto suffix = parameters.indices({row_count, 1}, std::size_t{1} << 31);
  const auto weight = parameters.floats({row_count, 1});
  const auto token = parameters.indices({entry_count, 1}, vocab_size + 1);
  const auto log_prob = parameters.floats({entry_count, 1});
  rows.reserve(row_count + 1);
  entries.reserve(entry_count);
  for (std::size_t i = 0; i < row_count; ++i) rows.push_back({ends[i] + 1, suffix[i], weight[i]});
  rows.push_back({ends[row_count] + 1, kNoContext, 0});
  for (std::size_t i = 0; i < entry_count; ++i) entries.push_back({token[i], log_prob[i]});
  if (!is_longest) {
    const auto following = parameters.indices({entry_count, 1}, contexts);
    require(following[0] == 0, "entry 0 leads to a context");
    next.assign(following.begin(), following.end());
  }
  check_rows();
  check_entries(static_cast<std::int32_t>(vocab_size));
}

void Level::check_rows() const {
  require(rows[0].suffix == kNoContext && rows[0].weight == 0, "row 0 is a context");
  require(rows.front().begin == 1 && rows.back().begin == std::ssize(entries),
          "rows are not those of its entries");
  for (std::size_t i = 0; i + 1 < rows.size(); ++i) {
    require(rows[i].begin < rows[i + 1].begin, "row is empty");
    require(i == 0 || rows[i].suffix < first, "suffix is no shorter context");
  }
}

void Level::check_entries(std::int32_t vocab_size) const {
  require(rows[1].begin == 2 && entries[0].token == vocab_size && entries[1].token == vocab_size,
          "row 0 has a token");
  for (std::size_t i = 1; i + 1 < rows.size(); ++i) {
    const auto row = entries_of(&rows[i]);
    require(std::ranges::is_sorted(row, std::ranges::less_equal(), &Entry::token) &&
                row.back().token < vocab_size,
            "row is not of rising tokens");
  }
}

/// An n-gram that holds only what was seen: the shortest contexts, the first D, have a row of all
/// tokens, those of each greater length a level. The state is a context, but none of the longest.
class SparseNgramComponent final : public Component {
 public:
  SparseNgramComponent(Parameters parameters, bool backs_off)
      : vocab_size_(parameters.shape(0, 2)[1]), backs_off_(backs_off) {
    constexpr std::size_t kDense = 2, kOfLevel = 6;  // parameters; the last level has one less
    const std::size_t dense = parameters.shape(0, 2)[0];
    const std::size_t level_count = (parameters.count() - kDense + 1) / kOfLevel;
    require(kDense + level_count * kOfLevel - 1 == parameters.count() && level_count > 0 &&
                level_count <= kMostLevels && vocab_size_ < kNoContext,
            "parameters are not of whole levels");
    const auto first_of = [&](std::size_t level) { return kDense + level * kOfLevel; };
    std::size_t contexts = dense;
    for (std::size_t i = 0; i < level_count; ++i) {
      contexts += parameters.shape(first_of(i) + 1, 2)[0] - 1;
    }
    const auto logits = parameters.floats({dense, vocab_size_});
    const auto next = parameters.indices({dense * vocab_size_}, contexts);
    logits_.assign(logits.begin(), logits.end());
    next_.assign(next.begin(), next.end());
    auto first = static_cast<std::int64_t>(dense);
    for (std::size_t i = 0; i < level_count; ++i) {
      levels_.emplace_back(parameters, first_of(i), first, contexts, vocab_size_,
                           i + 1 == level_count);
      first += std::ssize(levels_.back().rows) - 2;
    }
  }

  std::size_t vocab_size() const override { return vocab_size_; }
  std::vector<StateLayout> states() const override { return {{true, {}}}; }
  std::size_t scratch_floats(std::size_t) const override { return 0; }
  std::size_t multiply_adds() const override { return 0; }

  void run(const RowBatch& batch, float*) const override {
    const Level& longest = levels_.back();
    for (std::size_t row = 0; row < batch.rows; ++row) {
      const auto* before = reinterpret_cast<const std::int64_t*>(batch.before[row] + batch.offset);
      const std::int64_t context = context_after(*before, batch.tokens[row]);
      *reinterpret_cast<std::int64_t*>(batch.after[row] + batch.offset) =
          context < longest.first ? context : longest.row(context)->suffix;
      write_log_probs(context, batch.logits + row * vocab_size_);
    }
  }

 private:
  /// The longest known context after a state and a token: that of the highest number.
  std::int64_t context_after(std::int64_t state, std::int64_t token) const {
    std::int32_t longest = 0;
    for (std::size_t i = levels_.size() - 1; i-- > 0;) {
      if (state < levels_[i].first) continue;
      const Level::Row* row = levels_[i].row(state);
      longest = std::max(longest, levels_[i].following(row, static_cast<std::int32_t>(token)));
      state = row->suffix;
    }
    const auto edge =
        static_cast<std::size_t>(state) * vocab_size_ + static_cast<std::size_t>(token);
    return std::max(longest, next_[edge]);
  }

  /// A token has the log-probability of the longest suffix of the context that has an entry for it,
  /// or else a dense row; of a back-off, plus the weights of the suffixes that are longer.
  void write_log_probs(std::int64_t context, float* out) const {
    struct Known {
      std::span<const Level::Entry> entries;
      float added;
    };
    std::array<Known, kMostLevels> known;
    std::size_t count = 0;
    float weight = 0;
    for (std::size_t i = levels_.size(); i-- > 0;) {
      if (context < levels_[i].first) continue;
      const Level::Row* row = levels_[i].row(context);
      known[count++] = {levels_[i].entries_of(row), weight};
      weight += row->weight;
      context = row->suffix;
      if (!backs_off_) break;
    }
    if (backs_off_ || count == 0) {
      const float* dense = logits_.data() + static_cast<std::size_t>(context) * vocab_size_;
      for (std::size_t token = 0; token < vocab_size_; ++token) out[token] = dense[token] + weight;
    } else {
      std::fill_n(out, vocab_size_, weight);
    }
    while (count-- > 0) {
      for (const auto& [token, log_prob] : known[count].entries) {
        out[token] = log_prob + known[count].added;
      }
    }
  }

  std::size_t vocab_size_;
  bool backs_off_;
  LargeVector<float> logits_;       // (D, V)
  LargeVector<std::int32_t> next_;  // (D * V)
  std::vector<Level> levels_;       // the shortest first
};

}  // namespace

std::unique_ptr<Component> new_sparse_ngram(Parameters parameters, bool backs_off) {
  return std::make_unique<SparseNgramComponent>(std::move(parameters), backs_off);
}

}  // namespace makemore::kernels
