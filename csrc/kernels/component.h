#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "family_data.h"
#include "parameters.h"

namespace makemore::kernels {

/// The kernels that this processor runs, the fastest first; none on a kind of machine that the
/// vector code is not built for.
std::vector<const Kernel*> family_kernels();

/// One state tensor of a row: float32, or int64.
struct StateLayout {
  bool is_integer;
  std::vector<std::size_t> shape;
  bool operator==(const StateLayout&) const = default;
};

/// A model's step, its weights packed for a kernel: the whole of an artifact, or one of the models
/// that it mixes. Immutable, so many threads may share one.
class Component {
 public:
  Component() = default;
  Component(const Component&) = delete;
  Component& operator=(const Component&) = delete;
  virtual ~Component() = default;

  virtual std::size_t vocab_size() const = 0;

  /// The states that the step takes and gives.
  virtual std::vector<StateLayout> states() const = 0;

  /// Bytes of a row that a step reads and writes: by default all of its states.
  virtual std::size_t step_bytes() const;

  /// Whether a step reads what every step before wrote, rather than the last one only. A row's
  /// steps are then at positions 0, 1, 2 and so on.
  virtual bool reads_pages() const { return false; }

  /// Positions from this one on are unknown.
  virtual std::int64_t block_size() const { return std::numeric_limits<std::int64_t>::max(); }

  /// Floats of memory that `run` works in, for so many rows.
  virtual std::size_t scratch_floats(std::size_t rows) const = 0;

  /// Multiply-adds of a step of a row, but those of attention. 0: it computes nothing, and reads
  /// tables.
  virtual std::size_t multiply_adds() const = 0;

  /// One step of each row, whose tokens and positions are known to be in range. A state before the
  /// first step is zeros, any other what this wrote.
  virtual void run(const RowBatch& batch, float* scratch) const = 0;
};

/// The component for a function of the domain makemore, of its constant inputs; null for one that
/// no kernel stands for. `states`: shapes of a row. Throws ArtifactError where the parameters or
/// the states are not those of such a model.
std::unique_ptr<Component> new_component(const Kernel& kernel, std::string_view function,
                                         std::span<const StateLayout> states,
                                         std::span<const Parameter> parameters);

/// Floats by which the component of a function makes a row or a column of a matrix longer, at most:
/// the blocks of a recurrent network are of four vectors, those of others of one, and tables are
/// kept as they are.
constexpr std::size_t most_padding(std::string_view function, const Packing& packing) {
  if (function == "RnnStep" || function == "LstmStep" || function == "GruStep") {
    return 4 * packing.lanes;
  }
  const bool is_table = function == "BigramStep" || function == "NgramStep" ||
                        function == "SparseNgramStep" || function == "SparseAdditiveStep";
  return is_table ? 0 : packing.lanes;
}

// The makers that `new_component` chooses from.
std::unique_ptr<Component> new_recurrent(const Kernel& kernel, Cell cell,
                                         std::span<const StateLayout> states,
                                         Parameters parameters);
std::unique_ptr<Component> new_perceptron(const Kernel& kernel, std::span<const StateLayout> states,
                                          Parameters parameters);
std::unique_ptr<Component> new_convolutions(const Kernel& kernel,
                                            std::span<const StateLayout> states,
                                            Parameters parameters);
std::unique_ptr<Component> new_bag_of_words(const Kernel& kernel, Parameters parameters);
std::unique_ptr<Component> new_table(Parameters parameters);
std::unique_ptr<Component> new_ngram(Parameters parameters);
/// backs_off: a token that was not seen after a context has the log-probability after its suffix
/// plus a weight of the context; else that weight itself.
std::unique_ptr<Component> new_sparse_ngram(Parameters parameters, bool backs_off);

}  // namespace makemore::kernels
