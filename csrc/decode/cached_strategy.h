#pragma once

#include <span>

#include "decoded.h"
#include "request.h"
#include "stop_condition.h"
#include "worker.h"

namespace makemore {

/// Decodes a request over the prefix caches of the workers, each of which serves some of the rows.
Decoded decode_cached(std::span<Worker* const> workers, const DecodeRequest& request,
                      StopCondition& stop);

/// Whether the workers have caches.
bool can_use_cache(std::span<Worker* const> workers);

/// Whether the cache is faster than a tree: rows must often find their prefix in it, and a prefix
/// must be small beside all that it holds.
bool cache_pays(const Worker& worker, const DecodeRequest& request);

}  // namespace makemore
