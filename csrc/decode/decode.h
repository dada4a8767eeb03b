#pragma once

#include <span>

#include "call_cancellation.h"
#include "decoded.h"
#include "request.h"
#include "worker.h"

namespace makemore {

/// Decodes strings until the stop token or `max_length`. A string depends on nothing but (model,
/// options, seed, row): not on batch size, workers, strategy or earlier calls.
///
/// Each worker has a thread, the first one the calling thread. Throws OptionError for a bad
/// request, or one whose strategy the workers cannot follow; StepError, ArtifactError and OrtError
/// where a step fails; CancelledError, or what `poll` or the output throws. After an exception the
/// workers must not be used again.
void decode(std::span<Worker* const> workers, const DecodeRequest& request, Output& output,
            const Interrupts& interrupts = {});

/// The same in row order.
Decoded decode(std::span<Worker* const> workers, const DecodeRequest& request,
               const Interrupts& interrupts = {});

}  // namespace makemore
