#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "call_cancellation.h"
#include "output.h"
#include "request.h"
#include "worker.h"

namespace makemore {

/// Decodes a request as prefix trees: rows that share a prefix are computed once.
void decode_tree(std::span<Worker* const> workers, const DecodeRequest& request,
                 CallCancellation& cancellation, Output& output);

/// The sequences of one row, decoded alone.
std::vector<FinishedSequences> decode_tree_row(Worker& worker, const DecodeRequest& request,
                                               std::int64_t row, CallCancellation& cancellation);

}  // namespace makemore
