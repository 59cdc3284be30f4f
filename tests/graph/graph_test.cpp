// SPDX-License-Identifier: Apache-2.0
#include "graph/graph.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "graph/text.h"

namespace tacit::graph {
namespace {

Conv make_conv(std::int64_t in, std::int64_t out, Extent kernel) {
  Conv conv;
  conv.in_channels = in;
  conv.out_channels = out;
  conv.kernel = kernel;
  conv.weights.assign(static_cast<std::size_t>(in * out * kernel.height * kernel.width), 1);
  conv.bias.assign(static_cast<std::size_t>(out), 0);
  return conv;
}

Shape shape_of(const Operation& operation, const Shape& input) {
  Result<Shape> shape = infer_shape(operation, {input});
  EXPECT_TRUE(shape.ok()) << shape.error().message;
  return shape.ok() ? *shape : Shape{0, 0, 0};
}

TEST(Shapes, OfConvolutions) {
  Conv conv = make_conv(3, 8, {3, 5});
  EXPECT_EQ(shape_of(conv, {3, 10, 12}), (Shape{8, 8, 8}));
  conv.stride = {2, 3};
  EXPECT_EQ(shape_of(conv, {3, 10, 12}), (Shape{8, 4, 3}));
  conv.pads = {1, 2, 0, 2};
  EXPECT_EQ(shape_of(conv, {3, 10, 12}), (Shape{8, 5, 4}));
  conv.dilation = {4, 1};
  EXPECT_EQ(shape_of(conv, {3, 10, 12}), (Shape{8, 2, 4}));
  EXPECT_FALSE(infer_shape(conv, {{4, 10, 12}}).ok());
  EXPECT_FALSE(infer_shape(conv, {{3, 7, 12}}).ok());
  conv.bias.push_back(0);
  EXPECT_FALSE(infer_shape(conv, {{3, 10, 12}}).ok());
}

TEST(Shapes, OfOtherOperations) {
  EXPECT_EQ(shape_of(AveragePool{{2, 3}, {2, 1}, {0, 1, 0, 1}, true}, {4, 7, 6}), (Shape{4, 3, 6}));
  EXPECT_EQ(shape_of(Dense{12, 2, std::vector<float>(24), {0, 0}}, {3, 2, 2}), (Shape{2, 1, 1}));
  EXPECT_EQ(shape_of(Pad{{1, 2, 3, 4}}, {2, 5, 5}), (Shape{2, 9, 11}));
  EXPECT_EQ(shape_of(Reshape{{4, 5, 1}}, {2, 10, 1}), (Shape{4, 5, 1}));
  EXPECT_EQ(*infer_shape(Add{}, {{2, 3, 4}, {2, 3, 4}}), (Shape{2, 3, 4}));
  EXPECT_EQ(*infer_shape(Concat{}, {{2, 3, 4}, {1, 3, 4}, {5, 3, 4}}), (Shape{8, 3, 4}));
  EXPECT_EQ(shape_of(MaxPool{{2, 3}, {2, 1}, {3, 1}, {0, 1, 2, 1}}, {4, 7, 6}), (Shape{4, 3, 6}));
  EXPECT_EQ(shape_of(Permute{{2, 1, 2}, {3, 1, 0, 2}}, {1, 4, 1}), (Shape{2, 1, 2}));
}

TEST(Shapes, AreRefusedNamingBoth) {
  struct Case {
    Operation operation;
    std::vector<Shape> inputs;
    std::vector<std::string> words;
  };
  const std::int64_t huge = std::int64_t{1} << 62;
  const Case cases[] = {
      {Add{}, {{1, 2, 3}, {3, 2, 1}}, {"1x2x3", "3x2x1"}},
      {Add{}, {{1, 2, 3}}, {"2 input", "not 1"}},
      {Square{}, {{1, 2, 3}, {1, 2, 3}}, {"1 input", "not 2"}},
      {Dense{12, 2, std::vector<float>(24), {0, 0}}, {{3, 3, 2}}, {"2x12", "3x3x2"}},
      {Dense{12, 2, std::vector<float>(23), {0, 0}}, {{12, 1, 1}}, {"23 elements"}},
      {Dense{12, 2, std::vector<float>(24), {0}}, {{12, 1, 1}}, {"bias"}},
      {ChannelAffine{{1, 1}, {0, 0}}, {{3, 1, 1}}, {"3x1x1", "channel"}},
      {ElementAffine{{1, 1}, {0, 0}}, {{2, 1, 2}}, {"2x1x2", "element"}},
      {Reshape{{5, 5, 1}}, {{4, 5, 1}}, {"4x5x1", "5x5x1"}},
      {Reshape{{-4, -5, 1}}, {{4, 5, 1}}, {"-4x-5x1"}},
      {Reshape{{huge, 4, 1}}, {{4, 5, 1}}, {"larger"}},
      {Concat{}, {{1, 2, 3}, {1, 3, 2}}, {"1x2x3", "1x3x2", "heights and widths"}},
      {Concat{}, {{1, 2, 3}}, {"2 or more input", "not 1"}},
      {Concat{}, {{1 << 25, 1, 2}, {1, 1, 2}}, {"larger"}},
      {MaxPool{{2, 2}, {1, 1}, {}, {2, 0, 0, 0}}, {{1, 4, 4}}, {"padding alone", "2x2", "1x4x4"}},
      {MaxPool{{2, 2}, {1, 1}, {}, {0, 0, 0, 2}}, {{1, 4, 4}}, {"padding alone"}},
      {MaxPool{{2, 2}, {1, 1}, {1, 9}, {0, 8, 0, 8}}, {{1, 4, 4}}, {"padding alone"}},
      {MaxPool{{5, 2}, {1, 1}, {}, {}}, {{1, 4, 4}}, {"5x2", "1x4x4"}},
      {Permute{{4, 1, 1}, {0, 1, 2, 2}}, {{1, 2, 2}}, {"1x2x2", "permutation"}},
      {Permute{{4, 1, 1}, {0, 1, 2, 4}}, {{1, 2, 2}}, {"1x2x2", "permutation"}},
      {Permute{{4, 1, 1}, {0, 1, 2}}, {{1, 2, 2}}, {"1x2x2", "permutation"}},
      {Permute{{5, 1, 1}, {0, 1, 2, 3, 4}}, {{1, 2, 2}}, {"1x2x2", "5x1x1"}},
      {Pad{{huge, 0, 0, 0}}, {{4, 5, 1}}, {"padding"}},
      {Pad{{0, -1, 0, 0}}, {{4, 5, 5}}, {"padding"}},
      {Pad{{1 << 20, 1 << 20, 0, 0}}, {{1, 1, 1}}, {"larger"}},
      {AveragePool{{2, 2}, {0, 1}, {}, false}, {{1, 4, 4}}, {"0x1"}},
      {AveragePool{{2, 2}, {1, 1}, {2, 0, 0, 0}, true}, {{1, 4, 4}}, {"padding", "2x2"}},
      {AveragePool{{5, 2}, {1, 1}, {}, false}, {{1, 4, 4}}, {"5x2", "1x4x4"}},
  };
  for (const Case& wrong : cases) {
    Result<Shape> shape = infer_shape(wrong.operation, wrong.inputs);
    ASSERT_FALSE(shape.ok()) << wrong.words.front();
    EXPECT_EQ(shape.error().code, ErrorCode::kOnnxShape);
    for (const std::string& word : wrong.words) {
      EXPECT_NE(shape.error().message.find(word), std::string::npos)
          << word << " in " << shape.error().message;
    }
  }
}

TEST(GraphTest, AppendsAndCountsUses) {
  Graph graph = make_graph({3, 4, 4}, "image");
  ValueId conv = *append(graph, make_conv(3, 2, {1, 1}), "conv", {Graph::kInput});
  ValueId square = *append(graph, Square{}, "square", {conv});
  ValueId sum = *append(graph, Add{}, "sum", {conv, square});
  EXPECT_TRUE(validate(graph).ok());
  EXPECT_EQ(graph.output, sum);
  EXPECT_EQ(graph.output_name, "sum");
  EXPECT_EQ(graph.output_shape(), (Shape{2, 4, 4}));
  EXPECT_EQ(count_uses(graph), (std::vector<int>{1, 2, 1, 1}));

  Result<ValueId> wrong = append(graph, Add{}, "bad", {Graph::kInput, conv});
  ASSERT_FALSE(wrong.ok());
  EXPECT_TRUE(wrong.error().message.starts_with("node \"bad\" (Add): ")) << wrong.error().message;
  EXPECT_EQ(append(graph, Square{}, "far", {99}).error().code, ErrorCode::kGraphInvalid);
  EXPECT_EQ(graph.values.size(), 4u);
  EXPECT_TRUE(validate(graph).ok());
}

TEST(GraphTest, ValidateFindsContradictions) {
  Graph good = make_graph({2, 4, 4});
  ValueId a = *append(good, ChannelAffine{{1, 2}, {0, 0}}, "a", {Graph::kInput});
  ValueId b = *append(good, Square{}, "b", {a});
  ASSERT_TRUE(validate(good).ok());

  auto expect_invalid = [&](auto change) {
    Graph graph = good;
    change(graph);
    Status status = validate(graph);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kGraphInvalid);
  };
  expect_invalid([](Graph& graph) { graph.values.clear(); });
  expect_invalid([](Graph& graph) { graph.output = 7; });
  expect_invalid([](Graph& graph) { graph.nodes.pop_back(); });
  expect_invalid([](Graph& graph) { std::swap(graph.nodes[0], graph.nodes[1]); });
  expect_invalid([&](Graph& graph) { graph.nodes[1].inputs = {b}; });
  expect_invalid([&](Graph& graph) { graph.nodes[1].output = a; });
  expect_invalid([](Graph& graph) { graph.nodes[0].output = Graph::kInput; });
  expect_invalid([](Graph& graph) { graph.nodes[0].inputs.clear(); });
  expect_invalid([&](Graph& graph) { graph.values[b].shape.height = 5; });
  expect_invalid([](Graph& graph) { graph.values[0].shape.channels = 0; });
  expect_invalid([](Graph& graph) { graph.values[0].shape = {1 << 26, 1 << 26, 1 << 26}; });
  expect_invalid([](Graph& graph) {
    std::get<ChannelAffine>(graph.nodes[0].operation).shift[1] = std::numeric_limits<float>::quiet_NaN();
  });
}

TEST(Text, ShowsNamesAndShapes) {
  EXPECT_EQ(in_quotes("x"), "\"x\"");
  EXPECT_EQ(dims_to_string({}), "scalar");
  EXPECT_EQ(to_string(Shape{3, 32, 16}), "3x32x16");
}

}  // namespace
}  // namespace tacit::graph
