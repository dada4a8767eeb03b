#include "prefix_tree_decoder.h"

#include <algorithm>
#include <numeric>

#include "coin.h"

namespace makemore {
namespace {

constexpr std::int64_t kStop = 0;

/// Prefixes past which those that have ended are forgotten.
constexpr std::size_t kMaxPrefixes = std::size_t{1} << 20;

}  // namespace

PrefixTreeDecoder::PrefixTreeDecoder(const DecodeRequest& request, std::int64_t vocab_size)
    : request_(request), vocab_size_(vocab_size), sampler_(request.sampling, vocab_size) {}

PrefixTreeDecoder::PrefixTreeDecoder(const DecodeRequest& request, std::int64_t vocab_size,
                                     std::span<const std::int64_t> rows)
    : PrefixTreeDecoder(request, vocab_size) {
  sequences_.reserve(rows.size());
  finished_.reserve(rows.size());
  for (const std::int64_t row : rows) sequences_.push_back({row, kStop});
  pending_.emplace_back().end = sequences_.size();
}

// The decode loop: a step for as many prefixes as it may take, then each row says its next token,
// and rows that part ways become groups of their own.
bool PrefixTreeDecoder::run(Step& step, std::size_t most, CancellationToken& cancellation) {
  const auto vocab_size = static_cast<std::size_t>(vocab_size_);
  while (!pending_.empty()) {
    if (pending_.size() > most) {
      save_pending(step, pending_.size());
      return false;
    }
    cancellation.check();
    if (prefixes_.size() > kMaxPrefixes) drop_finished_prefixes();
    schedule(step, std::min(pending_.size(), static_cast<std::size_t>(request_.batch_size)));
    const std::span<const float> logits = run_step(step);  // (groups, V)
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      const auto row = logits.subspan(i * vocab_size, vocab_size);
      choose_tokens(groups_[i], row);
      split_by_token(i, row);
    }
  }
  return true;
}

/// Saves the states of groups that wait on, up to `end`, before the step overwrites them.
void PrefixTreeDecoder::save_pending(Step& step, std::size_t end) {
  if (!step.can_save()) return;
  for (; fresh_ < end; ++fresh_) pending_[fresh_].state = step.save(pending_[fresh_].parent);
}

/// Takes `count` groups off the pile and gives each a row of the step. The first child of a row
/// stays where it is, so that its state need be neither saved nor copied.
void PrefixTreeDecoder::schedule(Step& step, std::size_t count) {
  const std::size_t left = pending_.size() - count;
  const bool at_start = pending_.back().position == 0;
  if (at_start) fresh_ = pending_.size();  // there was no step
  save_pending(step, left);
  places_.assign(count, nullptr);
  movers_.clear();
  for (std::size_t i = left; i < pending_.size(); ++i) {
    Group& group = pending_[i];
    const auto parent = static_cast<std::size_t>(group.parent);
    if (i >= fresh_ && parent < count && places_[parent] == nullptr) {
      places_[parent] = &group;
    } else {
      if (i >= fresh_ && step.can_save()) group.state = step.save(group.parent);
      movers_.push_back(&group);
    }
  }
  groups_.clear();
  states_.clear();
  parents_.clear();
  auto mover = movers_.begin();
  for (Group* stayer : places_) {
    groups_.push_back(std::move(stayer != nullptr ? *stayer : **mover++));
    parents_.push_back(groups_.back().parent);
    states_.push_back(std::nullopt);
    if (stayer == nullptr) states_.back() = std::move(groups_.back().state);
  }
  pending_.resize(left);
  fresh_ = left;
  if (step.can_save()) {
    step.restore(states_);
  } else if (at_start) {
    step.reset(1);
  } else {
    step.select(parents_);
  }
}

std::span<const float> PrefixTreeDecoder::run_step(Step& step) {
  tokens_.clear();
  positions_.clear();
  for (const Group& group : groups_) {
    tokens_.push_back(group.token);
    positions_.push_back(group.position);
  }
  return step.run(tokens_, positions_);
}

/// Each sequence throws its own coin at the distribution they share, unless its prompt speaks.
void PrefixTreeDecoder::choose_tokens(const Group& group, std::span<const float> logits) {
  bool prepared = false;
  for (Sequence& sequence : std::span(sequences_).subspan(group.begin, group.end - group.begin)) {
    const auto prompt = request_.prompts.of(sequence.row);
    if (static_cast<std::size_t>(group.position) < prompt.size()) {
      sequence.next = prompt[static_cast<std::size_t>(group.position)];
      continue;
    }
    if (!prepared) sampler_.prepare(logits);
    prepared = true;
    const auto number = request_.first_row + static_cast<std::uint64_t>(sequence.row);
    const auto position = static_cast<std::uint32_t>(group.position);
    sequence.next = sampler_.pick(coin(request_.seed, number, position));
  }
}

