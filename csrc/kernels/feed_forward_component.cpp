#include <algorithm>
#include <utility>

#include "component.h"
#include "errors.h"
#include "packed_weights.h"

namespace makemore::kernels {
namespace {

void require_count(const Parameters& parameters, std::size_t wanted, const char* model) {
  if (parameters.count() == wanted) return;
  throw ArtifactError(std::to_string(parameters.count()) + " parameters are not those of a " +
                      model);
}

Linear linear_of(PackedWeights& weights, Parameters& parameters, std::size_t outputs,
                 std::size_t inputs) {
  const Matrix weight = parameters.matrix(outputs, inputs);
  return weights.linear(weight, outputs, inputs, parameters.floats({outputs}).data());
}

class PerceptronComponent final : public Component {
 public:
  /// Of tables of what the hidden layer reads, and a head; or of embeddings, the hidden layer, a
  /// head, and what may connect the embeddings to the logits.
  PerceptronComponent(const Kernel& kernel, std::span<const StateLayout> states,
                      Parameters parameters)
      : kernel_(kernel), weights_(kernel.packing, parameters.were_halves()) {
    if (states.size() != 1 || states[0].shape.size() != 1 || parameters.count() < 3) {
      throw ArtifactError("the state or the parameters are not those of a perceptron");
    }
    model_.context = states[0].shape[0] + 1;
    const bool has_tables = parameters.count() == 3;
    const std::size_t head = has_tables ? 1 : 3;
    model_.vocab_size = parameters.shape(head, 2)[0];
    model_.hidden = parameters.shape(head, 2)[1];
    if (has_tables) {
      model_.tables =
          weights_.copy(parameters.floats({model_.context * model_.vocab_size, model_.hidden}));
    } else {
      model_.width = parameters.shape(0, 2)[1];
      model_.embedding = weights_.copy(parameters.floats({model_.vocab_size, model_.width}));
      model_.from_window =
          linear_of(weights_, parameters, model_.hidden, model_.context * model_.width);
    }
    model_.head = linear_of(weights_, parameters, model_.vocab_size, model_.hidden);
    if (!has_tables && parameters.count() == 6) {
      const std::size_t inputs = model_.context * model_.width;
      const Matrix weight = parameters.matrix(model_.vocab_size, inputs);
      model_.direct = weights_.linear(weight, model_.vocab_size, inputs, nullptr);
    } else if (!has_tables) {
      require_count(parameters, 5, "perceptron");
    }
  }

  std::size_t vocab_size() const override { return model_.vocab_size; }
  std::vector<StateLayout> states() const override { return {{true, {model_.context - 1}}}; }

  std::size_t multiply_adds() const override { return weights_.multiply_adds(); }

  std::size_t scratch_floats(std::size_t rows) const override {
    return std::min(rows, kChunkRows) * (model_.hidden + model_.context * model_.width);
  }

  void run(const RowBatch& batch, float* scratch) const override {
    kernel_.perceptron(model_, batch, scratch);
  }

 private:
  const Kernel& kernel_;
  PackedWeights weights_;
  Perceptron model_{};
};

class ConvolutionsComponent final : public Component {
 public:
  /// Of embeddings, the layers' convolutions, their residual layers but for the last, the skip and
  /// the hidden layer, and the head. `states`: a ring for each layer.
  ConvolutionsComponent(const Kernel& kernel, std::span<const StateLayout> states,
                        Parameters parameters)
      : kernel_(kernel), weights_(kernel.packing, parameters.were_halves()) {
    if (states.empty()) throw ArtifactError("a convolutional network has states");
    require_count(parameters, 4 * states.size() + 5, "convolutional network");
    model_.vocab_size = parameters.shape(0, 2)[0];
    model_.width = parameters.shape(0, 2)[1];
    model_.embedding = weights_.copy(parameters.floats({model_.vocab_size, model_.width}));
    for (const StateLayout& ring : states) {
      if (ring.shape.empty()) throw ArtifactError("a state is not a ring");
      layers_.push_back(
          {ring.shape[0], linear_of(weights_, parameters, 2 * model_.width, 2 * model_.width), {}});
    }
    for (std::size_t i = 0; i + 1 < layers_.size(); ++i) {
      layers_[i].residual = linear_of(weights_, parameters, model_.width, model_.width);
    }
    const std::size_t skipped = parameters.shape(parameters.count() - 6, 2)[0];
    model_.skip = linear_of(weights_, parameters, skipped, layers_.size() * model_.width);
    model_.hidden = linear_of(weights_, parameters, skipped, skipped);
    model_.head = linear_of(weights_, parameters, model_.vocab_size, skipped);
    model_.layers = layers_.data();
    model_.layer_count = layers_.size();
  }

