// The decode loop that one writes in C++ over a library's step: a row whose string has ended takes
// the next string. Opened by cpp_loop.py.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

/// Over the step of a derived class, which keeps the state of each row.
class Loop {
 public:
  explicit Loop(std::size_t vocab_size) : vocab_size_(vocab_size) {}
  virtual ~Loop() = default;

  /// Writes n strings as ids (n, max_length), so many rows at a time.
  void generate(std::int64_t n, std::size_t rows, std::uint64_t seed, std::int64_t max_length,
                std::int32_t* ids);

  /// Each of so many rows begins a string.
  void start(std::size_t rows);

  /// Logits (rows, V) after one more token of each row.
  std::span<const float> step(const std::int64_t* tokens);

 protected:
  /// Makes room for `tokens_.size()` rows.
  virtual void open() = 0;

  /// A row begins a string: it holds nothing of the one before.
  virtual void forget(std::size_t row) = 0;

  /// Logits (rows, V) of `tokens_` at `positions_`; the caller may overwrite them.
  virtual float* run() = 0;

  std::size_t vocab_size_;
  std::vector<std::int64_t> tokens_, positions_;

 private:
  void begin(std::size_t row);
  std::int64_t pick(float* logits, float coin) const;
};
