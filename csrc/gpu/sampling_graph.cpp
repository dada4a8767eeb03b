#include "sampling_graph.h"

#include <cstddef>
#include <limits>
#include <numeric>

#include "graph_builder.h"

namespace makemore {
namespace {

using ort::Graph;
using Value = Graph::Value;
using Shape = Graph::Shape;

constexpr std::int64_t kFree = -1;  // an axis of any size
const Shape kEach{kFree, 1};

/// A distribution over V tokens, unnormalised.
struct Distribution {
  Value highest;     // (B, 1) the largest logit
  Value cumulative;  // (B, V) running sum of the weights, of which the largest is 1
  Value total;       // (B, 1)
};

class SamplingGraphBuilder {
 public:
  SamplingGraphBuilder(const OnnxModel& model, SamplingGraphKind kind)
      : vocab_size_(model.vocab_size()),
        position_(model.input_names()[1]),
        logits_(model.output_names()[0]),
        kind_(kind) {}

  std::string write(const OnnxModel& model, const std::vector<bool>& in_place);

 private:
  Value last_column(const Value& sums) {
    return g_.node("Gather", {sums, g_.constant(ort::kInt64, std::vector{vocab_size_ - 1}, {1})},
                   {{"axis", 1}});
  }

  Value zero_of(ort::ElementType type) {
    return g_.constant(type, std::vector<std::byte>(element_bytes(type)), {});
  }

  Value exact(const Value& value) { return g_.node("Cast", {value}, {{"to", ort::kDouble}}); }

  /// The largest of each row, (B, 1), by TopK: CUDA's ReduceMax needs cuDNN and is slow on rows.
  Value highest(const Value& logits) {
    return exact(g_.node("TopK", {logits, one_}, {{"axis", 1}}, 2));
  }

  Distribution cumulate(const Value& highest, const Value& weights) {
    const Value cumulative = g_.node("CumSum", {weights, axis_});
    return {highest, cumulative, last_column(cumulative)};
  }

  Distribution unchanged(const Value& logits) {
    const Value most = highest(logits_);
    return cumulate(most, g_.node("Exp", {g_.node("Sub", {logits, most})}));
  }

  Distribution shaped();
  Value truncated(const Value& logits, const Value& weights);
  Value choose(const Distribution& distribution);
  Value output(const std::string& name, ort::ElementType type, const Shape& shape, const char* op,
               const std::vector<Value>& inputs);
  void keep_states(const OnnxModel& model, const std::vector<bool>& in_place, const Value& going);

