// Scaled dot-product attention over pages, in vector code.
//
// For files that are compiled once for each kind of processor: all names are local to each.
#pragma once

#include "transformer_model.h"
#include "vectors.h"

namespace makemore::transformer {
namespace {

constexpr std::size_t kPrefetch = 12;  // pages that are fetched ahead of the one in use
constexpr float kLog2E = 1.44269504f;

/// `Vectors` vectors of the attention's output for a row, from `column` on: the mean of the values
/// at `place` in each of `used` pages, weighted by `weights` (heads, used).
template <std::size_t Lanes, std::size_t Vectors>
INLINE void weighted_mean(const Model& model, const float* weights, const float* const* pages,
                          std::size_t place, std::size_t used, std::size_t column, float* out) {
  const std::size_t size = model.width / model.heads;
  const float* weight[Vectors];
  Floats<Lanes> sums[Vectors]{};
  float totals[Vectors]{};
  for (std::size_t v = 0; v < Vectors; ++v)
    weight[v] = weights + (column + v * Lanes) / size * used;
  for (std::size_t slot = 0; slot < used; ++slot) {
    for (std::size_t v = 0; v < Vectors; ++v) {
      sums[v] += weight[v][slot] * load<Lanes>(pages[slot] + place + column + v * Lanes);
      totals[v] += weight[v][slot];
    }
  }
  for (std::size_t v = 0; v < Vectors; ++v)
    store(out + column + v * Lanes, sums[v] * (1.0f / totals[v]));
}

/// Scaled dot-product attention of one row: its query (C) against the key at `place` in each of its
/// `used` pages; the value follows the key. A head is a whole number of vectors. `scores` holds
/// (heads, used) floats and a vector.
template <std::size_t Lanes>
void attend(const Model& model, const float* query, const float* const* pages, std::size_t place,
            std::size_t used, float* scores, float* out) {
  const std::size_t width = model.width, size = width / model.heads;
  const float scale = kLog2E / __builtin_sqrtf(static_cast<float>(size));
  for (std::size_t slot = 0; slot < used; ++slot) {
    const float* key = pages[slot] + place;
    float* score = scores + slot;
    if (slot + kPrefetch < used) {
      const float* ahead = pages[slot + kPrefetch] + place;
      for (std::size_t i = 0; i < 2 * width; i += 16) __builtin_prefetch(ahead + i, 0, 2);
    }
    for (std::size_t head = 0; head < width; head += size, score += used) {
      Floats<Lanes> products{};
      for (std::size_t i = head; i < head + size; i += Lanes) {
        products += load<Lanes>(query + i) * load<Lanes>(key + i);
      }
      *score = sum<Lanes>(products) * scale;
    }
  }
  for (float* score = scores; score < scores + model.heads * used; score += used) {
    float highest = score[0];
    for (std::size_t slot = 1; slot < used; ++slot) {
      highest = highest > score[slot] ? highest : score[slot];
    }
    for (std::size_t slot = 0; slot < used; ++slot) score[slot] -= highest;
  }
  for (std::size_t i = 0; i < model.heads * used; i += kLanes) {
    store(scores + i, exp2(load(scores + i)));
  }
  std::size_t column = 0;
  for (; column + 4 * Lanes <= width; column += 4 * Lanes) {
    weighted_mean<Lanes, 4>(model, scores, pages, place + width, used, column, out);
  }
  for (; column < width; column += Lanes) {
    weighted_mean<Lanes, 1>(model, scores, pages, place + width, used, column, out);
  }
}

using Attend = decltype(&attend<1>);

/// `attend` with the widest vectors that divide a head.
template <std::size_t Lanes = kLanes>
Attend attend_for(std::size_t size) {
  if constexpr (Lanes == 1) {
    return attend<1>;
  } else {
    return size % Lanes == 0 ? attend<Lanes> : attend_for<Lanes / 2>(size);
  }
}

/// Writes the keys and values of qkv (rows, 3 C) of a layer to `place` in each row's page of its
/// position, and reads what is there in its pages up to that one, from row `first` of the batch on;
/// out is (rows, C).
void attention(const Model& model, const StepBatch& batch, std::size_t first, std::size_t rows,
               const float* qkv, std::size_t place, float* scores, float* out) {
  const std::size_t width = model.width;
  const Attend attend = attend_for(width / model.heads);
  for (std::size_t row = first; row < first + rows; ++row) {
    const auto used = static_cast<std::size_t>(batch.positions[row]) + 1;
    float* written = reinterpret_cast<float*>(batch.written[row]) + place;
    __builtin_memcpy(written, qkv + width, 2 * width * sizeof(float));
    attend(model, qkv, batch.pages + row * batch.pages_per_row, place, used, scores, out);
    qkv += 3 * width;
    out += width;
  }
}

}  // namespace
}  // namespace makemore::transformer
