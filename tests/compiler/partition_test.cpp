// SPDX-License-Identifier: Apache-2.0
// Ranges of layers, refreshed networks and batches: the plan computes what the network does, whoever computes its parts.
#include "compiler/partition.h"

#include "compiler/depth.h"
#include "compiler/networks.h"

namespace tacit::compiler {
namespace {

using test::Builder;

// conv, relu, max pool, conv with a residual branch, relu, dense.
graph::Graph residual_network() {
  Builder builder({1, 12, 12});
  builder.conv("conv1", 4, 3, 1, 1);
  const graph::ValueId stem = builder.activation("relu1", ActivationKind::kRelu);
  builder.conv("conv2", 4, 3, 1, 1);
  const graph::ValueId branch = builder.last();
  builder.add(graph::Add{}, "sum", {branch, stem});
  builder.activation("relu2", ActivationKind::kRelu);
  graph::MaxPool pool;
  pool.kernel = pool.stride = {2, 2};
  builder.then(pool, "pool");
  builder.conv("conv3", 6, 3, 2, 1);
  builder.activation("gelu", ActivationKind::kGelu);
  builder.flatten();
  builder.dense("fc", 5);
  return builder.take();
}

TEST(LayerRanges, AreFoundByNumberAndName) {
  const graph::Graph graph = residual_network();
  const std::vector<std::string> lines = layer_lines(graph);
  ASSERT_EQ(lines.size(), 9u) << "the reshape is no layer";
  EXPECT_EQ(lines.front(), "1 conv1 (Conv, 4x12x12)");
  const auto range = find_layers(graph, "3:relu2");
  ASSERT_TRUE(range.ok()) << range.error().to_line();
  EXPECT_EQ(graph.nodes[range->first].name, "conv2");
  EXPECT_EQ(graph.nodes[range->last].name, "relu2");
  const auto all = find_layers(graph, ":");
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->first, 0u);
  EXPECT_EQ(graph.nodes[all->last].name, "fc");
  for (const char* bad : {"", "3", "0:2", "2:10", "5:4", "nosuch:", ":conv9", "a:b:c"}) {
    const auto refused = find_layers(graph, bad);
    ASSERT_FALSE(refused.ok()) << bad;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(refused.error().message.find("1 conv1"), std::string::npos) << refused.error().message;
  }
}

TEST(LayerRanges, CutTheGraph) {
  const graph::Graph graph = residual_network();
  const graph::Graph cut = cut_after(graph, find_layers(graph, ":sum")->last);
  ASSERT_TRUE(graph::validate(cut).ok());
  EXPECT_EQ(cut.nodes.size(), 4u);
  const auto image = test::random_images(graph.input_shape(), 1).front();
  const auto all = graph::execute_all(graph, image);
  const auto features = graph::execute(cut, image);
  ASSERT_TRUE(all.ok() && features.ok());
  EXPECT_EQ(features->data, (*all)[graph.nodes[3].output].data);
}

// The network itself, up to noise of double arithmetic, where all activations are the client's.
TEST(Refresh, ComputesTheNetworkExactly) {
  const graph::Graph graph = residual_network();
  const auto images = test::random_images(graph.input_shape(), 6);
  Options options;
  options.refresh = true;
  const auto compiled = compile(graph, images, options);
  ASSERT_TRUE(compiled.ok()) << compiled.error().to_line();
  EXPECT_TRUE(compiled->fits.empty());
  EXPECT_EQ(compiled->package.client.requests().size(), 4u);
  EXPECT_LT(test::clear_difference(compiled->package, graph, images), 1e-5);
  EXPECT_LT(test::noise_difference(compiled->package, images), 0.02);
  const auto read = plan::read_package(plan::write_package(compiled->package));
  ASSERT_TRUE(read.ok()) << read.error().to_line();
}

struct Refreshed {
  graph::Graph graph;
  int levels = 0;           // of the longest chain between two client steps
  std::ptrdiff_t cuts = 0;  // such steps
};

Refreshed refreshed(Builder builder) {
  builder.flatten();
  builder.dense("fc", 3);
  Refreshed result{builder.take()};
  const ClientNodes client = choose_client_nodes(result.graph, {std::nullopt, true});
  result.levels = graph_depth(result.graph, std::vector<int>(result.graph.nodes.size(), 0), client);
  result.cuts = std::ranges::count(client, true);
  return result;
}

TEST(Refresh, CutsLongChainsOfSquares) {
  Builder builder({1, 6, 6});
  for (int i = 0; i < 12; ++i) {
    builder.conv("conv" + std::to_string(i), 2, 3, 1, 1);
    builder.square("square" + std::to_string(i));
  }
  const Refreshed result = refreshed(std::move(builder));
  EXPECT_LE(result.levels, kRefreshLevels);
  EXPECT_EQ(result.cuts, 3);
}

// Each join takes a level of its own, on the way beside the squares too.
TEST(Refresh, CutsLongChainsOfJoins) {
  Builder builder({2, 2, 2});
  for (int i = 0; i < 12; ++i) {
    const std::string number = std::to_string(i);
    const graph::ValueId before = builder.last();
    graph::Conv conv = builder.conv_of(builder.shape(), 1, 1);
    for (float& w : conv.weights) w *= 0.5f;  // so that values keep their size
    builder.then(conv, "conv" + number);
    const graph::ValueId square = builder.square("square" + number);
    builder.add(graph::Concat{}, "join" + number, {before, square});
  }
  const Refreshed result = refreshed(std::move(builder));
  EXPECT_LE(result.levels, kRefreshLevels);
  EXPECT_LE(result.cuts, 6);
  const auto images = test::random_images(result.graph.input_shape(), 4);
  Options options;
  options.refresh = true;
  const auto compiled = compile(result.graph, images, options);
  ASSERT_TRUE(compiled.ok()) << compiled.error().to_line();
  EXPECT_EQ(compiled->record.depth, result.levels);
  EXPECT_LT(test::clear_difference(compiled->package, result.graph, images), 1e-4);
}

// And ways beside the squares that are scaled.
TEST(Refresh, CutsLongChainsOfScaledSums) {
  Builder builder({2, 2, 2});
  for (int i = 0; i < 30; ++i) {
    const std::string number = std::to_string(i);
    const graph::ValueId before = builder.last();
    builder.square("square" + number);
    const graph::ValueId square = builder.then(graph::ChannelAffine{{0.1f, 0.1f}, {0, 0}}, "tenth" + number);
    const graph::ValueId half =
        builder.add(graph::ChannelAffine{{0.5f, 0.5f}, {0, 0}}, "half" + number, {before});
    builder.add(graph::Add{}, "sum" + number, {square, half});
  }
  const Refreshed result = refreshed(std::move(builder));
  EXPECT_LE(result.levels, kRefreshLevels);
  EXPECT_LE(result.cuts, 10);
}

TEST(Layers, AloneAreEncrypted) {
  const graph::Graph graph = residual_network();
  const auto images = test::random_images(graph.input_shape(), 6);
  // Features in the middle; the first two layers are the client's.
  Options options;
  options.layers = "3:4";
  const auto features = compile(graph, images, options);
  ASSERT_TRUE(features.ok()) << features.error().to_line();
  EXPECT_EQ(features->package.client.requests().size(), 1u);
  EXPECT_EQ(features->package.client.output_shape(), (plan::Shape{4, 12, 12}));
  const graph::Graph cut = cut_after(graph, find_layers(graph, ":sum")->last);
  EXPECT_LT(test::clear_difference(features->package, cut, images), 1e-5);
  // And the client goes on to the end.
  options.client_rest = true;
  const auto whole = compile(graph, images, options);
  ASSERT_TRUE(whole.ok()) << whole.error().to_line();
  EXPECT_EQ(whole->package.client.requests().size(), 1u);
  EXPECT_LT(test::clear_difference(whole->package, graph, images), 1e-5);
  const auto read = plan::read_package(plan::write_package(whole->package));
  ASSERT_TRUE(read.ok()) << read.error().to_line();
  EXPECT_LT(test::clear_difference(*read, graph, images), 1e-5);
}

TEST(Throughput, HasACiphertextForEachElementAndNoRotations) {
  Builder builder({2, 6, 6});
  builder.conv("conv", 3, 3, 2, 1);
  builder.square("square");
  builder.flatten();
  builder.dense("fc", 4);
  const graph::Graph graph = builder.take();
  const auto images = test::random_images(graph.input_shape(), 6);
  Options options;
  options.mode = Mode::kThroughput;
  const auto compiled = compile(graph, images, options);
  ASSERT_TRUE(compiled.ok()) << compiled.error().to_line();
  const plan::ClientHalf& half = compiled->package.client;
  EXPECT_EQ(half.slots, 1u);
  EXPECT_EQ(half.batch(), compiled->report.ring_degree / 2);
  EXPECT_EQ(half.ciphertexts(half.input_value()), 72u);
  ASSERT_EQ(half.keys.size(), 2u) << "relinearisation, and what re-randomises results";
  EXPECT_EQ(compiled->report.rotations, 0u);
  EXPECT_LT(test::clear_difference(compiled->package, graph, images), 1e-5);
  EXPECT_LT(test::noise_difference(compiled->package, images), 0.01);
}

// A product of ciphertexts for each element, and still nothing to rotate.
TEST(Throughput, ComputesReluBySigns) {
  Builder builder({1, 4, 4});
  builder.conv("conv", 1, 3, 2, 1);
  builder.activation("relu", ActivationKind::kRelu);
  builder.flatten();
  builder.dense("fc", 3);
  const graph::Graph graph = builder.take();
  const auto images = test::random_images(graph.input_shape(), 64);
  Options options;
  options.mode = Mode::kThroughput;
  options.relu = ReluMode::kSign;
  options.agreement = 0.9;
  const auto compiled = compile(graph, images, options);
  ASSERT_TRUE(compiled.ok()) << compiled.error().to_line();
  EXPECT_EQ(test::count_kind(compiled->report, "product"), 1);
  EXPECT_EQ(compiled->report.rotations, 0u);
  const std::vector<graph::Tensor> few(images.begin(), images.begin() + 4);
  EXPECT_LT(test::clear_difference(compiled->package, graph, few), 0.1);
  EXPECT_LT(test::noise_difference(compiled->package, few), 16 * kNoiseLimit);
}

TEST(SmallKeys, AreSmaller) {
  Builder builder({1, 16, 16});
  builder.conv("conv", 8, 5, 2, 2);
  builder.square("square");
  builder.flatten();
  builder.dense("fc", 32);
  const graph::Graph graph = builder.take();
  const auto images = test::random_images(graph.input_shape(), 4);
  Options options;
  const auto fast = compile(graph, images, options);
  options.mode = Mode::kSmallKeys;
  const auto small = compile(graph, images, options);
  ASSERT_TRUE(fast.ok() && small.ok());
  EXPECT_LT(small->package.client.key_bytes, fast->package.client.key_bytes);
  EXPECT_LT(test::clear_difference(small->package, graph, images), 1e-5);
}

}  // namespace
}  // namespace tacit::compiler
