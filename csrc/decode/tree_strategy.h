#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "call_cancellation.h"
#include "decoded.h"
#include "request.h"
#include "worker.h"

namespace makemore {

/// Decodes a request as prefix trees: rows that share a prefix are computed once.
Decoded decode_tree(std::span<Worker* const> workers, const DecodeRequest& request,
                    CallCancellation& cancellation);

/// Appends the strings of `count` rows from row `first` on.
void decode_tree_range(std::span<Worker* const> workers, const DecodeRequest& request,
                       std::int64_t first, std::int64_t count, CallCancellation& cancellation,
                       Decoded& out);

}  // namespace makemore