  std::int64_t vocab_size_;
  Value position_, logits_;
  SamplingGraphKind kind_;
  Graph g_{"sampler/"};
  Value axis_ = g_.scalar(ort::kInt64, std::int64_t{1});                     // of V
  Value one_ = g_.constant(ort::kInt64, std::vector<std::int64_t>{1}, {1});  // a list
  Value zero_ = g_.scalar(ort::kInt64, std::int64_t{0});
  Value zero_weight_ = g_.scalar(ort::kDouble, 0.0);
};

Distribution SamplingGraphBuilder::shaped() {
  const Value nothing = g_.scalar(ort::kFloat, -std::numeric_limits<float>::infinity());
  const Value logits = g_.node("Where", {g_.input("allowed", ort::kBool, Shape{vocab_size_}),
                                         logits_, nothing});  // (B, V) float
  const Value most = highest(logits);
  const Value scaled = g_.node("Div", {g_.node("Sub", {exact(logits), most}),
                                       g_.input("temperature", ort::kDouble, Shape{})});
  const Value weights = g_.node("Exp", {scaled});
  return cumulate(most,
                  kind_ == SamplingGraphKind::kTruncated ? truncated(logits, weights) : weights);
}

/// The weights, 0 where top_k, top_p or min_p leave a token out, as Sampler::truncate has them.
Value SamplingGraphBuilder::truncated(const Value& logits, const Value& weights) {
  const Value all = g_.constant(ort::kInt64, std::vector{vocab_size_}, {1});
  const Value order = Graph::other(g_.node("TopK", {logits, all}, {{"axis", 1}}, 2), 1);
  std::vector<std::int64_t> places(static_cast<std::size_t>(vocab_size_));
  std::iota(places.begin(), places.end(), 0);
  const Value place = g_.constant(ort::kInt64, places, {vocab_size_});

  Value kept =
      g_.node("GatherElements", {weights, order}, {{"axis", 1}});  // in order of falling logits
  const auto keep = [&](const Value& condition) {
    kept = g_.node("Where", {condition, kept, zero_weight_});
  };
  keep(g_.node("Less", {place, g_.input("top_k", ort::kInt64, Shape{})}));
  const Value before = g_.node("CumSum", {kept, axis_}, {{"exclusive", 1}});
  const Value mass = last_column(g_.node("CumSum", {kept, axis_}));
  keep(g_.node("Less", {before, g_.node("Mul", {g_.input("top_p", ort::kDouble, Shape{}), mass})}));
  keep(g_.node("GreaterOrEqual", {kept, g_.input("min_p", ort::kDouble, Shape{})}));
  return g_.node("ScatterElements", {weights, order, kept}, {{"axis", 1}});
}

/// Inverse CDF: the number of running sums that are not above the coin's share of the total; V
/// where the sums are NaN. Counted in float32, which is exact up to 2^24 tokens.
Value SamplingGraphBuilder::choose(const Distribution& distribution) {
  const Value target = g_.node("Mul", {g_.input("coin", ort::kDouble, kEach), distribution.total});
  const Value beyond = g_.node("Greater", {distribution.cumulative, target});
  const Value reached =
      g_.node("Where", {beyond, g_.scalar(ort::kFloat, 0.0F), g_.scalar(ort::kFloat, 1.0F)});
  const Value count = g_.node("ReduceSum", {reached, one_});
  return g_.node("Cast", {count}, {{"to", ort::kInt64}});  // (B, 1)
}

Value SamplingGraphBuilder::output(const std::string& name, ort::ElementType type,
                                   const Shape& shape, const char* op,
                                   const std::vector<Value>& inputs) {
  const Value value = "sampler/next_" + name;
  g_.add(op, inputs, {value});
  g_.output(value, type, shape);
  return value;
}

void SamplingGraphBuilder::keep_states(const OnnxModel& model, const std::vector<bool>& in_place,
                                       const Value& going) {
  const Value flat = g_.node("Squeeze", {going, one_});  // (B,)
  for (std::size_t i = 0; i < model.states().size(); ++i) {
    if (in_place[i]) continue;
    const StateTensor& state = model.states()[i];
    std::vector<std::int64_t> axes(state.shape.size());
    std::iota(axes.begin(), axes.end(), 1);
    const Value condition =
        axes.empty()
            ? flat
            : g_.node("Unsqueeze", {flat, g_.constant(ort::kInt64, axes, {std::ssize(axes)})});
    Shape shape = state.shape;
    shape.insert(shape.begin(), kFree);
    output("state_" + std::to_string(i), state.element_type, shape, "Where",
           {condition, model.output_names()[1 + i], zero_of(state.element_type)});
  }
}

std::string SamplingGraphBuilder::write(const OnnxModel& model, const std::vector<bool>& in_place) {
  const Shape cells{kFree, kStepsPerBlock}, rows{kFree};
  const Value slot = g_.input("slot", ort::kInt64, Shape{1});
  const Value generated = g_.input("generated", ort::kInt64, cells);
  const Value remaining = g_.input("remaining", ort::kInt64, kEach);
  const Value log_prob = g_.input("log_prob", ort::kDouble, kEach);
  const Value logits = exact(logits_);
  const Distribution of_model = unchanged(logits);
  const Value picked = choose(kind_ == SamplingGraphKind::kPlain ? of_model : shaped());

  const Value alive = g_.node("Greater", {remaining, zero_});                // (B, 1)
  const Value forced = g_.node("Gather", {generated, slot}, {{"axis", 1}});  // (B, 1)
  const Value chosen = g_.node("Where", {g_.node("Less", {forced, zero_}), picked, forced});
  const Value choice = g_.node("Where", {alive, chosen, zero_});
  std::vector<std::int64_t> steps_per_block(static_cast<std::size_t>(kStepsPerBlock));
  std::iota(steps_per_block.begin(), steps_per_block.end(), 0);
  const Value here =
      g_.node("Equal", {g_.constant(ort::kInt64, steps_per_block, {kStepsPerBlock}), slot});
  output("generated", ort::kInt64, cells, "Where", {here, choice, generated});

  // V, which stands for no token to choose, becomes 0, which ends the row.
  const Value next = g_.node("Mod", {choice, g_.scalar(ort::kInt64, vocab_size_)});
  const Value continues =
      g_.node("Cast", {g_.node("Greater", {next, zero_})}, {{"to", ort::kInt64}});
  const Value next_remaining =
      output("remaining", ort::kInt64, kEach, "Mul",
             {g_.node("Sub", {remaining, g_.scalar(ort::kInt64, std::int64_t{1})}), continues});
  const Value going = g_.node("Greater", {next_remaining, zero_});
  output("token", ort::kInt64, rows, "Squeeze", {next, one_});
  const Value moved = g_.node("Cast", {going}, {{"to", ort::kInt64}});
  output("position", ort::kInt64, rows, "Add", {position_, g_.node("Squeeze", {moved, one_})});

  const Value logit = g_.node("GatherElements", {logits, next}, {{"axis", 1}});
  const Value normalizer = g_.node("Add", {of_model.highest, g_.node("Log", {of_model.total})});
  const Value summed = g_.node("Sub", {g_.node("Add", {log_prob, logit}), normalizer});
  output("log_prob", ort::kDouble, kEach, "Where", {alive, summed, log_prob});
  keep_states(model, in_place, going);
  return ort::Message().bytes(7, g_.bytes());
}

}  // namespace

SamplingGraphKind sampling_graph_kind(const SamplingOptions& options, bool excludes) {
  if (options.top_k > 0 || options.top_p < 1 || options.min_p > 0)
    return SamplingGraphKind::kTruncated;
  const bool shaped = options.temperature != 1 || excludes;
  return shaped ? SamplingGraphKind::kShaped : SamplingGraphKind::kPlain;
}

std::string sampling_graph(const OnnxModel& model, const std::vector<bool>& in_place,
                           SamplingGraphKind kind) {
  return SamplingGraphBuilder(model, kind).write(model, in_place);
}

}  // namespace makemore
