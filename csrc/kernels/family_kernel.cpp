// The steps of the family in vector code, compiled once for each kind of processor and named after
// it. See linear.h for what holds for its code.
#include "family_data.h"
#include "feed_forward.h"
#include "mixture.h"
#include "recurrent.h"

namespace makemore::kernels {
namespace {

/// A batch, in chunks of rows that pass all layers together.
template <class Model, auto chunk>
void in_chunks(const Model& model, const RowBatch& batch, float* scratch) {
  const std::size_t chunks = (batch.rows + kChunkRows - 1) / kChunkRows;
  for (std::size_t i = 0; i < chunks; ++i) {
    const std::size_t first = i * batch.rows / chunks, end = (i + 1) * batch.rows / chunks;
    chunk(model, batch, first, end - first, scratch);
  }
}

constexpr Kernel kernel(const char* name, bool dots) {
  return {name,
          {kLanes, kPanel, dots},
          in_chunks<Recurrent, recurrent_chunk>,
          in_chunks<Perceptron, perceptron_chunk>,
          in_chunks<Convolutions, convolutions_chunk>,
          in_chunks<BagOfWords, bag_of_words_chunk>,
          mixture};
}

}  // namespace

extern const Kernel KERNEL;
constinit const Kernel KERNEL = kernel(kName, false);
#ifdef KERNEL_OF_DOTS
extern const Kernel KERNEL_OF_DOTS;
constinit const Kernel KERNEL_OF_DOTS = kernel(kNameOfDots, true);
#endif

}  // namespace makemore::kernels
