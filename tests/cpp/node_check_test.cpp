// Nodes that are refused before ONNX Runtime sees them.
#include <doctest/doctest.h>

#include <string>

#include "written_files.h"

using namespace makemore;

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

TEST_CASE("an attribute has one value, of its type") {
  const auto file = [](const Message& attribute) {
    return refusal(model_of_node(with_attribute(node_of("Softmax"), attribute)));
  };
  CHECK(contains(file(Message(integer("axis", 1)).bytes(8, "\1")), "'axis' has values of two"));
  CHECK(contains(file(Message().bytes(1, "axis").bytes(8, "\1").number(20, 2)),
                 "'axis' is declared of type 2, but has a value of type 7"));
}

TEST_CASE("a node has fewer inputs, outputs, attributes and integers than fill the memory") {
  const auto with = [](std::uint64_t field, int count) {
    Message node = node_of("Concat");
    for (int i = 0; i < count; ++i) node.bytes(field, std::to_string(i));
    return refusal(model_of_node(node));
  };
  CHECK(with(1, 10'000) == "");
  CHECK(contains(with(1, 10'001), "a node 'Concat' has more than 10000 inputs"));
  CHECK(with(2, 10'000) == "");
  CHECK(contains(with(2, 10'001), "more than 10000 outputs"));
  Message node = node_of("Concat");
  for (int i = 0; i < 101; ++i) node.bytes(5, integer(std::to_string(i), 1));
  CHECK(contains(refusal(model_of_node(node)), "more than 100 attributes"));
  const auto list = [](std::size_t count) {
    const Message shape = Message().bytes(1, "value_ints").bytes(8, std::string(count, '\1'));
    return refusal(
        model_of_node(with_attribute(node_of("Constant"), Message(shape).number(20, 7))));
  };
  CHECK(list(10'000) == "");
  CHECK(contains(list(10'001), "more than 10000 integers in an attribute"));
  Message graph;
  for (int i = 0; i < 101; ++i) {
    Message many = node_of("Concat");
    for (int j = 0; j < 10'000; ++j) many.bytes(1, "v");
    graph.bytes(1, many);
  }
  CHECK(contains(refusal(model_of(graph)), "more than 1000000 inputs and outputs"));
  Message inputs;
  for (int i = 0; i < 200'000; ++i) inputs.bytes(11, Message().bytes(1, std::to_string(i)));
  CHECK(refusal(model_of(inputs)) == "");
  CHECK(contains(refusal(model_of(inputs.bytes(11, Message().bytes(1, "x")))),
                 "more than 200000 values"));
}

TEST_CASE("a value is made once") {
  const Message zero = tensor({1}, std::string(4, '\0'));  // its name is 'weights'
  const std::string both = "two values have the name 'weights'";
  const Message node = node_of("Shape").bytes(1, "x").bytes(2, "weights");
  const Message input = Message().bytes(1, "weights");
  const auto graph = [](const Message& message) { return refusal(model_of(message)); };
  CHECK(contains(graph(Message().bytes(5, zero).bytes(5, zero)), both));
  CHECK(contains(graph(Message().bytes(5, zero).bytes(1, node)), both));
  CHECK(contains(graph(Message().bytes(11, input).bytes(1, node)), both));
  CHECK(contains(graph(Message().bytes(11, input).bytes(11, input)), both));
  CHECK(contains(graph(Message().bytes(1, node).bytes(1, node)), both));
  CHECK(graph(Message().bytes(5, zero).bytes(11, input)) == "");  // as in old files
  const Message function = function_of("Step", Message(node)).bytes(4, "weights");
  CHECK(contains(refusal(model_of(Message()).bytes(25, function)), both));
  const Message cell = node_of("LSTM").bytes(2, "").bytes(2, "").bytes(2, "c");
  CHECK(graph(Message().bytes(1, cell)) == "");
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
  CHECK(division(Message().bytes(1, constant(Message(list).number(20, 7)))) == "");
  const Message number = Message().bytes(1, "value_float");
  CHECK(division(Message().bytes(1, constant(Message(number).number(20, 1)))) == "");
}

TEST_CASE("a divisor of int32 is what is left of it in 32 bits") {
  constexpr std::uint64_t kInt32s = 6, kOver = std::uint64_t{1} << 32;
  const auto listed = [](std::uint64_t number) {
    return division(Message().bytes(
        5, Message().number(1, 1).number(2, kInt32s).number(5, number).bytes(8, "divisor")));
  };
  CHECK(listed(5) == "");
  CHECK(listed(kOver + 5) == "");
  for (const std::uint64_t bad : {kOver, kOver - 1, kOver << 20}) CHECK(listed(bad) != "");
}

TEST_CASE("a constant is of the type that goes with its name") {
  const std::string refused = "a node 'Constant' must have one attribute";
  const auto named = [](const Message& attribute) {
    return division(Message().bytes(1, constant(attribute)));
  };
  // ONNX Runtime would make each of them an integer, 0.
  CHECK(contains(named(Message().bytes(1, "value_float").number(20, 2)), refused));
  CHECK(contains(named(Message().bytes(1, "value_floats").number(8, 0).number(20, 7)), refused));
  CHECK(contains(named(Message().bytes(1, "value_float")), refused));
  CHECK(contains(named(Message().bytes(1, "value_string").bytes(4, "x").number(20, 3)), refused));
  const Message two = with_attribute(constant(integer("value_int", 5)), integer("axis", 1));
  CHECK(contains(division(Message().bytes(1, two)), refused));
}

TEST_CASE("a function that bears the name of an operator is not known by its inputs") {
  const std::string two("\2\0\0\0\0\0\0\0", 8);
  const auto called = [&](const Message& call) {
    Message graph = Message().bytes(5, tensor_of(7, "two", two)).bytes(1, call);
    graph.bytes(1, node_of("Div").bytes(1, "x").bytes(1, "divisor").bytes(2, "y"));
    const Message body = node_of("Sub").bytes(1, "n").bytes(1, "n").bytes(2, "m");
    Message function = Message().bytes(1, "Identity").bytes(4, "n").bytes(5, "m").bytes(7, body);
    return refusal(model_of(graph).bytes(25, function.bytes(10, "makemore")));
  };
  CHECK(called(node_of("Identity").bytes(1, "two").bytes(2, "divisor")) == "");
  CHECK(contains(called(node_of("Identity", "makemore").bytes(1, "two").bytes(2, "divisor")),
                 "neither a float nor a constant above 0"));
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
