// Perceptrons, convolutions and bags of words in vector code: see linear.h for what holds for it.
#pragma once

#include "family_data.h"
#include "functions.h"
#include "linear.h"

namespace makemore::kernels {
namespace {

/// The sum of what the hidden layer reads of the tokens of a window, through tanh: out is (H).
void hidden_of_window(const Perceptron& model, const std::int64_t* window, std::int64_t last,
                      float* out) {
  for (std::size_t column = 0; column < model.hidden; column += kLanes) {
    const std::size_t left = model.hidden - column;
    Vector total{};
    for (std::size_t place = 0; place < model.context; ++place) {
      const auto token = static_cast<std::size_t>(place + 1 < model.context ? window[place] : last);
      const float* read = model.tables + (place * model.vocab_size + token) * model.hidden + column;
      total += load_some(read, left);
    }
    store_some(out + column, tanh(total), left);
  }
}

/// The embeddings of the tokens of a window side by side: out is (context, C).
void embed_window(const Perceptron& model, const std::int64_t* window, std::int64_t last,
                  float* out) {
  for (std::size_t place = 0; place < model.context; ++place, out += model.width) {
    const auto token = static_cast<std::size_t>(place + 1 < model.context ? window[place] : last);
    __builtin_memcpy(out, model.embedding + token * model.width, model.width * sizeof(float));
  }
}

/// scratch is (count, H + inputs of the hidden layer where there are no tables).
void perceptron_chunk(const Perceptron& model, const RowBatch& batch, std::size_t first,
                      std::size_t count, float* scratch) {
  float *hidden = scratch, *x = hidden + count * model.hidden;
  const std::size_t inputs = model.context * model.width, kept = model.context - 1;
  for (std::size_t row = 0; row < count; ++row) {
    const auto* window =
        reinterpret_cast<const std::int64_t*>(batch.before[first + row] + batch.offset);
    auto* after = reinterpret_cast<std::int64_t*>(batch.after[first + row] + batch.offset);
    const std::int64_t last = batch.tokens[first + row];
    if (model.tables != nullptr) {
      hidden_of_window(model, window, last, hidden + row * model.hidden);
    } else {
      embed_window(model, window, last, x + row * inputs);
    }
    __builtin_memcpy(after, window + 1, (kept - 1) * sizeof(std::int64_t));
    after[kept - 1] = last;
  }
  float* logits = batch.logits + first * model.vocab_size;
  if (model.tables == nullptr) {
    linear(model.from_window, x, count, hidden, Epilogue::kActivate, Activation::kTanh);
  }
  linear(model.head, hidden, count, logits, Epilogue::kStore);
  if (model.direct.outputs > 0) linear(model.direct, x, count, logits, Epilogue::kAdd);
}

/// tanh of the first half of x (rows, 2 C) times the sigmoid of the second: out has rows of
/// `stride` floats.
void gated(const float* x, std::size_t rows, std::size_t width, float* out, std::size_t stride) {
  for (; rows > 0; --rows, x += 2 * width, out += stride) {
    for (std::size_t i = 0; i < width; i += kLanes) {
      const Vector filtered = tanh(load_some(x + i, width - i));
      store_some(out + i, filtered * sigmoid(load_some(x + width + i, width - i)), width - i);
    }
  }
}

/// The skip and the hidden layer, and the head. outputs is (count, L C), scratch (count, 2 S).
void finish_convolutions(const Convolutions& model, const float* outputs, std::size_t count,
                         float* scratch, float* logits) {
  float *skipped = scratch, *hidden = scratch + count * model.skip.outputs;
  linear(model.skip, outputs, count, skipped, Epilogue::kActivate, Activation::kRelu);
  linear(model.hidden, skipped, count, hidden, Epilogue::kActivate, Activation::kRelu);
  linear(model.head, hidden, count, logits, Epilogue::kStore);
}

/// scratch is (count, (L + 6) C + 2 S).
void convolutions_chunk(const Convolutions& model, const RowBatch& batch, std::size_t first,
                        std::size_t count, float* scratch) {
  const std::size_t width = model.width, wide = model.layer_count * width;
  const std::size_t bytes = width * sizeof(float);
  float *x = scratch, *both = x + count * width, *halves = both + count * 2 * width;
  float *output = halves + count * 2 * width, *outputs = output + count * width;
  for (std::size_t row = 0; row < count; ++row) {
    const auto token = static_cast<std::size_t>(batch.tokens[first + row]);
    __builtin_memcpy(x + row * width, model.embedding + token * width, bytes);
  }
  std::size_t offset = batch.offset;
  for (std::size_t i = 0; i < model.layer_count; ++i) {
    const Convolution& layer = model.layers[i];
    for (std::size_t row = 0; row < count; ++row) {
      const std::byte* ring = batch.before[first + row] + offset;
      std::byte* after = batch.after[first + row] + offset;
      const auto position = static_cast<std::size_t>(batch.positions[first + row]);
      const std::size_t slot = position % layer.dilation * bytes;
      __builtin_memcpy(both + row * 2 * width, ring + slot, bytes);
      __builtin_memcpy(both + row * 2 * width + width, x + row * width, bytes);
      __builtin_memcpy(after, ring, layer.dilation * bytes);
      __builtin_memcpy(after + slot, x + row * width, bytes);
    }
    offset += layer.dilation * bytes;
    linear(layer.filter_and_gate, both, count, halves, Epilogue::kStore);
    gated(halves, count, width, output, width);
    for (std::size_t row = 0; row < count; ++row) {
      __builtin_memcpy(outputs + row * wide + i * width, output + row * width, bytes);
    }
    if (layer.residual.outputs == 0) continue;
    linear(layer.residual, output, count, x, Epilogue::kAdd);
  }
  finish_convolutions(model, outputs, count, outputs + count * wide,
                      batch.logits + first * model.vocab_size);
}

/// scratch is (count, C + hidden).
void bag_of_words_chunk(const BagOfWords& model, const RowBatch& batch, std::size_t first,
                        std::size_t count, float* scratch) {
  const std::size_t width = model.width;
  float *x = scratch, *hidden = x + count * width;
  for (std::size_t row = 0; row < count; ++row) {
    const auto token = static_cast<std::size_t>(batch.tokens[first + row]);
    const auto position = static_cast<std::size_t>(batch.positions[first + row]);
    const float* of_token = model.token_embedding + token * width;
    const float* of_position = model.position_embedding + position * width;
    const auto* before = reinterpret_cast<const float*>(batch.before[first + row] + batch.offset);
    auto* after = reinterpret_cast<float*>(batch.after[first + row] + batch.offset);
    for (std::size_t i = 0; i < width; ++i) {
      const float read = of_token[i] + of_position[i];
      after[i] = before[i] + read;
      x[row * width + i] = read + after[i] / static_cast<float>(position + 1);
    }
  }
  linear(model.mlp_up, x, count, hidden, Epilogue::kActivate, Activation::kTanh);
  linear(model.mlp_down, hidden, count, x, Epilogue::kAdd);
  linear(model.head, x, count, batch.logits + first * model.vocab_size, Epilogue::kStore);
}

}  // namespace
}  // namespace makemore::kernels
