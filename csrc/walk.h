#pragma once

#include <cstdint>
#include <optional>

#include "decode.h"
#include "memo.h"
#include "watch.h"

namespace makemore {

/// Decodes `count` rows of a request from `first` on, over what the memo knows: each row goes from
/// node to node on its own, and waits where the step has yet to be run. Gives up, and returns
/// nothing, where the memo grows past twice its limit.
std::optional<Decoded> walk(Memo& memo, const DecodeRequest& request, std::int64_t first,
                            std::int64_t count, Watch& watch);

}  // namespace makemore
