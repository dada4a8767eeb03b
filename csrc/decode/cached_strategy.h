#pragma once

#include <span>

#include "call_cancellation.h"
#include "output.h"
#include "request.h"
#include "worker.h"

namespace makemore {

/// Decodes a request over the prefix caches of the workers, each of which has some of the rows.
void decode_cached(std::span<Worker* const> workers, const DecodeRequest& request,
                   CallCancellation& cancellation, Output& output);

/// Whether caches are faster than a tree: rows must often find their prefix in a cache, and a
/// prefix must be small beside all that a cache may hold. All workers must have snapshot steps.
bool cache_pays(std::span<Worker* const> workers, const DecodeRequest& request);

/// Gives each worker a cache; false where there is no memory for all of them.
bool open_caches(std::span<Worker* const> workers);

}  // namespace makemore
