#include "file_check.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "message_form.h"
#include "node_check.h"
#include "operators.h"
#include "protobuf_reader.h"
#include "tensor_check.h"
#include "text.h"

namespace makemore {
namespace {

using ort::Field;
using ort::MessageReader;

constexpr std::size_t kMaxNodes = 20'000;  // of the graph, with those of each function it calls
constexpr std::size_t kMaxMetadata = std::size_t{128} << 20;  // bytes, fingerprints included
constexpr std::size_t kMaxNames = 1'000'000;                  // of inputs and outputs of all nodes
constexpr std::size_t kMaxText = 1000;                        // bytes of an attribute
constexpr int kMaxDepth = 16;                                 // of graphs within nodes
constexpr std::string_view kDomain = "makemore";
constexpr const char* kTrust = "; trust=True loads a file whose source you trust";

/// How many fields of a message have that number.
std::size_t count_fields(std::string_view message, std::uint32_t number) {
  std::size_t count = 0;
  Field field;
  for (MessageReader reader(message); reader.next(field);) count += field.number == number ? 1 : 0;
  return count;
}

class FileCheck {
 public:
  explicit FileCheck(bool trust) : trust_(trust) {}

  void model(std::string_view bytes);

 private:
  struct Function {
    std::size_t nodes, inputs, outputs;
  };

  void function(std::string_view bytes);
  void graph(std::string_view bytes, int depth);
  KnownValues known_values(std::string_view graph_bytes) const;
  void node(std::string_view bytes, KnownValues& values, int depth, bool in_function);
  void operation(std::string_view domain, std::string_view op, bool in_function);
  void call(const NodeView& node, const Function& function, const KnownValues& values) const;
  void tensor(std::string_view bytes) const;
  void attribute(std::string_view bytes, std::string_view op, int depth);
  void require_range(const Field& field, std::string_view op, std::string_view name) const;
  void count_nodes(std::size_t more);

