#pragma once

#include <cstdint>

#include "cancellation.h"
#include "prefix_cache.h"
#include "request.h"

namespace makemore {

/// Appends `count` strings of a request, from row `first` on, made over what the cache knows: each
/// row goes from node to node on its own, and waits where the step has yet to be run. Gives up
/// before that, and returns false, where the cache grows past twice its limit.
bool decode_cached(PrefixCache& cache, const DecodeRequest& request, std::int64_t first,
                   std::int64_t count, CancellationToken& cancellation, Decoded& out);

}  // namespace makemore
