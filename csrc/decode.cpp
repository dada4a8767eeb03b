#include "decode.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <numeric>
#include <string>

#include "coin.h"
#include "errors.h"
#include "prefixes.h"
#include "watch.h"

namespace makemore {
namespace {

constexpr std::int64_t kStop = 0;

/// Rows that have said the same so far. They share one row of the step.
struct Group {
  std::int64_t prefix;              // what they have said
  std::int64_t token;               // the last of it, which the next step is fed
  std::int64_t parent;              // the row of the step that the group was part of
  double log_prob;                  // of the prefix, in nats
  std::span<std::int64_t> members;  // the rows, numbered within the request
};

/// Consecutive rows of a request, decoded together by one step.
class Batch {
 public:
  Batch(Step& step, const DecodeRequest& request, std::int64_t begin, std::int64_t end)
      : step_(step),
        request_(request),
        begin_(begin),
        chooser_(request.choose, step.vocab_size()),
        members_(static_cast<std::size_t>(end - begin)),
        next_(members_.size()),
        endings_(members_.size()) {
    std::iota(members_.begin(), members_.end(), begin);
  }

  /// The decode loop: one step for every prefix that is still alive, then each row says its next
  /// token, and rows that part ways become groups of their own.
  Decoded run(Watch& watch) {
    const auto vocab_size = static_cast<std::size_t>(step_.vocab_size());
    groups_ = {{Prefixes::kEmpty, kStop, 0, 0.0, members_}};
    step_.reset(1);
    for (std::int64_t position = 0; !groups_.empty(); ++position) {
      watch.check();
      const std::span<const float> logits = feed(position);
      children_.clear();
      for (std::size_t row = 0; row < groups_.size(); ++row) {
        say_next(groups_[row], position, logits.subspan(row * vocab_size, vocab_size));
        part(groups_[row], row, position, logits.subspan(row * vocab_size, vocab_size));
      }
      settle();
    }
    return collect();
  }

 private:
  struct Ending {
    std::int64_t prefix = Prefixes::kEmpty;
    double log_prob = 0;
    bool stopped = false;
  };

  std::span<const float> feed(std::int64_t position) {
    tokens_.clear();
    for (const Group& group : groups_) tokens_.push_back(group.token);
    positions_.assign(groups_.size(), position);
    return step_.run(tokens_, positions_);
  }

  /// Each member throws its own coin at the distribution they share, unless its prompt speaks.
  void say_next(const Group& group, std::int64_t position, std::span<const float> logits) {
    bool prepared = false;
    for (const std::int64_t member : group.members) {
      const auto prompt = request_.prompts.of(member);
      if (static_cast<std::size_t>(position) < prompt.size()) {
        next(member) = prompt[static_cast<std::size_t>(position)];
        continue;
      }
      if (!prepared) chooser_.prepare(logits);
      prepared = true;
      const auto row = request_.first_row + static_cast<std::uint64_t>(member);
      next(member) = chooser_.pick(coin(request_.seed, row, static_cast<std::uint32_t>(position)));
    }
  }

  /// Members that said the same stop, are cut, or go on as one group.
  void part(const Group& group, std::size_t row, std::int64_t position,
            std::span<const float> logits) {
    std::ranges::sort(group.members, [this](std::int64_t a, std::int64_t b) {
      return next(a) != next(b) ? next(a) < next(b) : a < b;
    });
    const double normalizer = log_sum_exp(logits);
    for (auto rest = group.members; !rest.empty();) {
      const std::int64_t token = next(rest.front());
      const auto other = [&](std::int64_t member) { return next(member) != token; };
      const auto count = std::ranges::find_if(rest, other) - rest.begin();
      const auto alike = rest.first(static_cast<std::size_t>(count));
      rest = rest.subspan(alike.size());

      const double log_prob = group.log_prob + logits[static_cast<std::size_t>(token)] - normalizer;
      const bool stopped = token == kStop;
      const auto prefix = stopped ? group.prefix : prefixes_.add(group.prefix, token);
      if (stopped || position + 1 == request_.max_length) {
        for (const std::int64_t member : alike) ending(member) = {prefix, log_prob, stopped};
      } else {
        children_.push_back({prefix, token, static_cast<std::int64_t>(row), log_prob, alike});
      }
    }
  }

  /// Gives each child a row of the step. The first child of a row stays where it is, so that its
  /// state need not be copied; the others take the rows that fell free, then new ones.
  void settle() {
    std::vector<const Group*>& rows = rows_;
    rows.assign(children_.size(), nullptr);
    const auto free_place = [&](const Group& child) {
      const auto place = static_cast<std::size_t>(child.parent);
      return place < rows.size() && rows[place] == nullptr;
    };
    movers_.clear();
    for (const Group& child : children_) {
      if (free_place(child)) {
        rows[static_cast<std::size_t>(child.parent)] = &child;
      } else {
        movers_.push_back(&child);
      }
    }
    for (auto mover = movers_.begin(); const Group*& row : rows) {
      if (row == nullptr) row = *mover++;
    }
    groups_.clear();
    parents_.clear();
    for (const Group* child : rows) {
      groups_.push_back(*child);
      parents_.push_back(child->parent);
    }
    step_.select(parents_);
  }

