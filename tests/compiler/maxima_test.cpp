// SPDX-License-Identifier: Apache-2.0
// Graphs whose maxima are written with |x| against the graphs themselves.
#include "compiler/maxima.h"

#include "compiler/reference.h"
#include "networks.h"

namespace tacit::compiler {
namespace {

using test::Builder;

bool has_maxima(const graph::Graph& graph) {
  return std::ranges::any_of(graph.nodes, [](const graph::Node& node) {
    return std::holds_alternative<graph::MaxPool>(node.operation);
  });
}

WithoutMaxima expect_same(const graph::Graph& graph) {
  auto replaced = replace_maxima(graph, {});
  EXPECT_TRUE(replaced.ok()) << (replaced.ok() ? "" : replaced.error().to_line());
  if (!replaced.ok()) return {};
  EXPECT_FALSE(has_maxima(replaced->graph));
  const Status valid = graph::validate(replaced->graph);
  EXPECT_TRUE(valid.ok()) << valid.error().to_line();
  EXPECT_EQ(replaced->client.size(), replaced->graph.nodes.size());
  const Approximations none(graph.nodes.size()), none_after(replaced->graph.nodes.size());
  for (const graph::Tensor& image : test::random_images(graph.input_shape(), 3)) {
    const Elements input(image.data.begin(), image.data.end());
    const Elements expected = evaluate_graph(graph, none, input),
                   actual = evaluate_graph(replaced->graph, none_after, input);
    EXPECT_EQ(actual.size(), expected.size());
    for (std::size_t i = 0; i < std::min(actual.size(), expected.size()); ++i)
      EXPECT_NEAR(actual[i], expected[i], 1e-12);
  }
  return std::move(*replaced);
}

int absolute_values(const graph::Graph& graph) {
  return static_cast<int>(std::ranges::count_if(graph.nodes, [](const graph::Node& node) {
    const auto* activation = std::get_if<Activation>(&node.operation);
    return activation != nullptr && is_absolute_value(*activation);
  }));
}

TEST(Maxima, EveryWindowIsTheSame) {
  for (const graph::Extent kernel : {graph::Extent{2, 2}, {3, 3}, {1, 2}, {3, 1}, {2, 5}, {4, 3}})
    for (const graph::Extent stride : {graph::Extent{1, 1}, {2, 2}, {1, 3}})
      for (const graph::Extent dilation : {graph::Extent{1, 1}, {2, 1}})
        for (const graph::Pads pads : {graph::Pads{}, graph::Pads{0, 1, 0, 0}, graph::Pads{1, 0, 1, 0}}) {
          if (pads.left >= kernel.width || pads.top >= kernel.height) continue;
          SCOPED_TRACE(std::to_string(kernel.height) + "x" + std::to_string(kernel.width));
          Builder builder({2, 9, 10});
          builder.conv("conv", 3, 2);
          builder.activation("relu", ActivationKind::kRelu);
          builder.then(graph::MaxPool{kernel, stride, dilation, pads}, "pool");
          builder.conv("last", 2, 1);
          expect_same(builder.take());
        }
}

TEST(Maxima, AReluGoesBehindAndTheConvolutionIsThereTwice) {
  Builder builder({1, 6, 6});
  builder.conv("conv", 2, 3);
  builder.activation("relu", ActivationKind::kRelu);
  builder.then(graph::MaxPool{{2, 2}, {2, 2}, {1, 1}, {}}, "pool");
  const WithoutMaxima replaced = expect_same(builder.take());
  EXPECT_EQ(absolute_values(replaced.graph), 2);
  EXPECT_EQ(std::ranges::count(replaced.graph.nodes, "conv", &graph::Node::name), 2);
  const auto* last = std::get_if<Activation>(&replaced.graph.nodes.back().operation);
  ASSERT_NE(last, nullptr);
  EXPECT_EQ(last->kind, ActivationKind::kRelu);
}

TEST(Maxima, WhatIsReadElsewhereToo) {
  Builder builder({2, 6, 6});
  builder.conv("conv", 2, 3, 1, 1);
  const graph::ValueId x = builder.activation("relu", ActivationKind::kRelu);
  const graph::ValueId pooled =
      builder.add(graph::MaxPool{{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}}, "pool", {x});
  builder.add(graph::Add{}, "sum", {x, pooled});
  expect_same(builder.take());
}

TEST(Maxima, OfTheInputAndTwiceInARow) {
  Builder builder({1, 8, 8});
  builder.then(graph::MaxPool{{2, 2}, {2, 2}, {1, 1}, {}}, "pool1");
  builder.then(graph::MaxPool{{2, 2}, {1, 1}, {1, 1}, {}}, "pool2");
  expect_same(builder.take());
}

TEST(Maxima, PaddingIsRefusedWhereItWouldBeSeen) {
  Builder builder({1, 6, 6});
  builder.conv("conv", 2, 3);
  builder.then(graph::MaxPool{{2, 2}, {2, 2}, {1, 1}, {1, 1, 0, 0}}, "border");
  builder.conv("last", 2, 1);
  const graph::Graph graph = builder.take();
  const auto refused = replace_maxima(graph, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCompileUnsupported);
  EXPECT_NE(refused.error().message.find("border"), std::string::npos);
  EXPECT_NE(refused.error().message.find("--refresh"), std::string::npos);
  // A Relu behind it hides what is below zero.
  Builder hidden({1, 6, 6});
  hidden.conv("conv", 2, 3);
  hidden.then(graph::MaxPool{{2, 2}, {2, 2}, {1, 1}, {1, 1, 0, 0}}, "border");
  hidden.activation("relu", ActivationKind::kRelu);
  expect_same(hidden.take());
}

// A padded pool of what three nodes make of an image.
graph::Graph padded_pool(const std::vector<graph::Operation>& operations) {
  Builder builder({2, 6, 6});
  for (std::size_t i = 0; i < operations.size(); ++i) builder.then(operations[i], "node" + std::to_string(i));
  builder.then(graph::MaxPool{{3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}}, "border");
  builder.conv("last", 2, 1);
  return builder.take();
}

TEST(Maxima, PaddingIsHarmlessWhereNothingIsBelowZero) {
  graph::AveragePool mean;
  mean.kernel = {2, 2};
  const Activation tanh{ActivationKind::kTanh}, relu6{ActivationKind::kClip, 0, 6},
      sigmoid{ActivationKind::kSigmoid};
  for (const std::vector<graph::Operation>& operations : std::vector<std::vector<graph::Operation>>{
           {relu6},
           {sigmoid},
           {Activation{ActivationKind::kHardSigmoid, 0.2f, 0.5f}},
           {Activation{ActivationKind::kSoftplus}},
           {graph::Square{}, mean},
           {relu6, mean, graph::MaxPool{{2, 2}, {1, 1}, {1, 1}, {}}, tanh}})
    expect_same(padded_pool(operations));
  for (const std::vector<graph::Operation>& operations :
       std::vector<std::vector<graph::Operation>>{{tanh},
                                                  {mean},
                                                  {Activation{ActivationKind::kClip, -1, 6}},
                                                  {relu6, graph::ChannelAffine{{1, 1}, {0, -1}}}})
    EXPECT_FALSE(replace_maxima(padded_pool(operations), {}).ok());
  // As Inception's pool branch has it.
  Builder joined({1, 6, 6});
  const graph::ValueId left = joined.activation("relu", ActivationKind::kRelu);
  const graph::ValueId conv = joined.conv("conv", 2, 1);
  const graph::ValueId right = joined.add(Activation{ActivationKind::kRelu}, "relu2", {conv});
  joined.add(graph::Concat{}, "join", {left, right});
  joined.then(graph::MaxPool{{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}}, "pool");
  expect_same(joined.take());
}

TEST(Maxima, TheClientsStayAsTheyAre) {
  Builder builder({1, 6, 6});
  builder.conv("conv", 2, 3);
  builder.then(graph::MaxPool{{2, 2}, {2, 2}, {1, 1}, {}}, "pool");
  const graph::Graph graph = builder.take();
  const auto replaced = replace_maxima(graph, {false, true});
  ASSERT_TRUE(replaced.ok());
  EXPECT_EQ(replaced->graph.nodes.size(), 2u);
  EXPECT_EQ(replaced->client, (ClientNodes{false, true}));
}

// A plan of a network with both, in the clear and with noise, beside the exact network.
TEST(Maxima, CompileWithSigns) {
  Builder builder({1, 10, 10});
  builder.conv("conv1", 3, 3);
  builder.activation("relu", ActivationKind::kRelu);
  builder.then(graph::MaxPool{{2, 2}, {2, 2}, {1, 1}, {}}, "pool");
  builder.flatten();
  builder.dense("dense", 4);
  const graph::Graph graph = builder.take();
  const auto images = test::random_images(graph.input_shape(), 64);
  Options options;
  options.relu = ReluMode::kSign;
  const auto result = compile(graph, images, options);
  ASSERT_TRUE(result.ok()) << result.error().to_line();
  EXPECT_EQ(test::count_kind(result->report, "product"), 3);
  for (const ActivationFit& fit : result->fits) EXPECT_FALSE(fit.stages.empty()) << fit.name;
  EXPECT_TRUE(result->agreement >= options.agreement || result->relative_error <= kEnoughError);
  const auto fresh = test::random_images(graph.input_shape(), 4, test::kSeed + 9);
  EXPECT_LT(test::noise_difference(result->package, fresh), 16 * kNoiseLimit);
  EXPECT_LT(test::clear_difference(result->package, graph, fresh), 0.1);
}

// Values that are wider than a ciphertext, before and after the comparisons.
TEST(Maxima, SpreadOverCiphertexts) {
  Builder builder({1, 20, 20});
  builder.conv("wide", 24, 3, 1, 1);
  builder.then(graph::MaxPool{{2, 2}, {2, 2}, {1, 1}, {}}, "pool");
  builder.conv("narrow", 2, 3, 3);
  builder.flatten();
  builder.dense("dense", 3);
  const graph::Graph graph = builder.take();
  const auto images = test::random_images(graph.input_shape(), 8);
  Options options;
  options.degree = 7;
  const auto result = compile(graph, images, options);
  ASSERT_TRUE(result.ok()) << result.error().to_line();
  const plan::Plan& plan = result->package.plan;
  std::size_t most = 1;
  for (const plan::Operation& operation : plan.operations)
    if (const auto* polynomial = std::get_if<plan::Polynomial>(&operation)) {
      const plan::Value& value = plan.values[polynomial->output];
      most = std::max(most, plan::ciphertext_count(value.layout, value.period, plan.slots));
    }
  EXPECT_GT(most, 2u);
  const double difference = test::difference_from(result->package, images, [&](const graph::Tensor& image) {
    return evaluate_graph(result->graph, result->approximations,
                          Elements(image.data.begin(), image.data.end()));
  });
  EXPECT_LT(difference, 1e-5);
  EXPECT_LT(test::noise_difference(result->package, images), 16 * kNoiseLimit);
}

// A difference of maxima is smaller than they are: in their unit a polynomial that was fitted to it would be lost in cancellation.
TEST(Maxima, StepsInARowOfHighDegree) {
  Builder builder({1, 1, 9});
  builder.conv("conv", 2, 1);
  builder.then(graph::MaxPool{{1, 5}, {1, 2}, {1, 1}, {}}, "pool");
  builder.activation("relu", ActivationKind::kRelu);
  builder.flatten();
  builder.dense("dense", 3);
  const graph::Graph graph = builder.take();
  const auto images = test::random_images(graph.input_shape(), 24);
  Options options;
  options.degree = 31;
  const auto result = compile(graph, images, options);
  ASSERT_TRUE(result.ok()) << result.error().to_line();
  EXPECT_EQ(test::count_kind(result->report, "rescaling"), 0);
  EXPECT_LE(result->noise, kNoiseTarget);
  EXPECT_LT(test::clear_difference(result->package, graph, images), 0.1);
}

}  // namespace
}  // namespace tacit::compiler
