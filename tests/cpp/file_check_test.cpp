// Files that are refused before ONNX Runtime sees them, written field by field (see onnx.proto).
#include "file_check.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <limits>
#include <string>

#include "errors.h"
#include "graph_builder.h"
#include "operators.h"

using namespace makemore;
using ort::Message;

namespace {

Message node_of(const std::string& op, const std::string& domain = "") {
  return Message().bytes(4, op).bytes(7, domain);
}

Message with_attribute(Message node, const Message& attribute) { return node.bytes(5, attribute); }

Message integer(const std::string& name, std::int64_t value) {
  return Message().bytes(1, name).number(3, static_cast<std::uint64_t>(value)).number(20, 2);
}

/// A tensor of floats.
Message tensor(const std::vector<std::uint64_t>& shape, const std::string& raw) {
  Message tensor = Message().number(2, 1).bytes(8, "weights").bytes(9, raw);
  for (const std::uint64_t size : shape) tensor.number(1, size);
  return tensor;
}

Message model_of(const Message& graph) { return Message().number(1, 8).bytes(7, graph); }
Message model_of_node(const Message& node) { return model_of(Message().bytes(1, node)); }
Message model_of_tensor(const Message& tensor) { return model_of(Message().bytes(5, tensor)); }

Message function_of(const std::string& name, const Message& node,
                    const std::string& domain = "makemore") {
  return Message().bytes(1, name).bytes(7, node).bytes(10, domain);
}

std::string refusal(const std::string& bytes, bool trust = false) {
  try {
    check_file(bytes, trust);
  } catch (const ArtifactError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the artifacts are accepted") {
  for (const char* name : {"bigram", "cache", "fused", "half", "history", "sparse"}) {
    std::ifstream file(std::string(ARTIFACTS "/") + name + "/model.onnx", std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    CHECK(refusal(bytes) == "");
    CHECK(refusal(bytes, true) == "");
  }
}

TEST_CASE("a file that is cut off anywhere is refused, or holds less") {
  std::ifstream file(ARTIFACTS "/fused/model.onnx", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::size_t accepted = 0;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    accepted += refusal(bytes.substr(0, size)) == "" ? 1 : 0;
  }
  CHECK(accepted < 5);  // at the ends of fields after the graph
}

TEST_CASE("bytes that parsers read differently are refused") {
  const std::string graph = Message().bytes(1, node_of("Add"));
  CHECK(contains(refusal(""), "no graph"));
  CHECK(contains(refusal(Message().bytes(7, graph).bytes(7, graph)), "two graphs"));
  CHECK(contains(refusal(Message().number(7, 1)), "wrong kind"));
  CHECK(contains(refusal("\x3b"), "no known kind"));                   // 7, the start of a group
  CHECK(contains(refusal(std::string(1, '\0')), "without a number"));  // 0
  CHECK(contains(refusal("\xba\x80\x80\x80\x80\x01"), "without a number"));  // 7 + 2^32
  CHECK(contains(refusal("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "64 bits"));
  CHECK(contains(refusal("\x3a\x05"), "in the middle"));
}

TEST_CASE("operators that no step needs are refused by name, but for trusted files") {
  for (const char* op : {"Loop", "If", "Scan", "SequenceMap", "NonZero", "TfIdfVectorizer"}) {
    const std::string file = model_of_node(node_of(op));
    CHECK(contains(refusal(file), "it has a node '" + std::string(op) + "', an operator that no"));
    CHECK(contains(refusal(file), "trust=True"));
    CHECK(refusal(file, true) == "");
  }
  const std::string other = model_of_node(node_of("Add", "com.microsoft"));
  CHECK(contains(refusal(other), "'Add' of domain 'com.microsoft'"));
  CHECK(refusal(other, true) == "");
  CHECK(refusal(model_of_node(node_of("Add", "ai.onnx"))) == "");
}

TEST_CASE("random numbers are refused from anybody") {
  for (const char* op : {"RandomNormal", "RandomUniformLike", "Multinomial", "Bernoulli"}) {
    for (const bool trust : {false, true}) {
      CHECK(contains(refusal(model_of_node(node_of(op)), trust), "random numbers"));
    }
  }
}

TEST_CASE("a graph within a node is refused, and looked into where the file is trusted") {
  const auto within = [](const Message& inner) {
    Message node = node_of("Add");
    return with_attribute(node, Message().bytes(1, "body").bytes(6, inner).number(20, 5));
  };
  const std::string known = model_of_node(within(Message().bytes(1, node_of("Add"))));
  CHECK(contains(refusal(known), "attribute 'body' of a node 'Add' is a graph"));
  CHECK(refusal(known, true) == "");
  const std::string random = model_of_node(within(Message().bytes(1, node_of("RandomNormal"))));
  CHECK(contains(refusal(random, true), "random numbers"));
  Message deep = Message().bytes(1, node_of("Add"));
  for (int i = 0; i < 100; ++i) deep = Message().bytes(1, within(deep));
  CHECK(contains(refusal(model_of(deep), true), "too deep"));
}

TEST_CASE("attributes out of range are refused") {
  constexpr auto kLowest = std::numeric_limits<std::int64_t>::min();
  const auto file = [](const char* op, const char* name, std::int64_t value) {
    return model_of_node(with_attribute(node_of(op), integer(name, value)));
  };
  for (const std::int64_t value : {kLowest, std::int64_t{-1}, std::int64_t{1}}) {
    CHECK(contains(refusal(file("GatherND", "batch_dims", value)),
                   "attribute 'batch_dims' of a node 'GatherND' is " + std::to_string(value)));
  }
  CHECK(refusal(file("GatherND", "batch_dims", 0)) == "");
  CHECK(refusal(file("Softmax", "axis", -1)) == "");
  CHECK(refusal(file("Softmax", "axis", 99)) != "");
  CHECK(refusal(file("Softmax", "axis", 99), true) == "");
  CHECK(refusal(file("Constant", "value_int", kLowest)) == "");
  const Message packed = Message().bytes(1, "perm").bytes(8, std::string("\x01\x7f", 2));
  CHECK(refusal(model_of_node(with_attribute(node_of("Transpose"), packed))) != "");
  const Message text = Message().bytes(1, "equation").bytes(4, std::string(2000, 'i'));
  CHECK(contains(refusal(model_of_node(with_attribute(node_of("Softmax"), text))), "too many"));
}

TEST_CASE("a tensor holds the numbers of its shape, in the file") {
  constexpr std::uint64_t kHuge = std::uint64_t{1} << 32;
  const std::string eight(8, 'x');
  CHECK(refusal(model_of_tensor(tensor({2}, eight))) == "");
  CHECK(refusal(model_of_tensor(tensor({1, 2}, eight))) == "");
  CHECK(contains(refusal(model_of_tensor(tensor({3}, eight))), "'weights' holds 2 numbers"));
  CHECK(contains(refusal(model_of_tensor(tensor({4, 0}, ""))), "a tensor without numbers"));
  CHECK(refusal(model_of_tensor(tensor({4, 0}, "")), true) == "");
  CHECK(contains(refusal(model_of_tensor(tensor({2}, "x" + eight))), "'weights' holds 2 numbers"));
  CHECK(contains(refusal(model_of_tensor(tensor({kHuge, kHuge}, ""))), "more than memory holds"));
  CHECK(contains(refusal(model_of_tensor(tensor({~std::uint64_t{0}}, eight))), "more than memory"));
  CHECK(contains(refusal(model_of_tensor(tensor(std::vector<std::uint64_t>(9, 1), "xxxx"))),
                 "9 axes"));
  const auto add = [&](auto change) {
    Message changed = tensor({2}, eight);
    change(changed);
    return refusal(model_of_tensor(changed));
  };
  CHECK(contains(add([](Message& m) { m.number(14, 1); }), "external data"));
  CHECK(contains(add([](Message& m) { m.bytes(13, Message().bytes(1, "location")); }),
                 "external data"));
  CHECK(add([](Message& m) { m.number(14, 0); }) == "");
  CHECK(contains(add([](Message& m) { m.bytes(6, "text"); }), "holds text"));
  CHECK(contains(add([](Message& m) { m.number(2, 8); }), "element type 8"));
  CHECK(contains(add([](Message& m) { m.bytes(4, std::string(4, 'x')); }), "holds 3 numbers"));
  CHECK(contains(refusal(model_of(Message().bytes(15, "x"))), "sparse"));
  // As attributes, too.
  const Message value = Message().bytes(1, "value").bytes(5, tensor({3}, eight));
  CHECK(contains(refusal(model_of_node(with_attribute(node_of("Constant"), value))), "2 numbers"));
}

TEST_CASE("numbers of a tensor may be listed") {
  const auto listed = [](std::uint64_t type, std::uint64_t field, const std::string& list) {
    return refusal(model_of_tensor(Message().number(1, 2).number(2, type).bytes(field, list)));
  };
  CHECK(listed(1, 4, std::string(8, 'x')) == "");             // floats
  CHECK(listed(11, 10, std::string(16, 'x')) == "");          // doubles
  CHECK(listed(7, 7, std::string("\xff\x01\x05", 3)) == "");  // int64s of two and one bytes
  CHECK(listed(10, 5, std::string("\x01\x05", 2)) == "");     // float16s, as int32s
  CHECK(listed(7, 7, std::string("\x01\x05\x06", 3)) != "");
  CHECK(refusal(model_of_tensor(Message().number(1, 2).number(2, 7).number(7, 5).number(7, 6))) ==
        "");
}

TEST_CASE("functions are of our domain, call none, and count with each call") {
  const auto file = [](const Message& function, int calls) {
    Message graph;
    for (int i = 0; i < calls; ++i) graph.bytes(1, node_of("Step", "makemore"));
    return model_of(graph).bytes(25, function);
  };
  CHECK(refusal(file(function_of("Step", node_of("Add")), 1)) == "");
  CHECK(contains(refusal(file(function_of("Other", node_of("Add")), 1)), "does not hold"));
  CHECK(contains(refusal(file(function_of("Step", node_of("Loop")), 1)), "'Loop'"));
  CHECK(contains(refusal(file(function_of("Step", node_of("Add"), "mine"), 1)), "domain 'mine'"));
  CHECK(contains(refusal(file(function_of("Step", node_of("Step", "makemore")), 1)), "'Step'"));
  const Message reference = Message().bytes(1, "axis").bytes(21, "from the caller").number(20, 2);
  const Message body = with_attribute(node_of("Softmax"), reference);
  CHECK(contains(refusal(file(function_of("Step", body), 1)), "'axis'"));
  Message large = function_of("Step", node_of("Add"));
  for (int i = 0; i < 1000; ++i) large.bytes(7, node_of("Add"));
  CHECK(refusal(file(large, 15)) == "");
  CHECK(contains(refusal(file(large, 25)), "more than 20000 nodes"));
  CHECK(refusal(file(large, 25), true) == "");
}

TEST_CASE("what is left out of a node is refused, but where it is optional") {
  const auto left_out = [](const char* op, std::uint64_t field) {
    return refusal(model_of_node(node_of(op).bytes(field, "x").bytes(field, "")));
  };
  constexpr std::uint64_t kInput = 1, kOutput = 2;
  CHECK(contains(left_out("Max", kInput), "of a node 'Max' is left out"));
  CHECK(contains(left_out("LayerNormalization", kInput), "'LayerNormalization' is left out"));
  CHECK(contains(left_out("Split", kOutput), "'Split' is left out"));
  CHECK(left_out("Clip", kInput) == "");
  CHECK(left_out("LSTM", kInput) == "");
  CHECK(left_out("LSTM", kOutput) == "");
}

TEST_CASE("a node has one attribute of a name") {
  const Message node =
      with_attribute(with_attribute(node_of("Softmax"), integer("axis", 1)), integer("axis", 0));
  CHECK(contains(refusal(model_of_node(node)), "two attributes 'axis'"));
}

TEST_CASE("a Split has as many outputs as it says") {
  const auto split = [](std::int64_t parts) {
    const Message node = node_of("Split").bytes(1, "x").bytes(2, "a").bytes(2, "b");
    return refusal(model_of_node(with_attribute(node, integer("num_outputs", parts))));
  };
  CHECK(split(2) == "");
  CHECK(contains(split(1), "has 2 outputs, but num_outputs is 1"));
  CHECK(split(2'000'000'000) != "");
}

namespace {

Message tensor_of(std::uint64_t type, const std::string& name, const std::string& raw) {
  return Message().number(1, 1).number(2, type).bytes(8, name).bytes(9, raw);
}

/// What becomes of a division by `divisor`, with other fields of the graph before it.
std::string division(Message graph, const char* op = "Div") {
  graph.bytes(1, node_of(op).bytes(1, "x").bytes(1, "divisor").bytes(2, "y"));
  return refusal(model_of(graph));
}

Message constant(const Message& attribute) {
  return with_attribute(node_of("Constant").bytes(2, "divisor"), attribute);
}

}  // namespace

TEST_CASE("integers are divided by constants above zero, and by nothing else") {
  const std::string two("\2\0\0\0\0\0\0\0", 8), none(8, '\0'), below(8, '\xff');
  constexpr std::uint64_t kFloats = 1, kInt64s = 7;
  for (const char* op : {"Div", "Mod"}) {
    CHECK(division(Message().bytes(5, tensor_of(kInt64s, "divisor", two)), op) == "");
    for (const std::string& bad : {none, below}) {
      CHECK(contains(division(Message().bytes(5, tensor_of(kInt64s, "divisor", bad)), op),
                     "neither a float nor a constant above 0"));
    }
    CHECK(division(Message().bytes(5, tensor_of(kFloats, "divisor", none.substr(0, 4))), op) == "");
    CHECK(division(Message(), op) != "");  // of unknown type
  }
  CHECK(division(Message().bytes(1, constant(integer("value_int", 5)))) == "");
  CHECK(division(Message().bytes(1, constant(integer("value_int", 0)))) != "");
  const Message list = Message().bytes(1, "value_ints").bytes(8, std::string("\1\2", 2));
  CHECK(division(Message().bytes(1, constant(list))) == "");
  CHECK(division(Message().bytes(1, constant(Message().bytes(1, "value_float")))) == "");
}

TEST_CASE("a table of numbers below zero is refused, as indices would count from the end") {
  const auto gather = [](std::uint64_t type, const std::string& raw) {
    Message graph = Message().bytes(5, tensor_of(type, "table", raw));
    graph.bytes(1, node_of("Gather").bytes(1, "table").bytes(1, "x").bytes(2, "y"));
    return refusal(model_of(graph));
  };
  constexpr std::uint64_t kFloats = 1, kInt32s = 6, kInt64s = 7;
  CHECK(gather(kInt64s, std::string(8, '\0')) == "");
  CHECK(contains(gather(kInt64s, std::string(8, '\xff')),
                 "table 'table' of a node 'Gather' holds -1; it must be >= 0"));
  CHECK(contains(gather(kInt32s, std::string(4, '\xff')), "holds -1"));
  CHECK(gather(kFloats, std::string(4, '\xff')) == "");
}

TEST_CASE("the type of a divisor follows from the nodes before it") {
  const auto computed = [](const Message& node, std::uint64_t input_type) {
    const Message type = Message().bytes(1, Message().number(1, input_type));
    return division(Message()
                        .bytes(11, Message().bytes(1, "input").bytes(2, type))
                        .bytes(1, Message(node).bytes(2, "divisor")));
  };
  constexpr std::uint64_t kFloats = 1, kInt64s = 7;
  CHECK(computed(node_of("Add").bytes(1, "input"), kFloats) == "");
  CHECK(computed(node_of("Add").bytes(1, "input"), kInt64s) != "");
  CHECK(computed(node_of("Shape").bytes(1, "input"), kFloats) != "");
  CHECK(computed(node_of("Equal").bytes(1, "input"), kFloats) != "");
  CHECK(computed(node_of("Sqrt").bytes(1, "unknown"), kFloats) == "");
  CHECK(computed(node_of("Where").bytes(1, "unknown").bytes(1, "input"), kFloats) == "");
  CHECK(computed(with_attribute(node_of("Cast").bytes(1, "input"), integer("to", 1)), kInt64s) ==
        "");
  CHECK(computed(with_attribute(node_of("Cast").bytes(1, "input"), integer("to", 7)), kFloats) !=
        "");
}

TEST_CASE("more metadata than an artifact has is refused") {
  const std::string file = model_of(Message());
  CHECK(refusal(file + std::string(Message().bytes(14, std::string(1000, 'x')))) == "");
  const std::string half(std::size_t{65} << 20, 'x');
  CHECK(contains(refusal(file + std::string(Message().bytes(14, half).bytes(14, half))),
                 "bytes of metadata; the limit is 134217728"));
}

TEST_CASE("what a message quotes is short and on one line") {
  const std::string name = "\x1b[31m\n" + std::string(100'000, 'x');
  const std::string text = refusal(model_of_node(node_of(name)));
  CHECK(text.size() < 300);
  CHECK(contains(text, "'\\x1b[31m xxx"));
}