  Decoded collect() const {
    Decoded out;
    for (const Ending& ending : endings_) {
      out.lengths.push_back(prefixes_.append_to(out.tokens, ending.prefix));
      out.log_probs.push_back(ending.log_prob);
      out.finished.push_back(ending.stopped ? 1 : 0);
    }
    return out;
  }

  std::size_t index(std::int64_t member) const { return static_cast<std::size_t>(member - begin_); }
  std::int64_t& next(std::int64_t member) { return next_[index(member)]; }
  Ending& ending(std::int64_t member) { return endings_[index(member)]; }

  Step& step_;
  const DecodeRequest& request_;
  std::int64_t begin_;
  Chooser chooser_;
  Prefixes prefixes_;
  std::vector<std::int64_t> members_;  // permuted, so that each group's members lie together
  std::vector<std::int64_t> next_;     // what each member has just said
  std::vector<Ending> endings_;
  std::vector<Group> groups_;  // a group's index is its row of the step
  std::vector<Group> children_;
  std::vector<std::int64_t> tokens_, positions_, parents_;
  std::vector<const Group*> rows_, movers_;
};

void require(bool good, const char* name, std::int64_t value, const std::string& limit) {
  if (!good) throw OptionError(std::string(name) + " is " + std::to_string(value) + "; " + limit);
}

void validate(const DecodeRequest& request, std::int64_t vocab_size) {
  require(request.rows >= 0, "n", request.rows, "it must be >= 0");
  require(request.max_length >= 1, "max_length", request.max_length, "it must be >= 1");
  require(request.batch_size >= 1, "batch_size", request.batch_size, "it must be >= 1");
  for (const std::int64_t token : request.prompts.tokens) {
    require(token >= 0 && token < vocab_size, "a token", token,
            "the vocabulary has " + std::to_string(vocab_size));
  }
  const auto offsets = request.prompts.offsets;
  const bool one_each = offsets.size() == static_cast<std::size_t>(request.rows) + 1 &&
                        offsets.front() == 0 && std::ranges::is_sorted(offsets) &&
                        offsets.back() == static_cast<std::int64_t>(request.prompts.tokens.size());
  if (!offsets.empty() && !one_each) throw OptionError("offsets must part the prompts of n rows");
}

Decoded join(std::span<Decoded> parts) {
  Decoded all;
  const auto append = [](auto& to, const auto& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  for (Decoded& part : parts) {
    append(all.tokens, part.tokens);
    append(all.lengths, part.lengths);
    append(all.log_probs, part.log_probs);
    append(all.finished, part.finished);
    part = {};
  }
  return all;
}

}  // namespace

Decoded decode(std::span<Step* const> steps, const DecodeRequest& request,
               const std::function<void()>& poll) {
  if (steps.empty()) throw OptionError("decode needs at least one step");
  validate(request, steps.front()->vocab_size());
  const auto workers = static_cast<std::int64_t>(steps.size());
  const std::int64_t share = (request.rows + workers - 1) / workers;
  const std::int64_t size = std::clamp<std::int64_t>(share, 1, request.batch_size);
  const std::int64_t batches = (request.rows + size - 1) / size;
  if (batches < workers)
    steps = steps.first(static_cast<std::size_t>(std::max<std::int64_t>(batches, 1)));

  std::vector<Decoded> results(static_cast<std::size_t>(batches));
  std::atomic<std::int64_t> taken = 0;
  Watch watch(poll);
  const auto work = [&](Step& step) {
    try {
      for (std::int64_t i = taken++; i < batches; i = taken++) {
        const std::int64_t begin = i * size;
        Batch batch(step, request, begin, std::min(begin + size, request.rows));
        results[static_cast<std::size_t>(i)] = batch.run(watch);
      }
    } catch (const Watch::Stopped&) {  // the worker that failed tells why
    } catch (...) {
      watch.stop();
      throw;
    }
  };
  // A future of std::async waits for its thread when it goes, also when one of us throws.
  std::vector<std::future<void>> others;
  for (Step* step : steps.subspan(1)) {
    others.push_back(std::async(std::launch::async, work, std::ref(*step)));
  }
  work(*steps.front());
  for (std::future<void>& other : others) {
    while (other.wait_for(Watch::kInterval) != std::future_status::ready) watch.poll();
    other.get();
  }
  return join(results);
}

}  // namespace makemore
