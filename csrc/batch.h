#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "choose.h"
#include "decode.h"
#include "prefixes.h"
#include "step.h"
#include "watch.h"

namespace makemore {

/// Rows of a request, decoded together by one step.
class Batch {
 public:
  /// `rows` are numbers of rows within the request; the batch brings those that say the same
  /// together as it goes.
  Batch(Step& step, const DecodeRequest& request, std::span<const std::int64_t> rows);

  /// Decodes all rows to their ends. Gives up, and returns false, where more than `most_groups`
  /// different prefixes would be alive at once.
  bool run(std::size_t most_groups, Watch& watch);

  /// The rows of the batch, those that share a prefix side by side.
  std::vector<std::int64_t> rows() const;

  /// Once decoded: the strings of `rows()`, in that order.
  Decoded strings() const;

 private:
  struct Member {
    std::int64_t row;
    std::int64_t next;  // the token it has just said
  };

  /// Members that have said the same so far, side by side. They share one row of the step.
  struct Group {
    std::int64_t prefix;     // what they have said
    std::int64_t token;      // the last of it, which the next step is fed
    std::int64_t parent;     // the row of the step that the group was part of
    double log_prob;         // of the prefix, in nats
    std::size_t begin, end;  // in members_
  };

  struct Ending {
    std::int64_t prefix = Prefixes::kEmpty;
    double log_prob = 0;
    bool stopped = false;
  };

  std::span<const float> feed(std::int64_t position);
  void say_next(const Group& group, std::int64_t position, std::span<const float> logits);
  void part(std::size_t index, std::int64_t position, std::span<const float> logits);
  void settle();

  Step& step_;
  const DecodeRequest& request_;
  Chooser chooser_;
  Prefixes prefixes_;
  std::vector<Member> members_;
  std::vector<Ending> endings_;  // of each member, once it has ended: it then keeps its place
  std::vector<Group> groups_;    // a group's index is its row of the step
  std::vector<Group> children_;
  std::vector<std::int64_t> tokens_, positions_, parents_;
  std::vector<const Group*> places_, movers_;
};

}  // namespace makemore
