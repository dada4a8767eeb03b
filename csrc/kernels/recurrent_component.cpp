#include <algorithm>
#include <string>
#include <utility>

#include "component.h"
#include "errors.h"
#include "packed_weights.h"

namespace makemore::kernels {
namespace {

constexpr std::size_t kSums = 4;  // vectors of a block

/// How the units of a layer lie in blocks.
struct Blocks {
  Cell cell;
  std::size_t hidden, lanes;

  std::size_t gates() const { return cell == Cell::kRnn ? 1 : cell == Cell::kGru ? 3 : 4; }
  std::size_t vectors() const { return cell == Cell::kGru ? 3 : 4; }  // of weights
  std::size_t units() const { return cell == Cell::kRnn ? kSums * lanes : lanes; }
  std::size_t count() const { return (hidden + units() - 1) / units(); }

  /// Where a unit's number of a gate lies in a block of so many vectors for each of `inputs`.
  std::size_t place(std::size_t gate, std::size_t unit, std::size_t inputs,
                    std::size_t width) const {
    const std::size_t within = unit % units();
    const std::size_t vector = cell == Cell::kRnn ? within / lanes : gate;
    return (unit / units() * inputs * width + vector) * lanes + within % lanes;
  }
};

class RecurrentComponent final : public Component {
 public:
  RecurrentComponent(const Kernel& kernel, Cell cell, std::span<const StateLayout> states,
                     Parameters parameters)
      : kernel_(kernel), weights_(kernel.packing, parameters.were_halves()) {
    const std::size_t memories = cell == Cell::kLstm ? 2 : 1;
    const std::size_t layers = states.size() / memories;
    const bool has_table = parameters.count() == 4 * layers + 1;
    if (layers == 0 || states.size() % memories != 0 ||
        (!has_table && parameters.count() != 4 * layers + 3)) {
      throw ArtifactError(std::to_string(parameters.count()) +
                          " parameters are not those of a recurrent network");
    }
    const auto& first = parameters.shape(0, 2);  // a table of gates, or embeddings
    model_.cell = cell;
    model_.vocab_size = first[0];
    model_.hidden = parameters.shape(parameters.count() - 2, 2)[1];
    const Blocks blocks{cell, model_.hidden, kernel.packing.lanes};
    if (!has_table) {
      model_.embedding = weights_.copy(parameters.floats({first[0], first[1]}));
      layers_.push_back(layer(blocks, first[1], parameters));
    } else {
      layers_.push_back(layer_of_table(blocks, parameters));
    }
    while (layers_.size() < layers) layers_.push_back(layer(blocks, model_.hidden, parameters));
    const Matrix head = parameters.matrix(model_.vocab_size, model_.hidden);
    model_.head = weights_.linear(head, model_.vocab_size, model_.hidden,
                                  parameters.floats({model_.vocab_size}).data());
    model_.layers = layers_.data();
    model_.layer_count = layers_.size();
  }

  std::size_t vocab_size() const override { return model_.vocab_size; }

  std::vector<StateLayout> states() const override {
    const std::size_t memories = model_.cell == Cell::kLstm ? 2 : 1;
    return {memories * model_.layer_count, StateLayout{false, {model_.hidden}}};
  }

  std::size_t multiply_adds() const override { return weights_.multiply_adds(); }

  std::size_t scratch_floats(std::size_t rows) const override {
    return std::min(rows, kChunkRows) * (layers_[0].inputs + 3 * model_.hidden) + rounded_floats();
  }

  void run(const RowBatch& batch, float* scratch) const override {
    kernel_.recurrent(model_, batch, scratch);
  }

 private:
  /// Floats of the inputs and the hidden units of a tile, rounded.
  std::size_t rounded_floats() const {
    const auto blocks = [](std::size_t inputs) {
      return (inputs + kRoundedInputs - 1) / kRoundedInputs;
    };
    const std::size_t inputs = std::max(layers_[0].inputs, model_.hidden);
    return kernel_.packing.dots ? kRoundedRows * (blocks(inputs) + blocks(model_.hidden)) *
                                      sizeof(RoundedRow) / sizeof(float)
                                : 0;
  }

