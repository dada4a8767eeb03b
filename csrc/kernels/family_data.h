#pragma once

#include <cstddef>
#include <cstdint>

#include "linear_data.h"

// The models of the family as their kernels read them; see linear_data.h.
namespace makemore::kernels {

/// One step of each row. The state of a row is bytes in the order of the model's state tensors,
/// which begin at `offset` of what `before` and `after` point to.
struct RowBatch {
  std::size_t rows;
  const std::int64_t *tokens, *positions;  // (B,), in range
  const std::byte* const* before;          // (B,)
  std::byte* const* after;                 // (B,) other memory than `before`
  std::size_t offset;
  float* logits;  // (B, V)
  // (B, T): what each step of a row wrote, this one's at its position, for models that keep pages;
  // else null. T is `block_size`.
  const std::byte* const* pages = nullptr;
  std::size_t block_size = 0;
};

enum class Cell { kRnn, kLstm, kGru };

/// Units of a layer, in blocks. The sums of a block are four vectors: of an LSTM the gates input,
/// forget, candidate and output of one vector of units; of a GRU reset, update, and what a new
/// value gets from the input and from the hidden units; of a plain cell four vectors of units.
/// Weights have the vectors that they add to, which are three for each half of a GRU.
struct RecurrentLayer {
  const float* start;   // (V or 1, blocks, 4, lanes): what the sums of a token begin with
  Numbers from_input;   // (blocks, inputs, vectors, lanes)
  Numbers from_hidden;  // (blocks, H, vectors, lanes)
  std::size_t inputs;   // 0 where `start` has all that a token adds
};

/// An embedding, unless the first layer starts from a table of tokens, layers of cells, a head.
struct Recurrent {
  Cell cell;
  std::size_t vocab_size, hidden;
  const float* embedding;  // (V, inputs of the first layer), or null
  const RecurrentLayer* layers;
  std::size_t layer_count;
  Linear head;
};

/// A perceptron over a window of tokens. The state is the tokens before the last, int64.
struct Perceptron {
  std::size_t vocab_size, context, width, hidden;
  const float* embedding;  // (V, C), or null
  const float* tables;     // (context, V, H) what the hidden layer reads of each token, or null
  Linear from_window;      // where there are no tables
  Linear head;
  Linear direct;  // from the embeddings to the logits; no outputs where there is none
};

/// A layer of a convolutional network: its state is the last `dilation` inputs, a ring.
struct Convolution {
  std::size_t dilation;
  Linear filter_and_gate;
  Linear residual;  // no outputs in the last layer
};

struct Convolutions {
  std::size_t vocab_size, width;
  const float* embedding;  // (V, C)
  const Convolution* layers;
  std::size_t layer_count;
  Linear skip, hidden, head;
};

/// The mean of what was read, and a perceptron. The state is the sum, (C).
struct BagOfWords {
  std::size_t vocab_size, width;
  const float *token_embedding, *position_embedding;
  Linear mlp_up, mlp_down, head;
};

/// A weighted mean of the probabilities of K models.
struct Mixture {
  std::size_t count, vocab_size;
  const float* weights;  // (K,)
};

/// The steps for one kind of processor. `scratch` holds as many floats as the model's own code
/// asks for.
struct Kernel {
  const char* name;
  Packing packing;
  void (*recurrent)(const Recurrent&, const RowBatch&, float* scratch);
  void (*perceptron)(const Perceptron&, const RowBatch&, float* scratch);
  void (*convolutions)(const Convolutions&, const RowBatch&, float* scratch);
  void (*bag_of_words)(const BagOfWords&, const RowBatch&, float* scratch);
  // logits (K, rows, V) of the models to out (rows, V); scratch is (V) and a vector.
  void (*mixture)(const Mixture&, const float* logits, std::size_t rows, float* scratch,
                  float* out);
};

}  // namespace makemore::kernels
