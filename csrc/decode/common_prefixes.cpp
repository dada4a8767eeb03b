#include "common_prefixes.h"

#include <algorithm>
#include <bit>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

#include "snapshot_step.h"

namespace makemore {
namespace {

/// Prefixes in a step at most: one that takes long is noticed early.
constexpr std::size_t kMaxRows = 64;

/// Prefixes in all, and bytes of their logits, at most; and of those in one block.
constexpr std::size_t kMaxPrefixes = 1 << 18, kMaxBytes = 256 << 20, kBlockBytes = 256 << 10;
static_assert(kMaxPrefixes <= PrefixChildren::kMaxId);

/// Prefixes that fewer strings begin with are not worth their memory.
constexpr double kLeast = 1.0 / (1 << 20), kLeastCheap = 1.0 / (1 << 13);

/// Of the logits of a prefix.
std::size_t row_bytes(std::size_t vocab_size) { return vocab_size * sizeof(float); }

std::size_t block_bits(std::size_t row_bytes) {
  return std::bit_width(std::max(std::size_t{1}, kBlockBytes / row_bytes)) - 1;
}

std::size_t max_prefixes(std::size_t row_bytes) {
  return std::clamp(kMaxBytes / row_bytes, std::size_t{1} << block_bits(row_bytes), kMaxPrefixes);
}

}  // namespace

CommonPrefixes::CommonPrefixes(SnapshotStep& step)
    : vocab_size_(static_cast<std::size_t>(step.vocab_size())),
      is_stateless_(step.is_stateless()),
      block_bits_(block_bits(row_bytes(vocab_size_))),
      blocks_(max_prefixes(row_bytes(vocab_size_)) >> block_bits_),
      least_(step.is_cheap() ? kLeastCheap : kLeast),
      sampler_({}, step.vocab_size()) {
  const Prefix empty{.last = {.parent = kNone, .token = 0}, .length = 0, .probability = 1};
  add(step, {&empty, 1}, 1);
  if (prefix_bytes(step) == 0) return;
  try {
    open_children(kEmpty, empty);
  } catch (const std::exception&) {  // the first call tells what is wrong with the logits
  }
}

std::size_t CommonPrefixes::prefix_bytes(const SnapshotStep& step) {
  if (step.is_stateless() || step.is_lookup()) return 0;
  return row_bytes(static_cast<std::size_t>(step.vocab_size())) + sizeof(StateSnapshot) +
         sizeof(Last) + PrefixChildren::kBytes;
}

/// Best first: a prefix is no likelier than what it begins with.
bool CommonPrefixes::grow(SnapshotStep& step, const Limits& limits,
                          CallCancellation& cancellation) {
  if (is_growing_.exchange(true)) return true;
  struct End {
    std::atomic<bool>& is_growing;
    ~End() { is_growing = false; }
  } const end{is_growing_};
  if (open_.empty()) return false;
  const std::size_t most = std::min(blocks_.size() << block_bits_, limits.count);
  while (size_ < most && Clock::now() < limits.end) {
    cancellation.check();
    const std::size_t count = std::min({kMaxRows, step.max_rows(), size_.load(), most - size_});
    try {
      const std::vector<Prefix> prefixes = likeliest(count, limits.length);
      if (prefixes.empty()) break;
      auto id = static_cast<Id>(size_);
      add(step, prefixes, limits.states);
      for (const Prefix& prefix : prefixes) open_children(id++, prefix);
    } catch (const std::exception&) {
      open_ = {};
    }
  }
  return !open_.empty() && size_ < most;
}

std::vector<CommonPrefixes::Prefix> CommonPrefixes::likeliest(std::size_t count,
                                                              std::int64_t max_length) {
  std::vector<Prefix> prefixes;
  while (prefixes.size() < count && !open_.empty()) {
    if (open_.top().length <= max_length) prefixes.push_back(open_.top());
    open_.pop();
  }
  return prefixes;
}

/// From the last state that is kept before each of them. The longest path comes first.
std::vector<CommonPrefixes::Path> CommonPrefixes::paths_to(std::span<const Prefix> prefixes) const {
  std::vector<Path> paths;
  for (std::size_t i = 0; i < prefixes.size(); ++i) {
    Path& path = paths.emplace_back(Path{.index = i, .state = {}, .tokens = {}});
    Last last = prefixes[i].last;
    for (;; last = block(last.parent).last[place(last.parent)]) {
      path.tokens.push_back(last.token);
      if (last.parent == kNone || has_state(last.parent)) break;
    }
    if (last.parent != kNone) path.state = state(last.parent);
  }
  std::ranges::stable_sort(paths, std::greater(),
                           [](const Path& path) { return path.tokens.size(); });
  return paths;
}

/// Runs the step on prefixes whose parents are known. The ids of the first `states` are those of
/// prefixes that keep their state.
void CommonPrefixes::add(SnapshotStep& step, std::span<const Prefix> prefixes, std::size_t states) {
  std::vector<Path> paths = paths_to(prefixes);
  std::vector<std::optional<StateSnapshot>> begins;
  std::vector<std::int64_t> tokens, positions;
  std::span<const float> logits;
  step.reset(std::ssize(paths));
  for (std::size_t left = paths.front().tokens.size(); left-- > 0;) {
    begins.clear();
    tokens.clear();
    positions.clear();
    for (Path& path : paths) {  // those that have so many tokens left, of which more and more do
      if (path.tokens.size() <= left) break;
      const bool begins_here = path.tokens.size() == left + 1;
      begins.push_back(begins_here ? std::optional(std::move(path.state)) : std::nullopt);
      tokens.push_back(path.tokens[left]);
      positions.push_back(prefixes[path.index].length - static_cast<std::int64_t>(left));
    }
    step.restore(begins);
    logits = run_checked(step, tokens, positions);
  }
  std::vector<std::size_t> row_of(prefixes.size());
  for (std::size_t row = 0; row < paths.size(); ++row) row_of[paths[row].index] = row;
  for (std::size_t i = 0; i < prefixes.size(); ++i) {
    const bool keeps_state = states_ == size_ && size_ < states;
    add(prefixes[i], logits.subspan(row_of[i] * vocab_size_, vocab_size_),
        keeps_state ? step.save(static_cast<std::int64_t>(row_of[i])) : StateSnapshot());
  }
}

void CommonPrefixes::add(const Prefix& prefix, std::span<const float> logits, StateSnapshot state) {
  const std::size_t size = size_;
  const auto id = static_cast<Id>(size);
  Block& block = blocks_[size >> block_bits_];
  if (block.last.empty()) block = Block(std::size_t{1} << block_bits_, vocab_size_);
  const auto row = static_cast<std::ptrdiff_t>(place(id) * vocab_size_);
  std::ranges::copy(logits, block.logits.begin() + row);
  if (state) states_ = size + 1;
  block.states[place(id)] = std::move(state);
  block.last[place(id)] = prefix.last;
  size_ = size + 1;
  if (prefix.last.parent != kNone) children_.add(key(prefix.last.parent, prefix.last.token), id);
}

void CommonPrefixes::open_children(Id id, const Prefix& prefix) {
  sampler_.prepare(logits(id), {});
  const auto cumulative = sampler_.cumulative();
  for (std::size_t token = 1; token < cumulative.size(); ++token) {  // 0 ends the string
    const double weight = cumulative[token] - cumulative[token - 1];
    const double probability = prefix.probability * weight / cumulative.back();
    if (probability < least_) continue;
    open_.push({{id, static_cast<std::int32_t>(token)}, prefix.length + 1, probability});
  }
}

}  // namespace makemore
