#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "choose.h"
#include "memo.h"
#include "step.h"

namespace makemore {

/// The tokens that rows are made to say before they speak for themselves: one prompt a row, laid
/// end to end, or a single one that all rows share (`offsets` empty).
struct Prompts {
  std::span<const std::int64_t> tokens;
  std::span<const std::int64_t> offsets;  // (rows + 1,)

  std::span<const std::int64_t> of(std::int64_t row) const {
    if (offsets.empty()) return tokens;
    const auto begin = static_cast<std::size_t>(offsets[static_cast<std::size_t>(row)]);
    const auto end = static_cast<std::size_t>(offsets[static_cast<std::size_t>(row) + 1]);
    return tokens.subspan(begin, end - begin);
  }
};

struct DecodeRequest {
  std::int64_t rows = 0;        ///< how many strings to make
  std::uint64_t first_row = 0;  ///< number of the first one, which its coins hang on
  Prompts prompts;
  std::int64_t max_length = 0;  ///< most tokens of a string, the stop token not counted
  ChooseOptions choose;
  std::uint64_t seed = 0;
  std::int64_t batch_size = 0;  ///< most rows decoded together
  bool log_probs = true;        ///< whether the log-probabilities are wanted; else they are 0
};

/// Throws OptionError for a request that no model of `vocab_size` tokens can meet.
void validate(const DecodeRequest& request, std::int64_t vocab_size);

/// Strings as token ids, without start and stop, laid end to end in row order.
struct Decoded {
  std::vector<std::int32_t> tokens;
  std::vector<std::int64_t> lengths;   ///< (rows,)
  std::vector<double> log_probs;       ///< (rows,) of each string under the model itself, in nats
  std::vector<std::uint8_t> finished;  ///< (rows,) 1: the stop token came, 0: cut at max_length

  void clear() {
    tokens.clear();
    lengths.clear();
    log_probs.clear();
    finished.clear();
  }
};

/// A step, and what it has said so far. One decode at a time has it.
class Worker {
 public:
  explicit Worker(Step& step) : step(step), memo(step) {}

  Step& step;
  Memo memo;
};

/// Decodes strings until the stop token or `max_length`. Token 0 starts and stops.
///
/// Rows that share a prefix share one row of the step until they part: see Batch. Some thousand
/// rows, and any of a model without state, go over the memo instead. A step that cannot save is
/// given rows that begin alike. A string depends on nothing but (model, options, seed, row). Work
/// is spread over the workers, one thread each, the calling thread being the first; `poll` is
/// called on the calling thread at least every 50 ms, or once a step where that is longer, and may
/// throw to interrupt: the workers are then not to be used again.
Decoded decode(std::span<Worker* const> workers, const DecodeRequest& request,
               const std::function<void()>& poll);

}  // namespace makemore
