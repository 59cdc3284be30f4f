// SPDX-License-Identifier: Apache-2.0
#include "graph/execute.h"

#include <gtest/gtest.h>

#include <limits>

#include "graph/models.h"
#include "graph/simplify.h"

namespace tacit::graph {
namespace {

class GoodModel : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    Result<Graph> loaded = load_onnx(good_path(GetParam()));
    ASSERT_TRUE(loaded.ok()) << loaded.error().to_line();
    graph = std::move(loaded).value();
    Result<NpyArray> input = load_npy(good_path(GetParam()).replace_extension("input.npy"));
    Result<NpyArray> output = load_npy(good_path(GetParam()).replace_extension("output.npy"));
    ASSERT_TRUE(input.ok() && output.ok());
    const Shape& shape = graph.input_shape();
    ASSERT_EQ(input->shape, (std::vector<std::int64_t>{3, shape.channels, shape.height, shape.width}));
    inputs = to_tensors(*input, shape);
    wanted = output->data;
  }

  void expect_outputs(const Graph& network) {
    Result<std::vector<Tensor>> outputs = execute_batch(network, inputs);
    ASSERT_TRUE(outputs.ok()) << outputs.error().to_line();
    std::vector<float> found;
    for (Tensor& output : *outputs) {
      Tensor shown = apply(network.output_function, std::move(output));
      found.insert(found.end(), shown.data.begin(), shown.data.end());
    }
    expect_close(found, wanted, 1e-4);
  }

  Graph graph;
  std::vector<Tensor> inputs;
  std::vector<float> wanted;
};

TEST_P(GoodModel, ComputesWhatPyTorchComputes) { expect_outputs(graph); }

TEST_P(GoodModel, ComputesTheSameWhenSimplified) {
  Graph simple = simplify(graph);
  Status valid = validate(simple);
  ASSERT_TRUE(valid.ok()) << valid.error().to_line();
  EXPECT_LE(simple.nodes.size(), graph.nodes.size());
  EXPECT_EQ(simple.input_name, graph.input_name);
  EXPECT_EQ(simple.output_name, graph.output_name);
  EXPECT_EQ(simple.output_shape(), graph.output_shape());
  expect_outputs(simple);
  EXPECT_EQ(simplify(simple).nodes.size(), simple.nodes.size());
}

TEST_P(GoodModel, ReturnsEveryValue) {
  Result<std::vector<Tensor>> values = execute_all(graph, inputs[0]);
  ASSERT_TRUE(values.ok());
  ASSERT_EQ(values->size(), graph.values.size());
  for (std::size_t i = 0; i < values->size(); ++i) {
    EXPECT_EQ((*values)[i].shape, graph.values[i].shape);
    EXPECT_EQ(static_cast<std::int64_t>((*values)[i].data.size()), graph.values[i].shape.size());
  }
  EXPECT_EQ((*values)[Graph::kInput].data, inputs[0].data);
  Result<Tensor> output = execute(graph, inputs[0]);
  ASSERT_TRUE(output.ok());
  EXPECT_EQ((*values)[graph.output].data, output->data);
}

INSTANTIATE_TEST_SUITE_P(Models, GoodModel, testing::ValuesIn(good_names()),
                         [](const auto& test) { return test.param; });

TEST(GoodModels, AreMany) { EXPECT_GE(good_names().size(), 100u); }

Tensor ramp(const Shape& shape) {
  Tensor tensor{shape, {}};
  for (std::int64_t i = 0; i < shape.size(); ++i) tensor.data.push_back(static_cast<float>(i));
  return tensor;
}

TEST(Execute, RefusesAnotherShape) {
  Graph graph = make_graph({2, 3, 4});
  ASSERT_TRUE(append(graph, Square{}, "square", {Graph::kInput}).ok());
  Result<Tensor> wrong = execute(graph, ramp({2, 4, 3}));
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, ErrorCode::kTensorShape);
  EXPECT_NE(wrong.error().message.find("2x4x3"), std::string::npos);
  EXPECT_NE(wrong.error().message.find("2x3x4"), std::string::npos);

  Tensor short_data = ramp({2, 3, 4});
  short_data.data.pop_back();
  EXPECT_EQ(execute(graph, short_data).error().code, ErrorCode::kTensorShape);

  std::vector<Tensor> batch = {ramp({2, 3, 4}), short_data};
  Result<std::vector<Tensor>> outputs = execute_batch(graph, batch);
  ASSERT_FALSE(outputs.ok());
  EXPECT_TRUE(outputs.error().message.starts_with("image 1: ")) << outputs.error().message;
}