  std::size_t vocab_size() const override { return model_.vocab_size; }

  std::vector<StateLayout> states() const override {
    std::vector<StateLayout> states;
    for (const Convolution& layer : layers_) {
      states.push_back({false, {layer.dilation, model_.width}});
    }
    return states;
  }

  std::size_t multiply_adds() const override { return weights_.multiply_adds(); }

  std::size_t scratch_floats(std::size_t rows) const override {
    return std::min(rows, kChunkRows) *
           ((layers_.size() + 6) * model_.width + 2 * model_.skip.outputs);
  }

  void run(const RowBatch& batch, float* scratch) const override {
    kernel_.convolutions(model_, batch, scratch);
  }

 private:
  const Kernel& kernel_;
  PackedWeights weights_;
  std::vector<Convolution> layers_;
  Convolutions model_{};
};

class BagOfWordsComponent final : public Component {
 public:
  BagOfWordsComponent(const Kernel& kernel, Parameters parameters)
      : kernel_(kernel), weights_(kernel.packing, parameters.were_halves()) {
    require_count(parameters, 8, "bag of words");
    model_.vocab_size = parameters.shape(0, 2)[0];
    model_.width = parameters.shape(0, 2)[1];
    block_size_ = parameters.shape(1, 2)[0];
    const std::size_t hidden = parameters.shape(2, 2)[0];
    model_.token_embedding = weights_.copy(parameters.floats({model_.vocab_size, model_.width}));
    model_.position_embedding = weights_.copy(parameters.floats({block_size_, model_.width}));
    model_.mlp_up = linear_of(weights_, parameters, hidden, model_.width);
    model_.mlp_down = linear_of(weights_, parameters, model_.width, hidden);
    model_.head = linear_of(weights_, parameters, model_.vocab_size, model_.width);
  }

  std::size_t vocab_size() const override { return model_.vocab_size; }
  std::vector<StateLayout> states() const override { return {{false, {model_.width}}}; }
  std::int64_t block_size() const override { return static_cast<std::int64_t>(block_size_); }

  std::size_t multiply_adds() const override { return weights_.multiply_adds(); }

  std::size_t scratch_floats(std::size_t rows) const override {
    return std::min(rows, kChunkRows) * (model_.width + model_.mlp_up.outputs);
  }

  void run(const RowBatch& batch, float* scratch) const override {
    kernel_.bag_of_words(model_, batch, scratch);
  }

 private:
  const Kernel& kernel_;
  PackedWeights weights_;
  std::size_t block_size_;
  BagOfWords model_{};
};

}  // namespace

std::unique_ptr<Component> new_perceptron(const Kernel& kernel, std::span<const StateLayout> states,
                                          Parameters parameters) {
  return std::make_unique<PerceptronComponent>(kernel, states, std::move(parameters));
}

std::unique_ptr<Component> new_convolutions(const Kernel& kernel,
                                            std::span<const StateLayout> states,
                                            Parameters parameters) {
  return std::make_unique<ConvolutionsComponent>(kernel, states, std::move(parameters));
}

std::unique_ptr<Component> new_bag_of_words(const Kernel& kernel, Parameters parameters) {
  return std::make_unique<BagOfWordsComponent>(kernel, std::move(parameters));
}

}  // namespace makemore::kernels
