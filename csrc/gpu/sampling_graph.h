#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "onnx_model.h"
#include "sampler.h"

namespace makemore {

/// How much of `SamplingOptions` a sampler heeds: what it leaves out costs nothing.
enum class SamplingGraphKind {
  kPlain,      ///< the model's own distribution
  kShaped,     ///< excluded tokens and temperature
  kTruncated,  ///< top_k, top_p and min_p too
};
inline constexpr int kSamplingGraphKinds = 3;

SamplingGraphKind sampling_graph_kind(const SamplingOptions& options, bool excludes);

/// Steps between two words with the host. Even: states that go to and fro end where they began.
inline constexpr std::int64_t kStepsPerBlock = 4;

/// Nodes that follow those of a model's step and do on the device what Sampler and the decode loop
/// do on the host: choose, in double, force a prompt's token, end a row that stopped or is long
/// enough, sum up log-probabilities. To be appended to the bytes of the model: protobuf merges the
/// two graphs, so one run is a whole step, and no logit leaves the device.
///
/// Standard ONNX, opset 13 to 24, without control flow; every node has a kernel for these types in
/// ONNX Runtime's CUDA provider too (its docs/OperatorKernels.md). Inputs and outputs are those of
/// the model and, with B rows and K = kStepsPerBlock:
///
///   sampler/slot int64 (1,): which of the K steps_per_block this step is
///   sampler/coin float64 (B, 1): uniform in [0, 1)
///   sampler/generated int64 (B, K) -> sampler/next_generated: per column what the row has to say,
///   -1 where
///     it may choose; what it generated (V where nothing could be chosen)
///   sampler/remaining int64 (B, 1) -> sampler/next_remaining: tokens that the row may still say;
///   0: it ended sampler/log_prob float64 (B, 1) -> sampler/next_log_prob: of all it generated
///   under the model sampler/next_token, sampler/next_position int64 (B,): what the next step is
///   fed sampler/next_state_i for state i of the model: zero where the row has ended, so that a new
///   row
///     may take its place; caches (`in_place`) have none, for they need no clearing
///
/// and of options, where heeded: sampler/allowed bool (V,), sampler/temperature float64 () > 0;
/// sampler/top_k int64 (), sampler/top_p float64 () (infinity: all), sampler/min_p float64 ().
std::string sampling_graph(const OnnxModel& model, const std::vector<bool>& in_place,
                           SamplingGraphKind kind);

}  // namespace makemore
