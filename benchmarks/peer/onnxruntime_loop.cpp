// The decode loop that one writes in C++ over ONNX Runtime: two bindings that take turns, so that
// no state is copied, and a row whose string has ended takes the next string. Opened by
// onnxruntime_loop.py; of makemore it has the declarations of ONNX Runtime's C interface alone.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "io_binding.h"
#include "ort_library.h"

namespace {

using makemore::ort::Binding;
using makemore::ort::Library;
using makemore::ort::Owned;

struct State {
  std::string input, output;
  std::vector<std::int64_t> shape;  // of a row
  int element_type;
  std::size_t row_bytes;
  bool in_place;  // input and output are the same memory
  bool forgets;   // is to be zeros where a string begins
};

class Loop {
 public:
  Loop(const char* library, std::string_view model, std::int64_t vocab_size)
      : library_(library),
        session_(library_.session(model, makemore::ort::Device::kCpu)),
        vocab_size_(static_cast<std::size_t>(vocab_size)) {}

  void add_state(State state) { states_.push_back(std::move(state)); }

  void generate(std::int64_t n, std::size_t rows, std::uint64_t seed, std::int64_t max_length,
                std::int32_t* ids) {
    start(rows);
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<float> coin(0, 1);
    std::vector<std::int64_t> strings(rows);
    std::int64_t begun = 0, finished = 0;
    for (std::size_t row = 0; row < rows; ++row) strings[row] = begun++;
    while (finished < n) {
      run();
      for (std::size_t row = 0; row < rows; ++row) {
        if (strings[row] >= n) continue;
        const std::int64_t token = pick(&logits_[row * vocab_size_], coin(random));
        ids[strings[row] * max_length + positions_[row]] = static_cast<std::int32_t>(token);
        tokens_[row] = token;
        if (token != 0 && ++positions_[row] < max_length) continue;
        ++finished;
        strings[row] = begun++;
        begin(row);
      }
    }
  }

  void start(std::size_t rows) {
    if (rows != tokens_.size()) bind(rows);
    for (std::size_t row = 0; row < rows; ++row) begin(row);
  }

  std::span<const float> step(const std::int64_t* tokens, const std::int64_t* positions) {
    std::copy_n(tokens, tokens_.size(), tokens_.begin());
    std::copy_n(positions, positions_.size(), positions_.begin());
    run();
    return logits_;
  }

 private:
  void bind(std::size_t rows) {
    bindings_.clear();
    values_.clear();
    tokens_.resize(rows);
    positions_.resize(rows);
    logits_.resize(rows * vocab_size_);
    for (auto& memory : memory_) {
      memory.resize(states_.size());
      for (std::size_t i = 0; i < states_.size(); ++i) {
        memory[i].assign(rows * states_[i].row_bytes, std::byte{0});
      }
    }
    for (const std::size_t turn : {0, 1}) bind_turn(turn, static_cast<std::int64_t>(rows));
  }

  void bind_turn(std::size_t turn, std::int64_t rows) {
    Binding& binding = bindings_.emplace_back(library_, session_.get());
    const std::int64_t vocab_size = static_cast<std::int64_t>(vocab_size_);
    binding.input("token", value(tokens_.data(), tokens_.size() * 8, {rows}, 7));
    binding.input("position", value(positions_.data(), positions_.size() * 8, {rows}, 7));
    binding.output("logits", value(logits_.data(), logits_.size() * 4, {rows, vocab_size}, 1));
    for (std::size_t i = 0; i < states_.size(); ++i) {
      const State& state = states_[i];
      std::vector<std::int64_t> shape{rows};
      shape.insert(shape.end(), state.shape.begin(), state.shape.end());
      auto& before = memory_[state.in_place ? 0 : turn][i];
      auto& after = memory_[state.in_place ? 0 : 1 - turn][i];
      binding.input(state.input.c_str(),
                    value(before.data(), before.size(), shape, state.element_type));
      binding.output(state.output.c_str(),
                     value(after.data(), after.size(), shape, state.element_type));
    }
  }

  const makemore::ort::OrtValue* value(void* data, std::size_t bytes,
                                       const std::vector<std::int64_t>& shape, int element_type) {
    values_.push_back(library_.tensor(std::span(static_cast<std::byte*>(data), bytes),
                                      std::span(shape), element_type));
    return values_.back().get();
  }

  /// A row begins a string: what it holds in memory that is read next is forgotten.
  void begin(std::size_t row) {
    tokens_[row] = positions_[row] = 0;
    for (std::size_t i = 0; i < states_.size(); ++i) {
      const State& state = states_[i];
      if (state.forgets) {
        std::memset(&memory_[turn_][i][row * state.row_bytes], 0, state.row_bytes);
      }
    }
  }

  void run() {
    bindings_[turn_].run();
    turn_ = 1 - turn_;
  }

  /// Inverse CDF of softmax(logits); overwrites them.
  std::int64_t pick(float* logits, float coin) {
    const float highest = *std::max_element(logits, logits + vocab_size_);
    for (std::size_t i = 0; i < vocab_size_; ++i) logits[i] = std::exp(logits[i] - highest);
    float sum = 0;
    for (std::size_t i = 0; i < vocab_size_; ++i) logits[i] = sum += logits[i];
    const float* end = logits + vocab_size_ - 1;
    return std::upper_bound(logits, const_cast<float*>(end), coin * sum) - logits;
  }

  Library library_;
  Owned<makemore::ort::OrtSession> session_;
  std::size_t vocab_size_;
  std::vector<State> states_;
  std::vector<std::int64_t> tokens_, positions_;
  std::vector<float> logits_;
  std::vector<std::vector<std::byte>> memory_[2];  // by turn, of each state
  std::vector<Owned<makemore::ort::OrtValue>> values_;
  std::deque<Binding> bindings_;  // by turn
  std::size_t turn_ = 0;
};

}  // namespace

extern "C" {

Loop* loop_open(const char* library, const char* model, std::size_t size, std::int64_t vocab_size) {
  return new Loop(library, {model, size}, vocab_size);
}

void loop_add_state(Loop* loop, const char* input, const char* output, const std::int64_t* shape,
                    std::size_t dimensions, int element_type, std::size_t row_bytes, bool in_place,
                    bool forgets) {
  loop->add_state(
      {input, output, {shape, shape + dimensions}, element_type, row_bytes, in_place, forgets});
}

void loop_generate(Loop* loop, std::int64_t n, std::size_t rows, std::uint64_t seed,
                   std::int64_t max_length, std::int32_t* ids) {
  loop->generate(n, rows, seed, max_length, ids);
}

void loop_start(Loop* loop, std::size_t rows) { loop->start(rows); }

void loop_step(Loop* loop, const std::int64_t* tokens, const std::int64_t* positions,
               float* logits) {
  std::ranges::copy(loop->step(tokens, positions), logits);
}

void loop_close(Loop* loop) { delete loop; }

}  // extern "C"
