#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cancellation.h"
#include "prefix_tree.h"
#include "request.h"
#include "sampler.h"
#include "step.h"

namespace makemore {

/// Rows of a request on their way to their ends.
///
/// They are a tree: rows that have said the same are one group, which takes one row of the step
/// until they part. Groups wait on a pile, and a step takes as many off its top as it may, of
/// whatever length, so that it is always full and few of them wait.
class PrefixTreeDecoder {
 public:
  /// All at their start. `rows` are numbers of rows within the request, which must outlive this.
  PrefixTreeDecoder(const DecodeRequest& request, std::int64_t vocab_size,
                    std::span<const std::int64_t> rows);

  /// Takes all rows to their ends. Stops before that, and returns false, where more than `most`
  /// groups wait. A step that cannot save must be able to take all that wait.
  bool run(Step& step, std::size_t most, CancellationToken& cancellation);

  /// The groups that wait, in `count` batches of about as many rows.
  std::vector<PrefixTreeDecoder> split(std::size_t count);

  /// The rows, those that share a prefix side by side.
  std::vector<std::int64_t> rows() const;

  /// What a row said.
  struct FinishedSequence {
    std::int64_t row;
    std::size_t begin;  // in tokens()
    std::int64_t length;
    double log_prob;  // in nats
    bool stopped;
  };

  /// Of the rows that have come to their ends, in no order.
  std::span<const FinishedSequence> finished() const { return finished_; }
  std::span<const std::int32_t> tokens() const { return tokens_of_finished_; }

 private:
  struct Sequence {
    std::int64_t row;
    std::int64_t next;  // the token it has just said
  };

  /// Members that have said the same so far, side by side.
  struct Group {
    std::int64_t prefix = Prefixes::kEmpty;  // what they have said
    std::int64_t token = 0;                  // the last of it, which the next step is fed
    std::int64_t position = 0;
    std::int64_t parent = 0;         // the row of the step that the group was part of
    double log_prob = 0;             // of the prefix
    std::size_t begin = 0, end = 0;  // in sequences_
    StateSnapshot state;             // once it is saved, as long as the group waits
  };

  explicit PrefixTreeDecoder(const DecodeRequest& request, std::int64_t vocab_size);

  void save_pending(Step& step, std::size_t end);
  void schedule(Step& step, std::size_t count);
  std::span<const float> run_step(Step& step);
  void choose_tokens(const Group& group, std::span<const float> logits);
  void sort(std::span<Sequence> sequences);
  void drop_finished_prefixes();
  void split_by_token(std::size_t index, std::span<const float> logits);

  const DecodeRequest& request_;
  std::int64_t vocab_size_;
  Sampler sampler_;
  Prefixes prefixes_;
  std::vector<Sequence> sequences_;
  std::vector<FinishedSequence> finished_;
  std::vector<std::int32_t> tokens_of_finished_;  // by rows that have ended
  std::vector<Group> pending_;                    // the pile
  std::size_t fresh_ = 0;      // groups of the last step, their states still in it: from here on
  std::vector<Group> groups_;  // in the step: a group's index is its row
  std::vector<std::int64_t> tokens_, positions_, parents_;
  std::vector<std::optional<StateSnapshot>> states_;
  std::vector<Group*> places_, movers_;
  std::vector<Sequence> unsorted_;
  std::vector<std::size_t> begins_;  // (V + 1,)
};

}  // namespace makemore
