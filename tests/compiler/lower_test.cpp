// SPDX-License-Identifier: Apache-2.0
#include "compiler/lower.h"

#include "graph/simplify.h"
#include "networks.h"

namespace tacit::compiler {
namespace {

using test::Builder;

// The network's output for one image, in its own units; sums and squares of doubles.
Elements evaluate(const Network& network, const Elements& input) {
  std::vector<Elements> values(network.values.size());
  values[network.input] = input;
  for (const Layer& layer : network.layers) {
    const Elements& x = values[layer.inputs[0]];
    Elements y = x;
    if (const auto* linear = std::get_if<LinearLayer>(&layer.operation)) {
      y = multiply(linear->map, x);
      for (std::size_t i = 0; i < linear->map.bias.size(); ++i) y[i] += linear->map.bias[i];
    } else if (const auto* square = std::get_if<SquareLayer>(&layer.operation)) {
      for (double& v : y) v = square->factor * (v + square->shift) * (v + square->shift) + square->constant;
    } else if (const auto* polynomial = std::get_if<PolynomialLayer>(&layer.operation)) {
      for (double& v : y) v = ChebyshevSeries{polynomial->range, polynomial->coefficients}(v);
    } else if (std::holds_alternative<ProductLayer>(layer.operation)) {
      for (std::size_t i = 0; i < y.size(); ++i) y[i] *= values[layer.inputs[1]][i];
    } else if (std::holds_alternative<AddLayer>(layer.operation)) {
      for (std::size_t i = 0; i < y.size(); ++i) y[i] += values[layer.inputs[1]][i];
    }
    values[layer.output] = std::move(y);
  }
  return values[network.output];
}

void expect_same(const graph::Graph& graph, const Approximations& approximations, const Network& network) {
  for (const graph::Tensor& image : test::random_images(graph.input_shape(), 3)) {
    const Elements input(image.data.begin(), image.data.end());
    const Elements expected = evaluate_graph(graph, approximations, input), actual = evaluate(network, input);
    ASSERT_EQ(actual.size(), expected.size());
    for (std::size_t i = 0; i < actual.size(); ++i) ASSERT_NEAR(actual[i], expected[i], 1e-9);
  }
}

Network lowered(const graph::Graph& graph, const Approximations& approximations = {}) {
  Approximations all = approximations;
  all.resize(graph.nodes.size());
  auto network = lower(graph, all);
  EXPECT_TRUE(network.ok()) << (network.ok() ? "" : network.error().to_line());
  if (!network.ok()) return {};
  expect_same(graph, all, *network);
  return *network;
}

template <class T>
int count(const Network& network) {
  int n = 0;
  for (const Layer& layer : network.layers) n += std::holds_alternative<T>(layer.operation) ? 1 : 0;
  return n;
}

TEST(Lower, FusesEverythingLinearAndComputesOneBias) {
  Builder builder({2, 9, 9});
  builder.conv("conv1", 3, 3, 1, 1);
  graph::ChannelAffine affine{{0.5f, -2.0f, 1.5f}, {0.25f, -1.0f, 3.0f}};
  builder.then(affine, "scale");
  // The bias of what is before reaches the second convolution's border less often than its middle.
  builder.conv("conv2", 4, 3, 2, 1);
  builder.pool("pool", 2, 2, 1);
  builder.flatten();
  builder.dense("dense", 5);
  const graph::Graph graph = builder.take();
  const Network network = lowered(graph);
  ASSERT_EQ(network.layers.size(), 1u);
  EXPECT_EQ(network.layers[0].name, "dense");
  const auto& map = std::get<LinearLayer>(network.layers[0].operation).map;
  EXPECT_EQ(map.pieces.size(), 5u);
  EXPECT_EQ(map.bias.size(), 5u);
}

TEST(Lower, PadsAndPoolsThatCountPadding) {
  Builder builder({1, 5, 6});
  builder.then(graph::Pad{{1, 0, 2, 3}}, "pad");
  builder.square("square");
  builder.pool("pool", 3, 2, 1, true);
  const Network network = lowered(builder.take());
  EXPECT_EQ(count<LinearLayer>(network), 2);
  EXPECT_EQ(count<SquareLayer>(network), 1);
}

TEST(Lower, GroupsDilationsAndUnevenPads) {
  Builder builder({4, 8, 7});
  graph::Conv conv = builder.conv_of(builder.shape(), 6, 3, 1, 0, 2);
  conv.dilation = {2, 1};
  conv.stride = {1, 2};
  conv.pads = {2, 0, 1, 1};
  builder.then(conv, "conv");
  EXPECT_EQ(lowered(builder.take()).layers.size(), 1u);
}

TEST(Lower, ComputesOnceWhatSeveralLayersRead) {
  Builder builder({2, 6, 6});
  const graph::ValueId stem = builder.conv("stem", 4, 3, 1, 1);
  const graph::ValueId left = builder.add(builder.conv_of(builder.shape(), 4, 3, 1, 1), "left", {stem});
  const graph::ValueId right = builder.add(builder.conv_of(builder.shape(), 4, 1), "right", {stem});
  builder.add(graph::Add{}, "sum", {left, right});
  builder.square("square");
  const Network network = lowered(builder.take());
  EXPECT_EQ(count<LinearLayer>(network), 3);
  EXPECT_EQ(count<AddLayer>(network), 1);
}

TEST(Lower, TwiceAValueIsAFactor) {
  Builder builder({1, 3, 3});
  const graph::ValueId x = builder.square("square");
  builder.add(graph::Add{}, "twice", {x, x});
  const Network network = lowered(builder.take());
  EXPECT_EQ(count<AddLayer>(network), 0);
  EXPECT_EQ(count<LinearLayer>(network), 1);
}

TEST(Lower, ReshapesBetweenImagesBecomeMatrices) {
  Builder builder({2, 4, 4});
  builder.square("square");
  builder.then(graph::Reshape{{4, 2, 4}}, "reshape");
  builder.conv("conv", 3, 2);
  const Network network = lowered(builder.take());
  ASSERT_EQ(network.layers.size(), 2u);
  const auto& map = std::get<LinearLayer>(network.layers[1].operation).map;
  EXPECT_TRUE(std::holds_alternative<plan::Matrix>(map.pieces[0]));
}

TEST(Lower, AffineMapsAfterFlatteningGoByElement) {
  Builder builder({2, 2, 2});
  builder.square("square");
  builder.flatten();
  graph::ChannelAffine affine{builder.normal(8, 1), builder.normal(8, 1)};
  builder.then(affine, "affine");
  const Network network = lowered(builder.take());
  ASSERT_EQ(network.layers.size(), 2u);
  const auto& map = std::get<LinearLayer>(network.layers[1].operation).map;
  EXPECT_EQ(std::get<plan::Scaling>(map.pieces[0]).factor.size(), 8u);
}

TEST(Lower, QuadraticsAreCompletedToSquares) {
  Builder builder({1, 4, 4});
  builder.conv("conv", 2, 3);
  builder.activation("relu", ActivationKind::kRelu);
  const graph::Graph graph = builder.take();
  Approximations approximations(2);
  approximations[1] = ChebyshevSeries{3, {0.9, 1.4, 0.6}};
  const Network network = lowered(graph, approximations);
  EXPECT_EQ(count<SquareLayer>(network), 1);
  EXPECT_EQ(count<PolynomialLayer>(network), 0);
  // A vertex far away would cost all precision.
  approximations[1] = ChebyshevSeries{3, {0, 1, 0.001}};
  EXPECT_EQ(count<PolynomialLayer>(lowered(graph, approximations)), 1);
}

TEST(Lower, PolynomialsOfDegreeOneAreLinear) {
  Builder builder({1, 4, 4});
  builder.square("square");
  builder.activation("leaky", ActivationKind::kLeakyRelu, 1);
  const graph::Graph graph = builder.take();
  Approximations approximations(2);
  approximations[1] = ChebyshevSeries{2, {0.5, 2}};
  const Network network = lowered(graph, approximations);
  ASSERT_EQ(network.layers.size(), 2u);
  EXPECT_EQ(count<LinearLayer>(network), 1);
  approximations[1] = ChebyshevSeries{1.5, {0, 1, 0.2, 0.3}};
  EXPECT_EQ(count<PolynomialLayer>(lowered(graph, approximations)), 1);
}

TEST(Lower, JoinsChannelsAsASumOfPlacedOnes) {
  Builder builder({2, 5, 4});
  const graph::ValueId square = builder.square("square");
  const graph::ValueId conv = builder.conv("conv", 3, 3, 1, 1);
  builder.add(graph::Concat{}, "join", {conv, square, conv, 0});
  builder.square("end");
  const Network network = lowered(builder.take());
  // The convolution is read twice, so that it is a layer of its own; each of the four is placed.
  EXPECT_EQ(count<LinearLayer>(network), 5);
  EXPECT_EQ(count<AddLayer>(network), 3);
  EXPECT_EQ(network.values[network.output].shape, (plan::Shape{10, 5, 4}));
}

TEST(Lower, JoinsBranchesWithTheirBiases) {
  Builder builder({2, 6, 6});
  const graph::ValueId left = builder.add(builder.conv_of({2, 6, 6}, 3, 3, 2, 1), "left", {0});
  const graph::ValueId right = builder.add(builder.conv_of({2, 6, 6}, 2, 1, 2), "right", {0});
  builder.add(graph::Concat{}, "join", {left, right});
  builder.conv("after", 2, 3);
  const Network network = lowered(builder.take());
  EXPECT_EQ(count<LinearLayer>(network), 3);
  EXPECT_EQ(count<AddLayer>(network), 1);
}

TEST(Lower, JoinsVectorsThatStandAsImages) {
  Builder builder({2, 2, 3});
  const graph::ValueId square = builder.square("square");
  const graph::ValueId flat = builder.add(graph::Reshape{{12, 1, 1}}, "flat", {square});
  const graph::ValueId dense = builder.dense("dense", 4);
  builder.add(graph::Concat{}, "join", {flat, dense});
  builder.dense("end", 3);
  lowered(builder.take());
}

TEST(Lower, RefusesToJoinAnImageAndAReshapedOne) {
  Builder builder({2, 4, 4});
  const graph::ValueId square = builder.square("square");
  const graph::ValueId reshaped = builder.add(graph::Reshape{{8, 2, 2}}, "reshape", {square});
  const graph::ValueId pool = builder.add(graph::AveragePool{{2, 2}, {2, 2}, {}, false}, "pool", {square});
  builder.add(graph::Concat{}, "join", {reshaped, pool});
  const auto network = lower(builder.take(), Approximations(4));
  ASSERT_FALSE(network.ok());
  EXPECT_EQ(network.error().code, ErrorCode::kCompileUnsupported);
  EXPECT_NE(network.error().message.find("\"join\""), std::string::npos) << network.error().message;
}

TEST(Lower, PermutesChannelsWithinTheImageAndOthersByAMatrix) {
  for (bool channels : {true, false}) {
    Builder builder({3, 2, 4});
    builder.square("square");
    graph::Permute permute{channels ? graph::Shape{3, 2, 4} : graph::Shape{4, 3, 2}, {}};
    for (std::uint32_t i = 0; i < 24; ++i)
      permute.source.push_back(channels ? (i + 8) % 24 : i % 6 * 4 + i / 6);
    builder.then(permute, "permute");
    builder.conv("conv", 2, 2);
    const Network network = lowered(builder.take());
    ASSERT_EQ(network.layers.size(), 2u);
    const auto& map = std::get<LinearLayer>(network.layers[1].operation).map;
    EXPECT_EQ(std::holds_alternative<plan::Convolution>(map.pieces[0]), channels);
    EXPECT_EQ(std::holds_alternative<plan::Matrix>(map.pieces[0]), !channels);
  }
}

TEST(Lower, RefusesPermutationsOfTooManyElements) {
  Builder builder({1, 65, 64});
  graph::Permute permute{{1, 64, 65}, {}};
  for (std::uint32_t i = 0; i < 65 * 64; ++i) permute.source.push_back(i % 65 * 64 + i / 65);
  builder.then(permute, "turn");
  const auto network = lower(builder.take(), Approximations(1));
  ASSERT_FALSE(network.ok());
  EXPECT_EQ(network.error().code, ErrorCode::kCompileUnsupported);
  EXPECT_NE(network.error().message.find("\"turn\" (Permute)"), std::string::npos) << network.error().message;
}

TEST(Lower, RefusesMaximaByName) {
  Builder builder({1, 4, 4});
  builder.then(graph::MaxPool{{2, 2}, {2, 2}, {}, {}}, "down");
  const auto network = lower(builder.take(), Approximations(1));
  ASSERT_FALSE(network.ok());
  EXPECT_EQ(network.error().code, ErrorCode::kCompileUnsupported);
  for (const char* word : {"\"down\" (MaxPool)", "average pooling"})
    EXPECT_NE(network.error().message.find(word), std::string::npos) << network.error().message;
}

TEST(Lower, ProductsOfTwoValuesAreTheServersOnly) {
  Builder builder({1, 4, 4});
  const graph::ValueId a = builder.conv("a", 2, 3, 1, 1);
  const graph::ValueId b = builder.add(builder.conv_of({1, 4, 4}, 2, 3, 1, 1), "b", {0});
  builder.add(graph::Multiply{}, "gate", {a, b});
  const graph::Graph graph = builder.take();
  const Network network = lowered(graph, Approximations(3));
  ASSERT_EQ(network.layers.size(), 3u);
  EXPECT_TRUE(std::holds_alternative<ProductLayer>(network.layers.back().operation));
  const auto refused = lower(graph, Approximations(3), {false, false, true});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCompileUnsupported);
  EXPECT_NE(refused.error().message.find("\"gate\""), std::string::npos) << refused.error().message;
}

TEST(Lower, RefusesSumsOfDifferentLayouts) {
  Builder builder({2, 2, 2});
  const graph::ValueId square = builder.square("square");
  const graph::ValueId flat = builder.add(graph::Reshape{{8, 1, 1}}, "flat", {square});
  const graph::ValueId dense = builder.dense("dense", 8);
  builder.add(graph::Add{}, "sum", {flat, dense});
  const auto network = lower(builder.take(), Approximations(4));
  ASSERT_FALSE(network.ok());
  EXPECT_EQ(network.error().code, ErrorCode::kCompileUnsupported);
  EXPECT_NE(network.error().message.find("\"sum\""), std::string::npos) << network.error().message;
}

}  // namespace
}  // namespace tacit::compiler