  bool trust_;
  std::map<std::pair<std::string_view, std::string_view>, Function> functions_;
  std::size_t nodes_ = 0, names_ = 0;
};

void FileCheck::model(std::string_view bytes) {
  enum { kGraph = 7, kMetadata = 14, kFunction = 25 };
  if (bytes.size() >= 8 && bytes.substr(4, 4) == "ORTM") {
    throw ArtifactError("its bytes 4 to 7 are 'ORTM', the mark of ONNX Runtime's own format");
  }
  ort::require_form(bytes, ort::kModelForm);
  std::optional<std::string_view> graph_bytes;
  std::size_t metadata = 0;
  Field field;
  for (MessageReader reader(bytes); reader.next(field);) {
    if (field.number == kFunction) function(field.as_bytes());
    if (field.number == kMetadata) metadata += field.as_bytes().size();
    if (field.number == kGraph) graph_bytes = field.bytes;
  }
  if (!graph_bytes) throw ArtifactError("it has no graph");
  if (metadata > kMaxMetadata) {
    throw ArtifactError("it has " + std::to_string(metadata) + " bytes of metadata; the limit is " +
                        std::to_string(kMaxMetadata));
  }
  graph(*graph_bytes, 0);
}

void FileCheck::function(std::string_view bytes) {
  enum { kName = 1, kFunctionInput = 4, kFunctionOutput = 5, kNode = 7, kFunctionDomain = 10 };
  enum { kDefault = 11 };
  ort::require_form(bytes, ort::kFunctionForm);
  const std::string_view domain = ort::last_bytes(bytes, kFunctionDomain),
                         name = ort::last_bytes(bytes, kName);
  if (!trust_ && domain != kDomain) {
    throw ArtifactError("it has a function " + in_quotes(name) + " of domain " + in_quotes(domain) +
                        "; those of domain " + in_quotes(kDomain) + " are known" + kTrust);
  }
  Field field;
  KnownValues values;
  const std::size_t before = std::exchange(nodes_, 0);
  for (MessageReader reader(bytes); reader.next(field) && !trust_;) {
    if (field.number == kFunctionInput) define(field.as_bytes(), 0, values);
  }
  for (MessageReader reader(bytes); reader.next(field);) {
    if (field.number == kNode) node(field.as_bytes(), values, 0, true);
    if (field.number == kDefault) attribute(field.as_bytes(), name, 0);
  }
  const Function function{std::exchange(nodes_, before), count_fields(bytes, kFunctionInput),
                          count_fields(bytes, kFunctionOutput)};
  if (!functions_.emplace(std::pair{domain, name}, function).second) {
    throw ArtifactError("it has two functions " + in_quotes(name));
  }
}

void FileCheck::graph(std::string_view bytes, int depth) {
  enum { kNode = 1, kSparse = 15 };
  if (depth > kMaxDepth) throw ArtifactError("its graphs lie too deep in each other");
  ort::require_form(bytes, ort::kGraphForm);
  KnownValues values = known_values(bytes);
  Field field;
  for (MessageReader reader(bytes); reader.next(field);) {
    if (field.number == kNode) node(field.as_bytes(), values, depth, false);
    if (field.number == kSparse) throw ArtifactError("it has a sparse tensor; all must be dense");
  }
}

// The inputs of a graph and its initializers; of a trusted file none, which are only checked.
KnownValues FileCheck::known_values(std::string_view graph_bytes) const {
  enum { kInitializer = 5, kInput = 11, kTensorName = 8 };
  KnownValues values;
  Field field;
  for (MessageReader reader(graph_bytes); reader.next(field);) {
    if (field.number != kInitializer) continue;
    tensor(field.as_bytes());
    if (!trust_) add_constant(ort::last_bytes(field.bytes, kTensorName), field.bytes, values);
  }
  for (MessageReader reader(graph_bytes); reader.next(field);) {
    if (field.number != kInput) continue;
    const auto [name, type] = read_input(field.as_bytes());
    const bool is_initializer = values.shapes.contains(name);  // old files name these here, too
    if (!trust_ && !is_initializer) define(name, type, values);
  }
  return values;
}

void FileCheck::node(std::string_view bytes, KnownValues& values, int depth, bool in_function) {
  const NodeView node = read_node(bytes);
  operation(node.domain, node.op, in_function);
  for (const auto& [name, attribute_bytes] : node.attributes) {
    attribute(attribute_bytes, node.op, depth);
  }
  if (trust_) return;
  names_ += node.inputs.size() + node.outputs.size();
  if (names_ > kMaxNames) {
    throw ArtifactError("its nodes have more than " + std::to_string(kMaxNames) +
                        " inputs and outputs" + kTrust);
  }
  check_node(node, values);
  const auto called = functions_.find({node.domain, node.op});
  if (called != functions_.end()) call(node, called->second, values);
}

void FileCheck::operation(std::string_view domain, std::string_view op, bool in_function) {
  count_nodes(1);
  const bool standard = domain.empty();
  if (standard && is_random(op)) {
    throw ArtifactError("it has a node " + in_quotes(op) +
                        ": with random numbers a seed would not give the same strings again");
  }
  if (trust_ || (standard && is_known(op))) return;
  const auto called = functions_.find({domain, op});
  if (called != functions_.end() && !in_function) return count_nodes(called->second.nodes);
  if (domain == kDomain && !in_function) {
    throw ArtifactError("it calls a function " + in_quotes(op) + ", which it does not hold");
  }
  throw ArtifactError("it has a node " + in_quotes(op) +
                      (standard ? std::string() : " of domain " + in_quotes(domain)) +
                      ", an operator that no step needs" + kTrust);
}

// ONNX Runtime 1.20 aborts where a call leaves an input of a function out. Integers that a function
// is given are its tables, whose numbers its own nodes are not known by (see check_node).
void FileCheck::call(const NodeView& node, const Function& function,
                     const KnownValues& values) const {
  for (const std::string_view input : node.inputs) {
    const auto smallest = values.smallest.find(input);
    if (smallest == values.smallest.end() || smallest->second >= 0) continue;
    throw ArtifactError("input " + in_quotes(input) + " of a call of function " +
                        in_quotes(node.op) + " holds " + std::to_string(smallest->second) +
                        "; it must be >= 0");
  }
  if (node.inputs.size() == function.inputs && node.outputs.size() == function.outputs) return;
  throw ArtifactError(
      "a call of function " + in_quotes(node.op) + " has " + std::to_string(node.inputs.size()) +
      " inputs and " + std::to_string(node.outputs.size()) + " outputs; the function has " +
      std::to_string(function.inputs) + " and " + std::to_string(function.outputs) + kTrust);
}

void FileCheck::count_nodes(std::size_t more) {
  nodes_ += more;
  if (nodes_ > kMaxNodes && !trust_) {
    throw ArtifactError("it has more than " + std::to_string(kMaxNodes) + " nodes" + kTrust);
  }
}

// ONNX Runtime 1.23 and older crash where some operators are given no numbers.
void FileCheck::tensor(std::string_view bytes) const {
  if (check_tensor(bytes) == 0 && !trust_) throw ArtifactError("it has a tensor without numbers");
}

void FileCheck::attribute(std::string_view bytes, std::string_view op, int depth) {
  enum { kName = 1, kInt = 3, kText = 4, kTensor = 5, kGraph = 6, kInts = 8, kTexts = 9 };
  enum { kTensors = 10, kGraphs = 11, kType = 14, kTypes = 15, kReference = 21, kSparse = 22 };
  enum { kSparses = 23 };
  ort::require_form(bytes, ort::kAttributeForm);
  if (!trust_) require_one_value(bytes);
  const std::string_view name = ort::last_bytes(bytes, kName);
  const auto refuse = [&](const std::string& what) {
    throw ArtifactError("attribute " + in_quotes(name) + " of a node " + in_quotes(op) + " is " +
                        what);
  };
  Field field;
  for (MessageReader reader(bytes); reader.next(field);) {
    switch (field.number) {
      case kInt:
      case kInts:
        require_range(field, op, name);
        break;
      case kText:
      case kTexts:
        if (field.as_bytes().size() > kMaxText && !trust_) refuse("a text of too many bytes");
        break;
      case kTensor:
      case kTensors:
        tensor(field.as_bytes());
        break;
      case kGraph:
      case kGraphs:
        if (!trust_) refuse(std::string("a graph, which no step needs") + kTrust);
        graph(field.as_bytes(), depth + 1);
        break;
      case kType:
      case kTypes:
      case kReference:
        if (!trust_) refuse(std::string("of a kind that no step needs") + kTrust);
        break;
      case kSparse:
      case kSparses:
        refuse("a sparse tensor; all must be dense");
    }
  }
}

void FileCheck::require_range(const Field& field, std::string_view op,
                              std::string_view name) const {
  const Range range = range_of(op, name);
  const auto require = [&](std::int64_t found) {
    if (trust_ || (found >= range.low && found <= range.high)) return;
    throw ArtifactError("attribute " + in_quotes(name) + " of a node " + in_quotes(op) + " is " +
                        std::to_string(found) + "; it must be >= " + std::to_string(range.low) +
                        " and <= " + std::to_string(range.high));
  };
  ort::for_each_number(field, require);
}

}  // namespace

void check_file(std::string_view bytes, bool trust) { FileCheck(trust).model(bytes); }

}  // namespace makemore
