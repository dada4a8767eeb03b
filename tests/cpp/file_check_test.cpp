// Files that are refused before ONNX Runtime sees them.
#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <limits>
#include <string>

#include "written_files.h"

using namespace makemore;

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
  CHECK(contains(refusal(Message().bytes(7, graph).bytes(7, graph)), "a model has field 7 twice"));
  CHECK(contains(refusal(Message().number(7, 1)), "wrong kind"));
  CHECK(contains(refusal("\x3b"), "no known kind"));                   // 7, the start of a group
  CHECK(contains(refusal(std::string(1, '\0')), "without a number"));  // 0
  CHECK(contains(refusal("\xba\x80\x80\x80\x80\x01"), "without a number"));  // 7 + 2^32
  CHECK(contains(refusal("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "64 bits"));
  CHECK(contains(refusal("\x3a\x05"), "in the middle"));
}

TEST_CASE("a field that is not repeated comes once, as parsers merge messages") {
  const std::string twice = "twice; it may have it once";
  const Message two = Message().number(1, 1).number(2, 7).bytes(9, std::string(8, '\2'));
  const Message value = Message().bytes(1, "value").bytes(5, two).number(20, 4);
  const auto file = [](const Message& attribute) {
    return model_of_node(with_attribute(node_of("Constant").bytes(2, "y"), attribute));
  };
  CHECK(refusal(file(value)) == "");
  for (const bool trust : {false, true}) {
    CHECK(contains(refusal(file(Message(value).bytes(5, two)), trust),
                   "an attribute has field 5 " + twice));
  }
  CHECK(
      contains(refusal(file(Message(value).number(20, 4))), "an attribute has field 20 " + twice));
  CHECK(contains(refusal(model_of_node(node_of("Add").bytes(4, "Loop"))),
                 "a node has field 4 " + twice));
  CHECK(contains(refusal(model_of(Message().bytes(2, "g").bytes(2, "g"))), "a graph has field 2"));
  CHECK(contains(refusal(model_of_tensor(Message(two).number(2, 1))), "a tensor has field 2"));
  CHECK(contains(refusal(model_of(Message()).bytes(25, Message().bytes(1, "a").bytes(1, "b"))),
                 "a function has field 1"));
  const Message type = Message().bytes(1, Message().number(1, 7));
  const auto input = [](const Message& value_info) {
    return refusal(model_of(Message().bytes(11, value_info)));
  };
  CHECK(input(Message().bytes(1, "x").bytes(2, type)) == "");
  CHECK(contains(input(Message().bytes(1, "x").bytes(2, type).bytes(2, type)), "an input has"));
  CHECK(contains(input(Message().bytes(1, "x").bytes(2, Message(type).bytes(1, "\x08\x01"))),
                 "a type has field 1"));
  CHECK(contains(input(Message().bytes(1, "x").bytes(
                     2, Message().bytes(1, Message().number(1, 7).number(1, 1)))),
                 "the type of a tensor has field 1"));
}

TEST_CASE("a number that is not repeated is not packed, which parsers do not read") {
  const auto file = [](const Message& attribute) {
    return refusal(model_of_node(with_attribute(node_of("Cast").bytes(2, "y"), attribute)));
  };
  const Message named = Message().bytes(1, "to");
  const std::string packed(1, '\1');
  CHECK(file(Message(named).number(3, 7).number(20, 2)) == "");
  CHECK(contains(file(Message(named).bytes(3, packed).number(20, 2)),
                 "field 3 of an attribute is of the wrong kind, wire type 2"));
  CHECK(contains(file(Message(named).number(3, 7).bytes(20, packed)), "field 20 of an attribute"));
  CHECK(contains(file(Message(named).bytes(2, "1234")), "field 2 of an attribute"));
  CHECK(contains(file(Message(named).number(9, 1)), "field 9 of an attribute"));
  CHECK(contains(refusal(model_of_tensor(tensor({2}, std::string(8, 'x')).bytes(14, packed))),
                 "field 14 of a tensor"));
}

TEST_CASE("a file that is ONNX Runtime's own format, too, is refused") {
  const std::string file = Message().number(1, 8).bytes(2, "ORTM").bytes(7, Message());
  CHECK(file.substr(4, 4) == "ORTM");
  for (const bool trust : {false, true}) CHECK(contains(refusal(file, trust), "'ORTM'"));
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
                 "tensor 'weights' has more than 8 axes"));
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
  CHECK(contains(refusal(model_of_tensor(Message().number(2, 8))), "element type 8"));
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

TEST_CASE("a tensor of very many axes is refused at the ninth") {
  const std::string axes(std::size_t{16} << 20, '\1');
  for (const bool trust : {false, true}) {
    CHECK(contains(refusal(model_of_tensor(Message().bytes(1, axes).bytes(8, "weights")), trust),
                   "tensor 'weights' has more than 8 axes"));
  }
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
