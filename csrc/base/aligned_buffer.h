#pragma once

#include <cstddef>

#include "memory_block.h"

namespace makemore {

/// Memory aligned to the widest vector.
struct alignas(64) AlignedBlock {
  float values[16];
};

using AlignedBuffer = LargeVector<AlignedBlock>;

/// Zeroed memory of at least `bytes`.
inline AlignedBuffer aligned_buffer(std::size_t bytes) {
  return AlignedBuffer((bytes + sizeof(AlignedBlock) - 1) / sizeof(AlignedBlock));
}

}  // namespace makemore
