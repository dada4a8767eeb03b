#include "file_check.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "operators.h"
#include "protobuf_reader.h"
#include "tensor_check.h"
#include "text.h"

namespace makemore {
namespace {

using ort::Field;
using ort::MessageReader;
using ort::Wire;

constexpr std::size_t kMaxNodes = 20'000;  // of the graph, with those of each function it calls
constexpr std::size_t kMaxMetadata = std::size_t{16} << 20;  // bytes
constexpr std::size_t kMaxText = 1000;                       // bytes of an attribute
constexpr int kMaxDepth = 16;                                // of graphs within nodes
constexpr std::string_view kDomain = "makemore";
constexpr const char* kTrust = "; trust=True loads a file whose source you trust";

/// The last value of a field of bytes, as parsers take it.
std::string_view last(std::string_view message, std::uint32_t number) {
  std::string_view found;
  Field field;
  for (MessageReader reader(message); reader.next(field);) {
    if (field.number == number) found = field.as_bytes();
  }
  return found;
}

class FileCheck {
 public:
  explicit FileCheck(bool trust) : trust_(trust) {}

  void model(std::string_view bytes);

 private:
  void function(std::string_view bytes);
  void graph(std::string_view bytes, int depth);
  void node(std::string_view bytes, int depth, bool in_function);
  void operation(std::string_view domain, std::string_view op, bool in_function);
  void attribute(std::string_view bytes, std::string_view op, int depth);
  void require_range(const Field& field, std::string_view op, std::string_view name) const;
  void count_nodes(std::size_t more);

  bool trust_;
  std::map<std::pair<std::string_view, std::string_view>, std::size_t> functions_;  // their nodes
  std::size_t nodes_ = 0;
};

void FileCheck::model(std::string_view bytes) {
  enum { kGraph = 7, kMetadata = 14, kFunction = 25 };
  std::optional<std::string_view> graph_bytes;
  std::size_t metadata = 0;
  Field field;
  for (MessageReader reader(bytes); reader.next(field);) {
    if (field.number == kFunction) function(field.as_bytes());
    if (field.number == kMetadata) metadata += field.as_bytes().size();
    if (field.number != kGraph) continue;
    if (graph_bytes) throw ArtifactError("it has two graphs");
    graph_bytes = field.as_bytes();
  }
  if (!graph_bytes) throw ArtifactError("it has no graph");
  if (metadata > kMaxMetadata) {
    throw ArtifactError("it has " + std::to_string(metadata) + " bytes of metadata; the limit is " +
                        std::to_string(kMaxMetadata));
  }
  graph(*graph_bytes, 0);
}

void FileCheck::function(std::string_view bytes) {
  enum { kName = 1, kNode = 7, kFunctionDomain = 10, kDefault = 11 };
  const std::string_view domain = last(bytes, kFunctionDomain), name = last(bytes, kName);
  if (!trust_ && domain != kDomain) {
    throw ArtifactError("it has a function " + in_quotes(name) + " of domain " + in_quotes(domain) +
                        "; those of domain " + in_quotes(kDomain) + " are known" + kTrust);
  }
  Field field;
  const std::size_t before = std::exchange(nodes_, 0);
  for (MessageReader reader(bytes); reader.next(field);) {
    if (field.number == kNode) node(field.as_bytes(), 0, true);
    if (field.number == kDefault) attribute(field.as_bytes(), name, 0);
  }
  functions_[{domain, name}] += std::exchange(nodes_, before);
}

void FileCheck::graph(std::string_view bytes, int depth) {
  enum { kNode = 1, kInitializer = 5, kSparse = 15 };
  if (depth > kMaxDepth) throw ArtifactError("its graphs lie too deep in each other");
  Field field;
  for (MessageReader reader(bytes); reader.next(field);) {
    if (field.number == kNode) node(field.as_bytes(), depth, false);
    if (field.number == kInitializer) check_tensor(field.as_bytes());
    if (field.number == kSparse) throw ArtifactError("it has a sparse tensor; all must be dense");
  }
}

void FileCheck::node(std::string_view bytes, int depth, bool in_function) {
  enum { kOp = 4, kAttribute = 5, kNodeDomain = 7 };
  const std::string_view op = last(bytes, kOp);
  operation(last(bytes, kNodeDomain), op, in_function);
  Field field;
  for (MessageReader reader(bytes); reader.next(field);) {
    if (field.number == kAttribute) attribute(field.as_bytes(), op, depth);
  }
}

void FileCheck::operation(std::string_view domain, std::string_view op, bool in_function) {
  count_nodes(1);
  const bool standard = domain.empty() || domain == "ai.onnx";
  if (standard && is_random(op)) {
    throw ArtifactError("it has a node " + in_quotes(op) +
                        ": with random numbers a seed would not give the same strings again");
  }
  if (trust_ || (standard && is_known(op))) return;
  const auto called = functions_.find({domain, op});
  if (called != functions_.end() && !in_function) return count_nodes(called->second);
  if (domain == kDomain && !in_function) {
    throw ArtifactError("it calls a function " + in_quotes(op) + ", which it does not hold");
  }
  throw ArtifactError("it has a node " + in_quotes(op) +
                      (standard ? std::string() : " of domain " + in_quotes(domain)) +
                      ", an operator that no step needs" + kTrust);
}

void FileCheck::count_nodes(std::size_t more) {
  nodes_ += more;
  if (nodes_ > kMaxNodes && !trust_) {
    throw ArtifactError("it has more than " + std::to_string(kMaxNodes) + " nodes" + kTrust);
  }
}

void FileCheck::attribute(std::string_view bytes, std::string_view op, int depth) {
  enum { kName = 1, kInt = 3, kText = 4, kTensor = 5, kGraph = 6, kInts = 8, kTexts = 9 };
  enum { kTensors = 10, kGraphs = 11, kType = 14, kTypes = 15, kReference = 21, kSparse = 22 };
  enum { kSparses = 23 };
  const std::string_view name = last(bytes, kName);
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
        check_tensor(field.as_bytes());
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
  const auto require = [&](std::uint64_t value) {
    const auto found = static_cast<std::int64_t>(value);
    if (trust_ || (found >= range.low && found <= range.high)) return;
    throw ArtifactError("attribute " + in_quotes(name) + " of a node " + in_quotes(op) + " is " +
                        std::to_string(found) + "; it must be >= " + std::to_string(range.low) +
                        " and <= " + std::to_string(range.high));
  };
  if (field.wire == Wire::kVarint) return require(field.value);
  MessageReader list(field.as_bytes());
  while (!list.at_end()) require(list.varint());
}

}  // namespace

void check_file(std::string_view bytes, bool trust) { FileCheck(trust).model(bytes); }

}  // namespace makemore