/// Brings those that said the same together: by counting, if they are many.
void PrefixTreeDecoder::sort(std::span<Sequence> sequences) {
  const auto size = static_cast<std::size_t>(vocab_size_);
  if (sequences.size() < size) {
    std::ranges::sort(sequences, {}, &Sequence::next);
    return;
  }
  begins_.assign(size + 1, 0);
  for (const Sequence& sequence : sequences) ++begins_[static_cast<std::size_t>(sequence.next) + 1];
  std::partial_sum(begins_.begin(), begins_.end(), begins_.begin());
  unsorted_.assign(sequences.begin(), sequences.end());
  for (const Sequence& sequence : unsorted_) {
    sequences[begins_[static_cast<std::size_t>(sequence.next)]++] = sequence;
  }
}

/// Members that said the same stop, are cut, or go on as one group.
void PrefixTreeDecoder::split_by_token(std::size_t index, std::span<const float> logits) {
  const Group& group = groups_[index];
  const auto at = [this](std::size_t i) {
    return sequences_.begin() + static_cast<std::ptrdiff_t>(i);
  };
  sort(std::span(sequences_).subspan(group.begin, group.end - group.begin));
  const double normalizer = request_.log_probs ? log_sum_exp(logits) : 0;
  for (std::size_t begin = group.begin, end; begin < group.end; begin = end) {
    const std::int64_t token = sequences_[begin].next;
    const auto other =
        std::ranges::upper_bound(at(begin), at(group.end), token, {}, &Sequence::next);
    end = static_cast<std::size_t>(other - sequences_.begin());

    const double log_prob =
        request_.log_probs ? group.log_prob + logits[static_cast<std::size_t>(token)] - normalizer
                           : 0;
    const bool stopped = token == kStop;
    const auto prefix = stopped ? group.prefix : prefixes_.add(group.prefix, token);
    if (stopped || group.position + 1 == request_.max_length) {
      const std::size_t first = tokens_of_finished_.size();
      const std::int64_t length = prefixes_.append_to(tokens_of_finished_, prefix);
      for (const Sequence& sequence : std::span(sequences_).subspan(begin, end - begin)) {
        finished_.push_back({sequence.row, first, length, log_prob, stopped});
      }
    } else {
      pending_.push_back({prefix, token, group.position + 1, static_cast<std::int64_t>(index),
                          log_prob, begin, end, nullptr});
    }
  }
}

void PrefixTreeDecoder::drop_finished_prefixes() {
  Prefixes kept;
  for (Group& group : pending_) group.prefix = kept.add_from(prefixes_, group.prefix);
  prefixes_ = std::move(kept);
}

std::vector<PrefixTreeDecoder> PrefixTreeDecoder::split(std::size_t count) {
  std::size_t left = 0;  // rows that wait
  for (const Group& group : pending_) left += group.end - group.begin;
  std::vector<PrefixTreeDecoder> parts;
  for (auto group = pending_.begin(); count > 0; --count) {
    PrefixTreeDecoder& part = parts.emplace_back(PrefixTreeDecoder(request_, vocab_size_));
    const std::size_t share = left / count;
    for (; group != pending_.end() && part.sequences_.size() < share; ++group) {
      const auto sequences = std::span(sequences_).subspan(group->begin, group->end - group->begin);
      Group& moved = part.pending_.emplace_back(std::move(*group));
      moved.prefix = part.prefixes_.add_from(prefixes_, moved.prefix);
      moved.begin = part.sequences_.size();
      part.sequences_.insert(part.sequences_.end(), sequences.begin(), sequences.end());
      moved.end = part.sequences_.size();
    }
    part.fresh_ = part.pending_.size();
    part.finished_.reserve(part.sequences_.size());
    left -= part.sequences_.size();
  }
  pending_.clear();
  return parts;
}

std::vector<std::int64_t> PrefixTreeDecoder::rows() const {
  std::vector<std::int64_t> rows;
  for (const Sequence& sequence : sequences_) rows.push_back(sequence.row);
  return rows;
}

}  // namespace makemore
