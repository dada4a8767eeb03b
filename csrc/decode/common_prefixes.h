#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <queue>
#include <span>
#include <vector>

#include "call_cancellation.h"
#include "prefetch.h"
#include "prefix_children.h"
#include "sampler.h"
#include "state_snapshot.h"

namespace makemore {

class SnapshotStep;

/// The prefixes that strings begin with most often, the logits after each, and the state after the
/// likeliest of them. All steps of a model, and their threads, share them. A prefix that was added
/// stays as it is, so that others read while one thread adds more.
///
/// Logits take far less memory than states. Without its state a prefix is worth a step less to the
/// strings that end after it, or after a longer one whose logits are here too.
class CommonPrefixes {
 public:
  using Id = PrefixChildren::Id;
  using Clock = std::chrono::steady_clock;
  static constexpr Id kEmpty = 0, kNone = PrefixChildren::kNone;

  /// How far to go.
  struct Limits {
    std::size_t count = 1;                             ///< prefixes in all
    std::size_t states = 1;                            ///< of these, those that keep their state
    std::int64_t length = 0;                           ///< tokens of a prefix
    Clock::time_point end = Clock::time_point::max();  ///< no step begins later
  };

  /// The empty prefix. Throws what the step throws, whose rows are undefined afterwards.
  explicit CommonPrefixes(SnapshotStep& step);

  /// Adds the likeliest prefixes of the model's own distribution, computed by any step of the
  /// model, whose rows are undefined afterwards. A step that fails is the last one: a call that
  /// needs such a prefix tells what is wrong. Does nothing while another thread adds prefixes.
  /// Returns whether there may be more to add with more time. Throws what `cancellation` throws.
  bool grow(SnapshotStep& step, const Limits& limits, CallCancellation& cancellation);

  std::size_t size() const { return size_; }
  bool is_growing() const { return is_growing_; }

  /// Bytes that each prefix takes without its state; 0 where there is none but the empty one,
  /// because a step costs nearly nothing.
  static std::size_t prefix_bytes(const SnapshotStep& step);

  /// A prefix with one more token; kNone where it is not among these.
  Id child(Id prefix, std::int64_t token) const { return children_.find(key(prefix, token)); }

  /// Asks for the memory that `child` will read, `logits`, or `logits` and `state`.
  void fetch_child(Id prefix, std::int64_t token) const { children_.fetch(key(prefix, token)); }
  void fetch_logits(Id prefix) const {
    prefetch(logits(prefix).data(), vocab_size_ * sizeof(float));
  }

  void fetch(Id prefix) const {
    fetch_logits(prefix);
    prefetch(&state(prefix));
  }

  /// Asks for the count of references to a state, whose place must have been fetched.
  void fetch_references(Id prefix) const { state(prefix).fetch(); }

  /// (V,)
  std::span<const float> logits(Id prefix) const {
    return std::span(block(prefix).logits).subspan(place(prefix) * vocab_size_, vocab_size_);
  }

  /// Whether the state after a prefix is kept, too.
  bool has_state(Id prefix) const {
    return is_stateless_ || static_cast<std::size_t>(prefix) < states_;
  }

  /// Null where it is not kept.
  const StateSnapshot& state(Id prefix) const { return block(prefix).states[place(prefix)]; }

 private:
  /// What a prefix is a child of, and by which token.
  struct Last {
    Id parent;
    std::int32_t token;
  };

  /// Of some prefixes. What it holds never moves.
  struct Block {
    Block() = default;
    Block(std::size_t prefixes, std::size_t vocab_size)
        : logits(prefixes * vocab_size), states(prefixes), last(prefixes) {}
    LargeVector<float> logits;          // (prefixes, V)
    std::vector<StateSnapshot> states;  // (prefixes,)
    std::vector<Last> last;             // (prefixes,)
  };

  /// A prefix that may be added.
  struct Prefix {
    Last last;
    std::int32_t length;
    double probability;
    bool operator<(const Prefix& other) const { return probability < other.probability; }
  };

  /// What is to be run for one of several prefixes.
  struct Path {
    std::size_t index;
    StateSnapshot state;
    std::vector<std::int64_t> tokens;  // that follow the state, the last one first
  };

  const Block& block(Id id) const { return blocks_[static_cast<std::size_t>(id) >> block_bits_]; }

  /// Within its block.
  std::size_t place(Id id) const {
    return static_cast<std::size_t>(id) & ((std::size_t{1} << block_bits_) - 1);
  }

  std::uint64_t key(Id prefix, std::int64_t token) const {
    return static_cast<std::uint64_t>(prefix) * vocab_size_ + static_cast<std::uint64_t>(token);
  }

  std::vector<Prefix> likeliest(std::size_t count, std::int64_t max_length);
  std::vector<Path> paths_to(std::span<const Prefix> prefixes) const;
  void add(SnapshotStep& step, std::span<const Prefix> prefixes, std::size_t states);
  void add(const Prefix& prefix, std::span<const float> logits, StateSnapshot state);
  void open_children(Id id, const Prefix& prefix);

  const std::size_t vocab_size_;
  const bool is_stateless_;
  const std::size_t block_bits_;  // of the number of prefixes in a block
  std::vector<Block> blocks_;
  PrefixChildren children_;
  const double least_;                              // probability of a prefix
  std::atomic<std::size_t> size_ = 0, states_ = 0;  // those that keep their state come first
  std::atomic<bool> is_growing_ = false;            // by a thread, which alone uses what is below
  Sampler sampler_;
  std::priority_queue<Prefix> open_;
};

}  // namespace makemore
