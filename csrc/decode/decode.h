#pragma once

#include <functional>
#include <span>

#include "prefix_cache.h"
#include "request.h"
#include "step.h"

namespace makemore {

/// A step, and what it has tokens so far. One decode at a time has it.
class Worker {
 public:
  explicit Worker(Step& step) : step(step), cache(step) {}

  Step& step;
  PrefixCache cache;
};

/// Decodes strings until the stop token or `max_length`. Token 0 starts and stops.
///
/// Rows that share a prefix share one row of the step until they part: see Batch. Some thousand
/// rows, and any of a model without state, go over the cache instead. A step that cannot save is
/// given rows that begin alike. A string depends on nothing but (model, options, seed, row). Work
/// is parallel_for over the workers, one thread each, the calling thread being the first; `poll` is
/// called on the calling thread at least every 50 ms, or once a step where that is longer, and may
/// throw to interrupt: the workers are then not to be used again.
Decoded decode(std::span<Worker* const> workers, const DecodeRequest& request,
               const std::function<void()>& poll);

}  // namespace makemore