  /// Puts a weight (gates * H, inputs) into blocks; int8 becomes floats unless it is to stay.
  Numbers packed(const Blocks& blocks, const Matrix& weight, std::size_t inputs, bool stays_int8) {
    const std::size_t vectors = blocks.vectors();
    const std::size_t sums = blocks.count() * vectors * blocks.lanes;
    std::vector<float> out(sums * inputs), scales(stays_int8 ? sums : 0);
    for (std::size_t row = 0; row < blocks.gates() * blocks.hidden; ++row) {
      const std::size_t gate = row / blocks.hidden, unit = row % blocks.hidden;
      const float scale = weight.scales == nullptr ? 1.0f : weight.scales[row];
      float* to = out.data() + blocks.place(gate, unit, inputs, vectors);
      for (std::size_t k = 0; k < inputs; ++k) {
        const float value = weight.values[row * inputs + k];
        to[k * vectors * blocks.lanes] = stays_int8 ? value : value * scale;
      }
      if (stays_int8) scales[blocks.place(gate, unit, 1, vectors)] = scale;
    }
    return weights_.matrix(out, inputs, vectors * blocks.lanes, scales);
  }

  /// What the sums begin with, for each row of `read` (rows, gates * H): it and the bias of the
  /// hidden units, which a GRU keeps apart for its new value.
  const float* started(const Blocks& blocks, std::span<const float> read,
                       std::span<const float> bias) {
    const std::size_t gates = blocks.gates() * blocks.hidden, rows = read.size() / gates;
    const std::size_t stride = blocks.count() * kSums * blocks.lanes;
    float* out = weights_.allocate(rows * stride);
    for (std::size_t i = 0; i < rows * gates; ++i) {
      const std::size_t gate = i % gates / blocks.hidden, unit = i % blocks.hidden;
      float* row = out + i / gates * stride;
      const bool apart = blocks.cell == Cell::kGru && gate == 2;
      row[blocks.place(gate, unit, 1, kSums)] = read[i] + (apart ? 0.0f : bias[i % gates]);
      if (apart) row[blocks.place(3, unit, 1, kSums)] = bias[i % gates];
    }
    return out;
  }

  /// Of weights from the input and from the hidden units, then a bias of each.
  RecurrentLayer layer(const Blocks& blocks, std::size_t inputs, Parameters& parameters) {
    const std::size_t gates = blocks.gates() * blocks.hidden;
    const Matrix input = parameters.matrix(gates, inputs);
    const Matrix hidden = parameters.matrix(gates, blocks.hidden);
    // A kernel takes both as int8 or neither.
    const bool are_int8 = input.scales != nullptr && hidden.scales != nullptr;
    const Numbers from_input = packed(blocks, input, inputs, are_int8);
    const Numbers from_hidden = packed(blocks, hidden, blocks.hidden, are_int8);
    const auto read = parameters.floats({gates});
    return {started(blocks, read, parameters.floats({gates})), from_input, from_hidden, inputs};
  }

  /// Of what it reads of each token, the weights from the hidden units, and their bias.
  RecurrentLayer layer_of_table(const Blocks& blocks, Parameters& parameters) {
    const std::size_t gates = blocks.gates() * blocks.hidden;
    const auto read = parameters.floats({model_.vocab_size, gates});
    const Matrix hidden = parameters.matrix(gates, blocks.hidden);
    const Numbers from_hidden = packed(blocks, hidden, blocks.hidden, hidden.scales != nullptr);
    return {started(blocks, read, parameters.floats({gates})), {}, from_hidden, 0};
  }

  const Kernel& kernel_;
  PackedWeights weights_;
  std::vector<RecurrentLayer> layers_;
  Recurrent model_{};
};

}  // namespace

std::unique_ptr<Component> new_recurrent(const Kernel& kernel, Cell cell,
                                         std::span<const StateLayout> states,
                                         Parameters parameters) {
  return std::make_unique<RecurrentComponent>(kernel, cell, states, std::move(parameters));
}

}  // namespace makemore::kernels
