#pragma once

#include <cstdint>

#include "decode.h"
#include "memo.h"
#include "watch.h"

namespace makemore {

/// Appends `count` strings of a request, from row `first` on, made over what the memo knows: each
/// row goes from node to node on its own, and waits where the step has yet to be run. Gives up
/// before that, and returns false, where the memo grows past twice its limit.
bool walk(Memo& memo, const DecodeRequest& request, std::int64_t first, std::int64_t count,
          Watch& watch, Decoded& out);

}  // namespace makemore
