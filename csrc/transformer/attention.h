// Scaled dot-product attention over pages, in vector code.
//
// For files that are compiled once for each kind of processor: all names are local to each.
#pragma once

#include "transformer_model.h"
#include "vectors.h"

namespace makemore::transformer {
namespace {

constexpr std::size_t kPrefetch = 12;  // pages that are fetched ahead of the one in use, or the row
constexpr float kLog2E = 1.44269504f;

/// Numbers of a page from byte `place` on.
template <class Number>
INLINE const Number* numbers_at(const std::byte* page, std::size_t place) {
  return reinterpret_cast<const Number*>(page + place);
}

/// Asks for the key and the value at `place` in a page, which take `bytes` bytes.
INLINE void prefetch(const std::byte* page, std::size_t place, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += 64) __builtin_prefetch(page + place + i, 0, 2);
}

/// `Vectors` vectors of the attention's output for a row, from `column` on: the mean of the values
/// at `place` in each of `used` pages, weighted by `weights` (heads, used).
template <class Number, std::size_t Lanes, std::size_t Vectors>
INLINE void weighted_mean(const Model& model, const float* weights, const std::byte* const* pages,
                          std::size_t place, std::size_t used, std::size_t column, float* out) {
  const std::size_t size = model.width / model.heads;
  const float* weight[Vectors];
  Floats<Lanes> sums[Vectors]{};
  float totals[Vectors]{};
  for (std::size_t v = 0; v < Vectors; ++v)
    weight[v] = weights + (column + v * Lanes) / size * used;
  for (std::size_t slot = 0; slot < used; ++slot) {
    const Number* value = numbers_at<Number>(pages[slot], place) + column;
    for (std::size_t v = 0; v < Vectors; ++v) {
      sums[v] += weight[v][slot] * load<Lanes>(value + v * Lanes);
      totals[v] += weight[v][slot];
    }
  }
  for (std::size_t v = 0; v < Vectors; ++v)
    store(out + column + v * Lanes, sums[v] * (1.0f / totals[v]));
}

/// Scaled dot-product attention of one row: its query (C) against the key at `place` in each of its
/// `used` pages, times `scale`; the value follows the key. A head is a whole number of vectors.
/// `scores` holds (heads, used) floats and a vector.
template <class Number, std::size_t Lanes>
void attend(const Model& model, const float* query, const std::byte* const* pages,
            std::size_t place, std::size_t used, float scale, float* scores, float* out) {
  const std::size_t width = model.width, size = width / model.heads;
  for (std::size_t slot = 0; slot < used; ++slot) {
    const Number* key = numbers_at<Number>(pages[slot], place);
    float* score = scores + slot;
    if (slot + kPrefetch < used) {
      prefetch(pages[slot + kPrefetch], place, 2 * width * sizeof(Number));
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
  const std::size_t values = place + width * sizeof(Number);
  std::size_t column = 0;
  for (; column + 4 * Lanes <= width; column += 4 * Lanes) {
    weighted_mean<Number, Lanes, 4>(model, scores, pages, values, used, column, out);
  }
  for (; column < width; column += Lanes) {
    weighted_mean<Number, Lanes, 1>(model, scores, pages, values, used, column, out);
  }
}

using Attend = decltype(&attend<float, 1>);

/// `attend` with the widest vectors that divide a head.
template <class Number, std::size_t Lanes = kLanes>
Attend attend_for(std::size_t size) {
  if constexpr (Lanes == 1) {
    return attend<Number, 1>;
  } else {
    return size % Lanes == 0 ? attend<Number, Lanes> : attend_for<Number, Lanes / 2>(size);
  }
}

INLINE void keep(const float* numbers, std::size_t count, float* to) {
  __builtin_memcpy(to, numbers, count * sizeof(float));
}

INLINE void keep(const float* numbers, std::size_t count, std::uint16_t* to) {
  for (std::size_t i = 0; i < count; ++i) to[i] = narrowed(numbers[i]);
}

/// 2^x of scores takes the place of e^x.
INLINE float score_scale(const Model& model) {
  return kLog2E / __builtin_sqrtf(static_cast<float>(model.width / model.heads));
}

/// Asks for `bytes` bytes at `place` in the pages that a row reads.
INLINE void prefetch_row(const StepBatch& batch, std::size_t row, std::size_t place,
                         std::size_t bytes) {
  const auto before = static_cast<std::size_t>(batch.positions[row]);
  const std::byte* const* pages = batch.pages + row * batch.pages_per_row;
  for (std::size_t slot = 0; slot < before && slot < kPrefetch; ++slot) {
    prefetch(pages[slot], place, bytes);
  }
}

/// Writes the keys and values of qkv (rows, 3 C) of a layer to `place` in each row's page of its
/// position, and reads what is there in its pages up to that one, from row `first` of the batch on;
/// out is (rows, C).
template <class Number>
void attention_at(const Model& model, const StepBatch& batch, std::size_t first, std::size_t rows,
                  const float* qkv, std::size_t place, float* scores, float* out) {
  const std::size_t width = model.width;
  const Attend attend = attend_for<Number>(width / model.heads);
  const float scale = score_scale(model);
  const std::size_t end = first + rows;
  for (std::size_t row = first; row < end; ++row) {
    const auto used = static_cast<std::size_t>(batch.positions[row]) + 1;
    if (row + 1 < end) prefetch_row(batch, row + 1, place, 2 * width * sizeof(Number));
    keep(qkv + width, 2 * width, reinterpret_cast<Number*>(batch.written[row] + place));
    attend(model, qkv, batch.pages + row * batch.pages_per_row, place, used, scale, scores, out);
    qkv += 3 * width;
    out += width;
  }
}

/// The same of layer `layer`, where it lies in a page.
void attention(const Model& model, const StepBatch& batch, std::size_t first, std::size_t rows,
               const float* qkv, std::size_t layer, float* scores, float* out) {
  const bool has_table = model.first_qkv != nullptr;
  const std::size_t number = (layer - has_table) * 2 * model.width;
  const std::size_t begin = batch.place + (has_table ? kPlaceBytes : 0);
  if (model.halves) {
    const std::size_t place = begin + number * sizeof(std::uint16_t);
    attention_at<std::uint16_t>(model, batch, first, rows, qkv, place, scores, out);
  } else {
    const std::size_t place = begin + number * sizeof(float);
    attention_at<float>(model, batch, first, rows, qkv, place, scores, out);
  }
}

/// The same of the first layer, whose queries, keys and values are in tables: a page has only their
/// place. `entries` holds a pointer for each position.
template <class Number>
void attention_in_table(const Model& model, const StepBatch& batch, std::size_t first,
                        std::size_t rows, const std::byte** entries, float* scores, float* out) {
  const Attend attend = attend_for<Number>(model.width / model.heads);
  const float scale = score_scale(model);
  const std::size_t end = first + rows;
  for (std::size_t row = first; row < end; ++row, out += model.width) {
    const auto token = static_cast<std::uint32_t>(batch.tokens[row]);
    const auto position = static_cast<std::uint32_t>(batch.positions[row]);
    if (row + 1 < end) prefetch_row(batch, row + 1, batch.place, sizeof(token));
    const auto entry = static_cast<std::uint32_t>(token * model.block_size + position);
    __builtin_memcpy(batch.written[row] + batch.place, &entry, sizeof(entry));
    const std::byte* const* pages = batch.pages + row * batch.pages_per_row;
    for (std::size_t slot = 0; slot <= position; ++slot) {
      std::uint32_t of_slot;
      __builtin_memcpy(&of_slot, pages[slot] + batch.place, sizeof(of_slot));
      entries[slot] = model.first_kv + of_slot * model.first_kv_bytes;
    }
    attend(model, model.first_qkv + std::size_t{entry} * 3 * model.width, entries, 0, position + 1,
           scale, scores, out);
  }
}

void first_attention(const Model& model, const StepBatch& batch, std::size_t first,
                     std::size_t rows, const std::byte** entries, float* scores, float* out) {
  if (model.halves) {
    attention_in_table<std::uint16_t>(model, batch, first, rows, entries, scores, out);
  } else {
    attention_in_table<float>(model, batch, first, rows, entries, scores, out);
  }
}

}  // namespace
}  // namespace makemore::transformer
