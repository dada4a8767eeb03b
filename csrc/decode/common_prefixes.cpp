#include "common_prefixes.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <queue>

#include "sampler.h"
#include "snapshot_step.h"

namespace makemore {
namespace {

using Clock = std::chrono::steady_clock;

/// Prefixes in a step at most, and in all: what comes after is rare.
constexpr std::size_t kMaxRows = 64, kMaxPrefixes = 2'048;

/// Prefixes that fewer strings begin with are not worth their memory.
constexpr double kLeast = 1.0 / 8'192;

}  // namespace

/// Best first: a prefix is no likelier than what it begins with.
class CommonPrefixes::Search {
 public:
  Search(CommonPrefixes& found, SnapshotStep& step, const Limits& limits)
      : found_(found), step_(step), limits_(limits), sampler_({}, step.vocab_size()) {}

  void run() {
    const Clock::time_point end = Clock::now() + limits_.time;
    const std::size_t node_bytes =
        step_.snapshot_bytes() + found_.vocab_size_ * (sizeof(float) + sizeof(Id));
    const std::size_t most = std::min(kMaxPrefixes, limits_.bytes / node_bytes);
    const Prefix empty{.parent = kNone, .token = 0, .length = 0, .probability = 1};
    add({empty});
    if (step_.is_stateless() || step_.is_lookup()) return;  // such a step costs nearly nothing
    try {
      open_children(kEmpty, empty);
      // As many at a time as there are: a step that takes long is then noticed early.
      while (!open_.empty() && found_.size() < most && Clock::now() < end) {
        const auto prefixes = likeliest(std::min({kMaxRows, found_.size(), most - found_.size()}));
        Id id = static_cast<Id>(found_.size());
        add(prefixes);
        for (const Prefix& prefix : prefixes) open_children(id++, prefix);
      }
    } catch (const std::exception&) {  // a call that needs such a prefix tells what is wrong
    }
  }

 private:
  struct Prefix {
    Id parent;
    std::int64_t token, length;
    double probability;
    bool operator<(const Prefix& other) const { return probability < other.probability; }
  };

  std::vector<Prefix> likeliest(std::size_t count) {
    std::vector<Prefix> prefixes;
    for (; count > 0 && !open_.empty(); --count) {
      prefixes.push_back(open_.top());
      open_.pop();
    }
    return prefixes;
  }

  /// Runs the step on prefixes whose parents are known.
  void add(const std::vector<Prefix>& prefixes) {
    std::vector<std::optional<StateSnapshot>> states;
    std::vector<std::int64_t> tokens, positions;
    for (const Prefix& prefix : prefixes) {
      states.push_back(prefix.parent == kNone ? StateSnapshot() : found_.state(prefix.parent));
      tokens.push_back(prefix.token);
      positions.push_back(prefix.length);
    }
    step_.reset(std::ssize(prefixes));
    step_.restore(states);
    const auto logits = run_checked(step_, tokens, positions);
    for (std::size_t row = 0; row < prefixes.size(); ++row) {
      add(prefixes[row], logits.subspan(row * found_.vocab_size_, found_.vocab_size_),
          step_.save(static_cast<std::int64_t>(row)));
    }
  }

  void add(const Prefix& prefix, std::span<const float> logits, StateSnapshot state) {
    const Id id = static_cast<Id>(found_.size());
    found_.logits_.insert(found_.logits_.end(), logits.begin(), logits.end());
    found_.children_.insert(found_.children_.end(), found_.vocab_size_, kNone);
    found_.states_.push_back(std::move(state));
    if (prefix.parent != kNone) {
      found_.children_[index(prefix.parent) * found_.vocab_size_ +
                       static_cast<std::size_t>(prefix.token)] = id;
    }
  }

  void open_children(Id id, const Prefix& prefix) {
    if (prefix.length == limits_.length) return;
    sampler_.prepare(found_.logits(id), {});
    const auto cumulative = sampler_.cumulative();
    for (std::size_t token = 1; token < cumulative.size(); ++token) {  // 0 ends the string
      const double weight = cumulative[token] - cumulative[token - 1];
      const double probability = prefix.probability * weight / cumulative.back();
      if (probability < kLeast) continue;
      open_.push({id, static_cast<std::int64_t>(token), prefix.length + 1, probability});
    }
  }

  CommonPrefixes& found_;
  SnapshotStep& step_;
  const Limits& limits_;
  Sampler sampler_;
  std::priority_queue<Prefix> open_;
};

CommonPrefixes::CommonPrefixes(SnapshotStep& step, const Limits& limits)
    : vocab_size_(static_cast<std::size_t>(step.vocab_size())) {
  Search(*this, step, limits).run();
}

}  // namespace makemore
