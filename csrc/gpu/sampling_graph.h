#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "onnx_model.h"
#include "sampler.h"

namespace makemore {

/// Which sampling options a graph takes; what it leaves out costs nothing.
enum class SamplingGraphKind {
  kPlain,      ///< the model's own distribution
  kShaped,     ///< excluded tokens and temperature
  kTruncated,  ///< top_k, top_p and min_p too
};
inline constexpr int kSamplingGraphKinds = 3;

SamplingGraphKind sampling_graph_kind(const SamplingOptions& options, bool excludes);

/// Steps that the device takes before the host sees tokens. Even, so that states which move between
/// two buffers end where they began.
inline constexpr std::int64_t kStepsPerBlock = 4;

/// Nodes that follow those of a model's step and do on the device what Sampler and the decode loop
/// do on the host: choose a token, in double; force the token of a prompt; end a row that stopped
/// or is long enough; add up log-probabilities. To be appended to the bytes of the model: protobuf
/// merges the two graphs, so one run is a whole step, and logits never leave the device.
///
/// Standard ONNX, opset 13 to 24, without control flow; every node has a kernel for these types in
/// ONNX Runtime's CUDA provider too (its docs/OperatorKernels.md). Inputs and outputs are those of
/// the model and, with B rows and K = kStepsPerBlock:
///
/// - sampler/slot int64 (1,): the number of this step in its block of K steps
/// - sampler/coin float64 (B, 1): uniform in [0, 1)
/// - sampler/generated int64 (B, K) -> sampler/next_generated: of each step the forced token, or
/// -1;
///   then the generated token, V where there was none to choose
/// - sampler/remaining int64 (B, 1) -> sampler/next_remaining: tokens that the row may still have;
///   0: it is finished
/// - sampler/log_prob float64 (B, 1) -> sampler/next_log_prob: of all generated tokens, under the
///   model itself
/// - sampler/next_token, sampler/next_position int64 (B,): what the next step is fed
/// - sampler/next_state_i for state i of the model: zero where the row is finished, so that a new
///   row can take its place; caches (`in_place`) have none, for they need no clearing
///
/// and of the options that this kind of graph takes: sampler/allowed bool (V,), sampler/temperature
/// float64 () > 0; sampler/top_k int64 (), sampler/top_p float64 () (infinity: all), sampler/min_p
/// float64 ().
std::string sampling_graph(const OnnxModel& model, const std::vector<bool>& in_place,
                           SamplingGraphKind kind);

}  // namespace makemore
