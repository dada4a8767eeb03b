#include "operators.h"

#include <algorithm>
#include <array>
#include <limits>

namespace makemore {
namespace {

constexpr std::int64_t kMaxRank = 8;
constexpr std::int64_t kMaxWindow = 1 << 20;

constexpr std::array<std::string_view, 6> kRandom{"Bernoulli",     "Multinomial",
                                                  "RandomNormal",  "RandomNormalLike",
                                                  "RandomUniform", "RandomUniformLike"};

// Sorted, for a binary search.
constexpr std::array kKnown = std::to_array<std::string_view>({"Abs",
                                                               "Add",
                                                               "And",
                                                               "ArgMax",
                                                               "ArgMin",
                                                               "BatchNormalization",
                                                               "Cast",
                                                               "Ceil",
                                                               "Celu",
                                                               "Clip",
                                                               "Concat",
                                                               "Constant",
                                                               "ConstantOfShape",
                                                               "Conv",
                                                               "Cos",
                                                               "DequantizeLinear",
                                                               "Div",
                                                               "Elu",
                                                               "Equal",
                                                               "Erf",
                                                               "Exp",
                                                               "Expand",
                                                               "Flatten",
                                                               "Floor",
                                                               "GRU",
                                                               "Gather",
                                                               "GatherElements",
                                                               "GatherND",
                                                               "Gelu",
                                                               "Gemm",
                                                               "Greater",
                                                               "GreaterOrEqual",
                                                               "HardSigmoid",
                                                               "HardSwish",
                                                               "Identity",
                                                               "IsInf",
                                                               "IsNaN",
                                                               "LSTM",
                                                               "LayerNormalization",
                                                               "LeakyRelu",
                                                               "Less",
                                                               "LessOrEqual",
                                                               "Log",
                                                               "LogSoftmax",
                                                               "MatMul",
                                                               "Max",
                                                               "Mean",
                                                               "Min",
                                                               "Mish",
                                                               "Mod",
                                                               "Mul",
                                                               "Neg",
                                                               "Not",
                                                               "Or",
                                                               "PRelu",
                                                               "Pad",
                                                               "Pow",
                                                               "RNN",
                                                               "Range",
                                                               "Reciprocal",
                                                               "ReduceMax",
                                                               "ReduceMean",
                                                               "ReduceMin",
                                                               "ReduceSum",
                                                               "Relu",
                                                               "Reshape",
                                                               "Round",
                                                               "ScatterElements",
                                                               "ScatterND",
                                                               "Selu",
                                                               "Shape",
                                                               "Sigmoid",
                                                               "Sign",
                                                               "Sin",
                                                               "Size",
                                                               "Slice",
                                                               "Softmax",
                                                               "Softplus",
                                                               "Softsign",
                                                               "Split",
                                                               "Sqrt",
                                                               "Squeeze",
                                                               "Sub",
                                                               "Sum",
                                                               "Tanh",
                                                               "ThresholdedRelu",
                                                               "Tile",
                                                               "TopK",
                                                               "Transpose",
                                                               "Trilu",
                                                               "Unsqueeze",
                                                               "Where",
                                                               "Xor"});
static_assert(std::ranges::is_sorted(kKnown));

struct Rule {
  std::string_view op, attribute;  // op is "" for an attribute of any operator
  Range range;
};
constexpr std::array<Rule, 13> kRules{
    {{"Constant",
      "",
      {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}},
     {"Conv", "group", {1, kMaxWindow}},
     {"Conv", "pads", {0, kMaxWindow}},
     {"Conv", "", {1, kMaxWindow}},  // kernel_shape, strides, dilations
     {"", "axis", {-kMaxRank, kMaxRank}},
     {"", "axes", {-kMaxRank, kMaxRank}},
     {"", "batch_dims", {0, 0}},
     {"", "end", {-kMaxRank, std::numeric_limits<std::int64_t>::max()}},
     {"", "keepdims", {0, 1}},
     {"", "perm", {0, kMaxRank}},
     {"", "start", {-kMaxRank, kMaxRank}},
     {"", "to", {1, 16}},
     {"", "", {-kMaxRank, std::numeric_limits<std::int32_t>::max()}}}};

}  // namespace

bool is_random(std::string_view op) { return std::ranges::count(kRandom, op) > 0; }

bool is_known(std::string_view op) { return std::ranges::binary_search(kKnown, op); }

Range range_of(std::string_view op, std::string_view attribute) {
  return std::ranges::find_if(kRules,
                              [&](const Rule& rule) {
                                return (rule.op.empty() || rule.op == op) &&
                                       (rule.attribute.empty() || rule.attribute == attribute);
                              })
      ->range;
}

}  // namespace makemore
