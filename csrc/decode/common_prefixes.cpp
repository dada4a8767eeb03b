#include "common_prefixes.h"

#include <algorithm>
#include <bit>
#include <exception>
#include <optional>
#include <utility>

#include "snapshot_step.h"

namespace makemore {
namespace {

/// Prefixes in a step at most: one that takes long is noticed early.
constexpr std::size_t kMaxRows = 64;

/// Prefixes in all, and bytes of their logits and children, at most; and of those in one block.
constexpr std::size_t kMaxPrefixes = 1 << 16, kMaxBytes = 256 << 20, kBlockBytes = 256 << 10;

/// Prefixes that fewer strings begin with are not worth their memory.
constexpr double kLeast = 1.0 / (1 << 18), kLeastCheap = 1.0 / (1 << 13);

/// Of the logits and the children of a prefix.
std::size_t row_bytes(std::size_t vocab_size) {
  return vocab_size * (sizeof(float) + sizeof(CommonPrefixes::Id));
}

std::size_t block_bits(std::size_t row_bytes) {
  return std::bit_width(std::max(std::size_t{1}, kBlockBytes / row_bytes)) - 1;
}

std::size_t max_prefixes(std::size_t row_bytes) {
  return std::clamp(kMaxBytes / row_bytes, std::size_t{1} << block_bits(row_bytes), kMaxPrefixes);
}

}  // namespace

CommonPrefixes::CommonPrefixes(SnapshotStep& step)
    : vocab_size_(static_cast<std::size_t>(step.vocab_size())),
      block_bits_(block_bits(row_bytes(vocab_size_))),
      blocks_(max_prefixes(row_bytes(vocab_size_)) >> block_bits_),
      least_(step.is_cheap() ? kLeastCheap : kLeast),
      sampler_({}, step.vocab_size()) {
  const Prefix empty{.parent = kNone, .token = 0, .length = 0, .probability = 1};
  add(step, {&empty, 1});
  if (prefix_bytes(step) == 0) return;
  try {
    open_children(kEmpty, empty);
  } catch (const std::exception&) {  // the first call tells what is wrong with the logits
  }
}

std::size_t CommonPrefixes::prefix_bytes(const SnapshotStep& step) {
  if (step.is_stateless() || step.is_lookup()) return 0;
  return step.snapshot_bytes() + row_bytes(static_cast<std::size_t>(step.vocab_size())) +
         sizeof(StateSnapshot);
}

/// Best first: a prefix is no likelier than what it begins with.
bool CommonPrefixes::grow(SnapshotStep& step, const Limits& limits,
                          CallCancellation& cancellation) {
  if (is_growing_.exchange(true)) return false;
  struct End {
    std::atomic<bool>& is_growing;
    ~End() { is_growing = false; }
  } const end{is_growing_};
  if (open_.empty()) return false;
  const std::size_t most =
      std::min({blocks_.size() << block_bits_, limits.count, limits.bytes / prefix_bytes(step)});
  while (size_ < most && Clock::now() < limits.end) {
    cancellation.check();
    const std::size_t count = std::min({kMaxRows, step.max_rows(), size_.load(), most - size_});
    try {
      const std::vector<Prefix> prefixes = likeliest(count, limits.length);
      if (prefixes.empty()) break;
      auto id = static_cast<Id>(size_);
      add(step, prefixes);
      for (const Prefix& prefix : prefixes) open_children(id++, prefix);
    } catch (const std::exception&) {
      open_ = {};
    }
  }
  return !open_.empty();
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

/// Runs the step on prefixes whose parents are known.
void CommonPrefixes::add(SnapshotStep& step, std::span<const Prefix> prefixes) {
  std::vector<std::optional<StateSnapshot>> states;
  std::vector<std::int64_t> tokens, positions;
  for (const Prefix& prefix : prefixes) {
    states.push_back(prefix.parent == kNone ? StateSnapshot() : state(prefix.parent));
    tokens.push_back(prefix.token);
    positions.push_back(prefix.length);
  }
  step.reset(std::ssize(prefixes));
  step.restore(states);
  const auto logits = run_checked(step, tokens, positions);
  for (std::size_t row = 0; row < prefixes.size(); ++row) {
    add(prefixes[row], logits.subspan(row * vocab_size_, vocab_size_),
        step.save(static_cast<std::int64_t>(row)));
  }
}

void CommonPrefixes::add(const Prefix& prefix, std::span<const float> logits, StateSnapshot state) {
  const std::size_t size = size_;
  const auto id = static_cast<Id>(size);
  std::unique_ptr<Block>& block = blocks_[size >> block_bits_];
  if (!block) block = std::make_unique<Block>(std::size_t{1} << block_bits_, vocab_size_);
  const auto row = static_cast<std::ptrdiff_t>(place(id) * vocab_size_);
  std::ranges::copy(logits, block->logits.begin() + row);
  block->states[place(id)] = std::move(state);
  size_ = size + 1;
  if (prefix.parent == kNone) return;
  Block& of_parent = *blocks_[static_cast<std::size_t>(prefix.parent) >> block_bits_];
  of_parent.children[place(prefix.parent) * vocab_size_ + static_cast<std::size_t>(prefix.token)] =
      id;
}

void CommonPrefixes::open_children(Id id, const Prefix& prefix) {
  sampler_.prepare(logits(id), {});
  const auto cumulative = sampler_.cumulative();
  for (std::size_t token = 1; token < cumulative.size(); ++token) {  // 0 ends the string
    const double weight = cumulative[token] - cumulative[token - 1];
    const double probability = prefix.probability * weight / cumulative.back();
    if (probability < least_) continue;
    open_.push({id, static_cast<std::int64_t>(token), prefix.length + 1, probability});
  }
}

}  // namespace makemore
