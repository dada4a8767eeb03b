#include "decode.h"

#include <algorithm>

#include "cached_strategy.h"
#include "errors.h"
#include "tree_strategy.h"

namespace makemore {
namespace {

bool use_cache(std::span<Worker* const> workers, const DecodeRequest& request) {
  switch (request.strategy) {
    case Strategy::kTree:
      return false;
    case Strategy::kCached:
      if (can_use_cache(workers)) return true;
      throw OptionError("strategy is 'cached'; these steps cannot save the states of their rows");
    case Strategy::kAuto:
      break;
  }
  return can_use_cache(workers) && cache_pays(*workers.front(), request);
}

}  // namespace

Decoded decode(std::span<Worker* const> workers, const DecodeRequest& request,
               const Interrupts& interrupts) {
  if (workers.empty()) throw OptionError("decode needs at least one step");
  validate(request, workers.front()->step.vocab_size());
  const bool cached = use_cache(workers, request);
  if (request.rows == 0) return {};
  StopCondition stop(interrupts);
  return (cached ? decode_cached : decode_tree)(workers, request, stop);
}

}  // namespace makemore
