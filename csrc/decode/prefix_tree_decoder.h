#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "call_cancellation.h"
#include "common_prefixes.h"
#include "output.h"
#include "prefix_tree.h"
#include "request.h"
#include "sampler.h"
#include "snapshot_step.h"

namespace makemore {

/// A batch of rows, decoded as a tree.
///
/// Rows with the same tokens so far are a group, which takes one row of the step until their tokens
/// differ. Pending groups lie on a stack, and a step takes as many from its top as it may, of any
/// length, so that steps are full and few groups are pending. Before it, groups whose prefix is
/// among the model's common prefixes get their next tokens, for which no step is needed. Nor do
/// rows need one that end after a common prefix without a state.
class PrefixTreeDecoder {
 public:
  static constexpr std::size_t kUnlimited = static_cast<std::size_t>(-1);

  /// Of no rows. The request must outlive this.
  PrefixTreeDecoder(const DecodeRequest& request, std::int64_t vocab_size);

  /// Puts rows at their start: their numbers within the request, or those from `begin` to `end`.
  void start(std::span<const std::int64_t> rows) {
    for (const std::int64_t row : rows) sequences_.push_back({row, kStop});
    start();
  }
  void start(std::int64_t begin, std::int64_t end) {
    sequences_.reserve(static_cast<std::size_t>(end - begin));
    for (std::int64_t row = begin; row < end; ++row) sequences_.push_back({row, kStop});
    start();
  }

  /// Decodes all rows to their ends. Returns false, before that, where more than `max_groups`
  /// groups are pending. Their states are then saved.
  bool run(SnapshotStep& step, std::size_t max_groups, CallCancellation& cancellation);

  /// The same over a step without snapshots. It must hold all pending groups at once, so that
  /// `max_groups` may be at most the request's batch size; their states are then lost.
  bool run(Step& step, std::size_t max_groups, CallCancellation& cancellation);

  /// Decodes all rows to so many tokens. Groups with more to come then wait for the next such call,
  /// or for `merge`.
  void run_to(SnapshotStep& step, std::int64_t position, CallCancellation& cancellation);

  /// Rows of the largest group that waits; 0 where none does.
  std::size_t largest_waiting() const;

  /// Groups of batches with their states, which any batch of the request can go on with.
  struct Part;

  /// Moves the groups of batches that came to the same position to parts, the largest first. Each
  /// has about one in `share` of the rows that no larger one has, but `min_rows` at least. Those of
  /// one prefix become one group.
  static std::vector<Part> merge(std::span<PrefixTreeDecoder> trees, std::size_t share,
                                 std::size_t min_rows);

  /// Goes on with a part too, until fewer than `min_rows` rows are left. The step must have run
  /// this batch only.
  void run_part(SnapshotStep& step, Part&& part, std::size_t min_rows,
                CallCancellation& cancellation);

  /// The rows, those that share a prefix side by side.
  std::vector<std::int64_t> rows() const;

  FinishedSequences& finished() { return finished_; }

 private:
  struct Sequence {
    std::int64_t row;
    std::int64_t token;  // the last one
  };

  /// Rows with the same tokens so far, side by side in sequences_.
  struct Group {
    PrefixTree::Prefix prefix = PrefixTree::kEmpty;
    std::int64_t token = kStop;  // the last one, which the next step is fed
    std::int64_t position = 0;
    double log_prob = 0;             // of the prefix
    std::size_t begin = 0, end = 0;  // in sequences_
    RowFilter::State filter_state = 0;
    CommonPrefixes::Id common = CommonPrefixes::kNone;  // the prefix, if the model's steps know it
    std::size_t parent = 0;                   // the row of the step that the group was part of
    std::optional<StateSnapshot> state = {};  // none: it is still in row `parent` of the step
  };

  /// A row that goes on among the common prefixes, without a state.
  struct KnownRow {
    const Group* group;  // that it is one of
    Sequence* sequence;
    CommonPrefixes::Id common;
    std::int64_t position;
    RowFilter::State filter_state;
    double log_prob;
    std::vector<std::int32_t> tokens;  // after those of the group, so far
  };

  void start() {
    finished_.sequences.reserve(sequences_.size());
    known_.push_back({.end = sequences_.size(), .common = CommonPrefixes::kEmpty});
  }
  template <class AnyStep>
  bool run_any(AnyStep& step, std::size_t min_rows, std::size_t max_groups,
               CallCancellation& cancellation);
  void put(Group&& group);
  std::size_t pending_rows() const;
  void save_states(SnapshotStep& step, std::size_t end);
  void save_states(Step&, std::size_t) {}
  void expand_known(std::size_t max_groups, CallCancellation& cancellation);
  void schedule(std::size_t count);
  void move_states(SnapshotStep& step);
  void move_states(Step& step);
  std::span<const float> run_step(Step& step);
  std::span<const double> prepare(const Group& group, std::span<const float> logits);
  void choose_tokens(const Group& group, std::span<const float> logits);
  void record_log_prob(const Group& group, double log_prob);
  void split_by_token(const Group& group, std::span<const float> logits, std::size_t row,
                      const StateSnapshot* state);
  void sort_by_token(std::span<Sequence> sequences);
  void finish(const Group& group, FinishReason reason);
  bool may_end_known(const Group& group) const;
  void end_known();
  bool draw_known(KnownRow& known);
  void drop_finished_prefixes();

  const DecodeRequest& request_;
  std::int64_t vocab_size_;
  Sampler sampler_;
  PrefixTree tree_;
  std::size_t max_prefixes_;
  LargeVector<Sequence> sequences_;
  FinishedSequences finished_;
  std::shared_ptr<const CommonPrefixes> common_;
  std::vector<Group> known_;          // pending, whose prefix is a common one with its state
  std::vector<Group> expanded_;       // those of them whose turn it is
  std::vector<Group> next_;           // and those whose turn is next
  std::vector<Group> ending_;         // groups of which rows may end among the common prefixes
  std::vector<KnownRow> known_rows_;  // these rows
  LargeVector<Group> pending_;        // a stack of the others
  std::size_t first_unsaved_ = 0;     // of pending_: the states of the groups below are saved
  std::int64_t end_position_ = std::numeric_limits<std::int64_t>::max();
  LargeVector<Group> waiting_;     // those that came to end_position_
  std::size_t saved_waiting_ = 0;  // of waiting_: the states of the first ones are saved
  std::vector<Group> groups_;      // in the step: a group's index is its row

  // Memory that is used again by every step.
  std::vector<std::int64_t> tokens_, positions_, parents_;
  std::vector<std::optional<StateSnapshot>> states_;
  std::vector<Group*> kept_, moved_;
  LargeVector<Sequence> unsorted_;
  LargeVector<std::int32_t> prefix_;
  std::vector<float> processed_;
  std::vector<std::size_t> begins_;  // (V + 1,)
};

struct PrefixTreeDecoder::Part {
  PrefixTree tree;
  std::vector<std::span<const Sequence>> sequences;  // of the batches, which must outlive the part
  std::size_t rows = 0;                              // in all
  std::vector<Group> groups;
};

}  // namespace makemore
