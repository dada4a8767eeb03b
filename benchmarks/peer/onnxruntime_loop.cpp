// The steps of cpp_loop.h in ONNX Runtime: two bindings that take turns, so that no state is
// copied. Opened by onnxruntime_loop.py; of makemore it has the declarations of ONNX Runtime's C
// interface alone.

#include <cstring>
#include <deque>
#include <string>

#include "cpp_loop.h"
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

class OrtLoop : public Loop {
 public:
  OrtLoop(const char* library, std::string_view model, std::size_t vocab_size)
      : Loop(vocab_size),
        library_(library),
        session_(library_.session(model, makemore::ort::Device::kCpu)) {}

  void add_state(State state) { states_.push_back(std::move(state)); }

 private:
  void open() override {
    const std::size_t rows = tokens_.size();
    bindings_.clear();
    values_.clear();
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

  /// Zeros what the row holds in memory that is read next.
  void forget(std::size_t row) override {
    for (std::size_t i = 0; i < states_.size(); ++i) {
      const State& state = states_[i];
      if (state.forgets) {
        std::memset(&memory_[turn_][i][row * state.row_bytes], 0, state.row_bytes);
      }
    }
  }

  float* run() override {
    bindings_[turn_].run();
    turn_ = 1 - turn_;
    return logits_.data();
  }

  Library library_;
  Owned<makemore::ort::OrtSession> session_;
  std::vector<State> states_;
  std::vector<float> logits_;
  std::vector<std::vector<std::byte>> memory_[2];  // by turn, of each state
  std::vector<Owned<makemore::ort::OrtValue>> values_;
  std::deque<Binding> bindings_;  // by turn
  std::size_t turn_ = 0;
};

}  // namespace

extern "C" {

Loop* loop_open(const char* library, const char* model, std::size_t size, std::size_t vocab_size) {
  return new OrtLoop(library, {model, size}, vocab_size);
}

void loop_add_state(Loop* loop, const char* input, const char* output, const std::int64_t* shape,
                    std::size_t dimensions, int element_type, std::size_t row_bytes, bool in_place,
                    bool forgets) {
  static_cast<OrtLoop*>(loop)->add_state(
      {input, output, {shape, shape + dimensions}, element_type, row_bytes, in_place, forgets});
}

}  // extern "C"
