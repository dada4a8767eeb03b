#pragma once

#include <cstddef>
#include <cstdint>

#include "linear_data.h"

// The data that the kernels read and write; see linear_data.h.
namespace makemore::transformer {

using kernels::Activation;
using kernels::Linear;

struct Norm {
  const float *weight, *bias;
};

struct Layer {
  Norm ln_1;
  Linear attention;  // query, key and value side by side
  Linear projection;
  Norm ln_2;
  Linear mlp_up, mlp_down;
};

/// A GPT-2: learned positions, pre-norm blocks, a head with or without bias (then it is zeros).
struct Model {
  std::size_t vocab_size, block_size, width, heads;
  std::size_t mlp_width;  // of the hidden layer of each block's perceptron
  Activation activation;
  float epsilon;  // of the norms
  const float *token_embedding, *position_embedding;
  const Layer* layers;
  std::size_t layer_count;
  bool halves;  // keys and values are kept in float16
  // Of every token at every position: what the first layer's `attention` gives, (V, T, 3 C), or
  // null; and its key and value as they would be kept, so many bytes apart.
  const float* first_qkv;
  const std::byte* first_kv;
  std::size_t first_kv_bytes;
  Norm ln;
  Linear head;
};

/// Bytes of a page for the place in the tables of the first layer.
inline constexpr std::size_t kPlaceBytes = 64;

/// One step of each row. A page is what a row keeps of a position; in it, from byte `place` on,
/// are the key and the value of each layer, (L, 2, C); or kPlaceBytes with the position's place in
/// the tables of the first layer, where there are such, and then those of the others. That of the
/// row's position is written, then all up to it are read. Rows may have read pages in common: Kwon
/// et al. (2023), Efficient Memory Management for Large Language Model Serving with PagedAttention,
/// section 4.
struct StepBatch {
  std::size_t rows;
  const std::int64_t *tokens, *positions;  // (B,), in range
  const std::byte* const* pages;           // (B, pages_per_row), of which T may be read
  std::size_t pages_per_row;
  std::byte* const* written;  // (B,) the page of each row's position again
  std::size_t place;
  float* logits;  // (B, V)
};

/// The step for one kind of processor.
struct Kernel {
  const char* name;
  kernels::Packing packing;
  std::size_t (*scratch_floats)(const Model&, std::size_t rows);
  void (*step)(const Model&, const StepBatch&, float* scratch);
  // Computes `first_qkv` of every token at every position; scratch is (V, T, 2 C).
  void (*first_qkv)(const Model&, float* scratch, float* out);
};

}  // namespace makemore::transformer
