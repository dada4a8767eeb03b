#include "cpp_loop.h"

#include <algorithm>
#include <cmath>
#include <random>

void Loop::generate(std::int64_t n, std::size_t rows, std::uint64_t seed, std::int64_t max_length,
                    std::int32_t* ids) {
  start(rows);
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<float> coin(0, 1);
  std::vector<std::int64_t> strings(rows);
  std::int64_t begun = 0, finished = 0;
  for (std::size_t row = 0; row < rows; ++row) strings[row] = begun++;
  while (finished < n) {
    float* logits = run();
    for (std::size_t row = 0; row < rows; ++row) {
      if (strings[row] >= n) {  // nothing left to make
        begin(row);
        continue;
      }
      const std::int64_t token = pick(logits + row * vocab_size_, coin(random));
      ids[strings[row] * max_length + positions_[row]] = static_cast<std::int32_t>(token);
      tokens_[row] = token;
      if (token != 0 && ++positions_[row] < max_length) continue;
      ++finished;
      strings[row] = begun++;
      begin(row);
    }
  }
}

void Loop::start(std::size_t rows) {
  if (rows != tokens_.size()) {
    tokens_.resize(rows);
    positions_.resize(rows);
    open();
  }
  for (std::size_t row = 0; row < rows; ++row) begin(row);
}

std::span<const float> Loop::step(const std::int64_t* tokens) {
  std::copy_n(tokens, tokens_.size(), tokens_.begin());
  const float* logits = run();
  for (std::int64_t& position : positions_) ++position;
  return {logits, tokens_.size() * vocab_size_};
}

void Loop::begin(std::size_t row) {
  tokens_[row] = positions_[row] = 0;
  forget(row);
}

/// Inverse CDF of softmax(logits); overwrites them.
std::int64_t Loop::pick(float* logits, float coin) const {
  const float highest = *std::max_element(logits, logits + vocab_size_);
  for (std::size_t i = 0; i < vocab_size_; ++i) logits[i] = std::exp(logits[i] - highest);
  float sum = 0;
  for (std::size_t i = 0; i < vocab_size_; ++i) logits[i] = sum += logits[i];
  float* end = logits + vocab_size_ - 1;
  return std::upper_bound(logits, end, coin * sum) - logits;
}

extern "C" {

void loop_generate(Loop* loop, std::int64_t n, std::size_t rows, std::uint64_t seed,
                   std::int64_t max_length, std::int32_t* ids) {
  loop->generate(n, rows, seed, max_length, ids);
}

void loop_start(Loop* loop, std::size_t rows) { loop->start(rows); }

void loop_step(Loop* loop, const std::int64_t* tokens, float* logits) {
  std::ranges::copy(loop->step(tokens), logits);
}

}  // extern "C"
