// Scaled dot-product attention over pages, in vector code.
//
// For files that are compiled once for each kind of processor: all names are local to each.
#pragma once

#include "functions.h"
#include "transformer_model.h"
#include "vectors.h"

namespace makemore::transformer {
namespace {

constexpr std::size_t kPrefetch = 12;  // pages that are fetched ahead of the one in use, or the row

/// Numbers of a page from byte `place` on.
template <class Number>
INLINE const Number* numbers_at(const std::byte* page, std::size_t place) {
  return reinterpret_cast<const Number*>(page + place);
}

/// Asks for the key and the value at `place` in a page, which take `bytes` bytes.
INLINE void prefetch(const std::byte* page, std::size_t place, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += 64) __builtin_prefetch(page + place + i, 0, 2);
}

/// A sum of the lanes of each of four vectors.
INLINE Floats<4> sums_of_four(Floats<4> a, Floats<4> b, Floats<4> c, Floats<4> d) {
  const Floats<4> ab = __builtin_shufflevector(a, b, 0, 4, 1, 5) +  // a0 + a2, b0 + b2, ...
                       __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Floats<4> cd =
      __builtin_shufflevector(c, d, 0, 4, 1, 5) + __builtin_shufflevector(c, d, 2, 6, 3, 7);
  return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

/// A sum of the lanes of each of `Heads` vectors.
template <std::size_t Heads, std::size_t Lanes>
INLINE Floats<Heads> sums(const Floats<Lanes> (&vectors)[Heads]) {
  if constexpr (Heads == 1) {
    return Floats<1>{sum<Lanes>(vectors[0])};
  } else if constexpr (Lanes < 4) {
    return Floats<4>{sum<Lanes>(vectors[0]), sum<Lanes>(vectors[1]), sum<Lanes>(vectors[2]),
                     sum<Lanes>(vectors[3])};
  } else if constexpr (Lanes == 16) {
    // As above in each quarter, then all quarters.
#define QUARTERS(x, y, i, j, k, l)                                                           \
  __builtin_shufflevector(x, y, i, j, k, l, i + 4, j + 4, k + 4, l + 4, i + 8, j + 8, k + 8, \
                          l + 8, i + 12, j + 12, k + 12, l + 12)
    const auto ab = QUARTERS(vectors[0], vectors[1], 0, 16, 1, 17) +
                    QUARTERS(vectors[0], vectors[1], 2, 18, 3, 19);
    const auto cd = QUARTERS(vectors[2], vectors[3], 0, 16, 1, 17) +
                    QUARTERS(vectors[2], vectors[3], 2, 18, 3, 19);
    return folded<float, 4, 16>(QUARTERS(ab, cd, 0, 1, 16, 17) + QUARTERS(ab, cd, 2, 3, 18, 19),
                                Add());
#undef QUARTERS
  } else {
    return sums_of_four(
        folded<float, 4, Lanes>(vectors[0], Add()), folded<float, 4, Lanes>(vectors[1], Add()),
        folded<float, 4, Lanes>(vectors[2], Add()), folded<float, 4, Lanes>(vectors[3], Add()));
  }
}

/// Attention of `Heads` heads side by side: the query of the first is at `query`, its keys are at
/// `place` in each of `used` pages, so are its values `apart` bytes later. `scores` holds (used,
/// Heads) floats and a vector.
template <class Number, std::size_t Lanes, std::size_t Heads>
INLINE void attend_heads(const float* query, std::size_t size, const std::byte* const* pages,
                         std::size_t place, std::size_t apart, std::size_t used, float scale,
                         float* scores, float* out) {
  Floats<Heads> highest = Floats<Heads>{} - __builtin_inff();
  for (std::size_t slot = 0; slot < used; ++slot) {
    const Number* key = numbers_at<Number>(pages[slot], place);
    Floats<Lanes> products[Heads]{};
    for (std::size_t i = 0; i < size; i += Lanes) {
      for (std::size_t head = 0; head < Heads; ++head) {
        products[head] += load<Lanes>(query + head * size + i) * load<Lanes>(key + head * size + i);
      }
    }
    const Floats<Heads> score = sums<Heads, Lanes>(products) * scale;
    store(scores + slot * Heads, score);
    highest = Larger()(score, highest);
  }
  Vector most;
  for (std::size_t i = 0; i < kLanes; i += Heads) {
    __builtin_memcpy(reinterpret_cast<float*>(&most) + i, &highest, sizeof(highest));
  }
  for (std::size_t i = 0; i < used * Heads; i += kLanes) {
    store(scores + i, exp2(load(scores + i) - most));
  }
  for (std::size_t i = 0; i < size; i += Lanes) {
    Floats<Lanes> means[Heads]{};
    Floats<Heads> totals{};
    for (std::size_t slot = 0; slot < used; ++slot) {
      const Number* value = numbers_at<Number>(pages[slot], place + apart) + i;
      const float* weights = scores + slot * Heads;
      totals += load<Heads>(weights);
      for (std::size_t head = 0; head < Heads; ++head) {
        means[head] += weights[head] * load<Lanes>(value + head * size);
      }
    }
    const Floats<Heads> shares = 1.0f / totals;
    for (std::size_t head = 0; head < Heads; ++head) {
      store(out + head * size + i, means[head] * shares[head]);
    }
  }
}

/// Scaled dot-product attention of one row: its query (C) against the key at `place` in each of its
/// `used` pages, times `scale`; the value follows the key. A head is a whole number of vectors.
/// `scores` holds (used, 4) floats and a vector.
template <class Number, std::size_t Lanes>
void attend(const Model& model, const float* query, const std::byte* const* pages,
            std::size_t place, std::size_t used, float scale, float* scores, float* out) {
  const std::size_t width = model.width, size = width / model.heads;
  const std::size_t apart = width * sizeof(Number);
  for (std::size_t slot = kPrefetch; slot < used; ++slot) prefetch(pages[slot], place, 2 * apart);
  std::size_t at = 0;
  for (; at + 4 * size <= width; at += 4 * size) {
    attend_heads<Number, Lanes, 4>(query + at, size, pages, place + at * sizeof(Number), apart,
                                   used, scale, scores, out + at);
  }
  for (; at < width; at += size) {
    attend_heads<Number, Lanes, 1>(query + at, size, pages, place + at * sizeof(Number), apart,
                                   used, scale, scores, out + at);
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
