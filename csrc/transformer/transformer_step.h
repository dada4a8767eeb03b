#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "packed_weights.h"
#include "transformer_model.h"

namespace makemore::transformer {

/// The kernels that this processor runs, the fastest first; none on a kind of machine that the
/// vector code is not built for.
std::vector<const Kernel*> kernels();

/// The activation of that name; throws ArtifactError for another.
Activation activation_named(std::string_view name);

/// A parameter as the file has it; a vector has one column.
struct Parameter {
  kernels::Matrix weight;
  std::size_t rows, columns;
};

/// A transformer's step: its weights packed for a kernel. Immutable, so many threads may share one.
class TransformerStep {
 public:
  /// `halves`: matrices that are not int8, keys and values are kept in float16. `parameters`: token
  /// and position embedding; of each layer ln_1, attention, projection, ln_2, mlp_up and mlp_down,
  /// each a weight and a bias; the last norm's two; the head's weight, and its bias if it has one.
  /// Throws ArtifactError where they do not fit together.
  TransformerStep(const Kernel& kernel, std::span<const Parameter> parameters, std::int64_t heads,
                  float epsilon, Activation activation = Activation::kGeluTanh,
                  bool halves = false);
  TransformerStep(const TransformerStep&) = delete;
  TransformerStep& operator=(const TransformerStep&) = delete;

  const Model& model() const { return model_; }

  /// Of a row, but those of attention.
  std::size_t multiply_adds() const { return weights_.multiply_adds(); }

  /// Bytes of a page: what a row keeps of a position.
  std::size_t page_bytes() const;

  /// Feeds each row its token at its position, which are known.
  void run(const StepBatch& batch) const;

 private:
  class Reader;

  const float* table(Reader& reader, std::size_t rows, std::size_t columns);
  Norm norm(Reader& reader);
  Linear linear(Reader& reader, std::size_t outputs, std::size_t inputs, bool has_bias = true);
  void make_first_tables();

  const Kernel& kernel_;
  kernels::PackedWeights weights_;
  std::vector<Layer> layers_;
  Model model_{};
};

}  // namespace makemore::transformer
