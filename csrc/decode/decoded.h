#pragma once

#include <cstdint>
#include <vector>

#include "output.h"
#include "request.h"

namespace makemore {

/// The n strings that pass, as token ids, without start and stop, laid end to end in row order.
struct Decoded {
  std::vector<std::int32_t> tokens;
  std::vector<std::int64_t> rows;      ///< (n,) numbers within the request
  std::vector<std::int64_t> lengths;   ///< (n,)
  std::vector<double> log_probs;       ///< (n,) of each string under the model itself, in nats
  std::vector<std::uint8_t> finished;  ///< (n,) 1: the stop token came, 0: cut at max_length

  /// Makes room for so many more strings and tokens, and for as many as there are.
  void reserve(std::size_t strings, std::size_t tokens);

  /// Appends all of the string of a later row but its tokens.
  void append(std::int64_t row, std::int64_t length, double log_prob, FinishReason reason);
};

/// Brings what it takes into row order.
class RowOrder final : public Output {
 public:
  explicit RowOrder(const DecodeRequest& request) : request_(request) {}

  void take(FinishedSequences&& finished) override { parts_.push_back(std::move(finished)); }

  /// Throws OptionError where there would be more tokens than the request allows.
  void end_rows(std::int64_t first, std::size_t count, const ForEach& for_each) override;

  Decoded& decoded() { return out_; }

 private:
  const DecodeRequest& request_;
  std::vector<FinishedSequences> parts_;
  Decoded out_;
};

}  // namespace makemore