TEST(Execute, RefusesAnInvalidGraph) {
  Graph graph = make_graph({1, 2, 2});
  ASSERT_TRUE(append(graph, ChannelAffine{{1}, {0}}, "affine", {Graph::kInput}).ok());
  std::get<ChannelAffine>(graph.nodes[0].operation).scale[0] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(execute(graph, ramp({1, 2, 2})).error().code, ErrorCode::kGraphInvalid);
}

TEST(Execute, ConvolvesWithPaddingStrideAndGroupsByHand) {
  // Two groups of one channel; kernels that pick a neighbour make every place easy to check.
  Conv conv;
  conv.in_channels = 2;
  conv.out_channels = 2;
  conv.groups = 2;
  conv.kernel = {1, 2};
  conv.stride = {1, 2};
  conv.pads = {0, 1, 0, 0};
  conv.weights = {1, 10, 0, 3};
  conv.bias = {0.5f, -1};
  Graph graph = make_graph({2, 1, 3});
  ASSERT_TRUE(append(graph, conv, "conv", {Graph::kInput}).ok());
  Result<Tensor> output = execute(graph, {{2, 1, 3}, {1, 2, 3, 4, 5, 6}});
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(output->shape, (Shape{2, 1, 2}));
  // Channel 0: 0*1 + 1*10 + 0.5 and 2*1 + 3*10 + 0.5; channel 1: 4*3 - 1 and 6*3 - 1.
  EXPECT_EQ(output->data, (std::vector<float>{10.5f, 32.5f, 11, 17}));
}

TEST(Execute, TakesMaximaByHand) {
  // Padding does not count, not even beside negative numbers; the taps are two columns apart.
  Graph graph = make_graph({1, 2, 4});
  ASSERT_TRUE(append(graph, MaxPool{{2, 2}, {1, 1}, {1, 2}, {1, 1, 0, 0}}, "pool", {Graph::kInput}).ok());
  Result<Tensor> output = execute(graph, {{1, 2, 4}, {-9, -2, -3, -4, -5, -6, -7, -8}});
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(output->shape, (Shape{1, 2, 3}));
  EXPECT_EQ(output->data, (std::vector<float>{-2, -3, -2, -2, -3, -2}));
}

TEST(Execute, JoinsAndPermutesByHand) {
  Graph graph = make_graph({2, 1, 2});
  ValueId turned = *append(graph, Permute{{2, 1, 2}, {3, 2, 1, 0}}, "turn", {Graph::kInput});
  ASSERT_TRUE(append(graph, Concat{}, "join", {Graph::kInput, turned, Graph::kInput}).ok());
  Result<Tensor> output = execute(graph, {{2, 1, 2}, {1, 2, 3, 4}});
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(output->shape, (Shape{6, 1, 2}));
  EXPECT_EQ(output->data, (std::vector<float>{1, 2, 3, 4, 4, 3, 2, 1, 1, 2, 3, 4}));
}

TEST(Execute, AddsInDoublePrecision) {
  // 2^24 + 1 - 2^24 is 0 in float32.
  Graph graph = make_graph({3, 1, 1});
  ASSERT_TRUE(append(graph, Dense{3, 1, {1, 1, 1}, {0}}, "dense", {Graph::kInput}).ok());
  Result<Tensor> output = execute(graph, {{3, 1, 1}, {16777216.0f, 1, -16777216.0f}});
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(output->data[0], 1);
}

TEST(Execute, KeepsTheInputWhereNothingIsComputed) {
  Graph graph = make_graph({1, 2, 2});
  Result<Tensor> output = execute(graph, ramp({1, 2, 2}));
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(output->data, ramp({1, 2, 2}).data);
}

TEST(Execute, AppliesSoftmaxWithoutOverflow) {
  Tensor scores{{3, 1, 1}, {1000, 1000, -1000}};
  Tensor shares = apply(OutputFunction::kSoftmax, scores);
  EXPECT_FLOAT_EQ(shares.data[0], 0.5f);
  EXPECT_FLOAT_EQ(shares.data[2], 0);
  Tensor logarithms = apply(OutputFunction::kLogSoftmax, scores);
  EXPECT_FLOAT_EQ(logarithms.data[1], std::log(0.5f));
  EXPECT_FLOAT_EQ(logarithms.data[2], -2000 + std::log(0.5f));
  EXPECT_EQ(apply(OutputFunction::kIdentity, scores).data, scores.data);
  EXPECT_EQ(apply(OutputFunction::kArgMax, scores).data, (std::vector<float>{0}));
  EXPECT_EQ(apply(OutputFunction::kArgMax, {{3, 1, 1}, {-2, -1, -3}}).data, (std::vector<float>{1}));
}

}  // namespace
}  // namespace tacit::graph
