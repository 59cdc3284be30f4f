// SPDX-License-Identifier: Apache-2.0
#include "compiler/pack.h"

#include "compiler/lower.h"
#include "networks.h"

namespace tacit::compiler {
namespace {

using test::Builder;

Network lowered(Builder& builder) {
  const graph::Graph graph = builder.take();
  auto network = lower(graph, Approximations(graph.nodes.size()));
  EXPECT_TRUE(network.ok()) << (network.ok() ? "" : network.error().to_line());
  return network.ok() ? *network : Network{};
}

TEST(Pack, StridesWidenTheGapOnOneGrid) {
  Builder builder({1, 28, 28});
  builder.conv("conv1", 16, 5, 2, 2);
  builder.square("square1");
  builder.conv("conv2", 64, 3, 2, 1);
  builder.square("square2");
  builder.pool("pool", 3, 2);
  builder.flatten();
  builder.dense("dense", 10);
  const Network network = lowered(builder);
  const auto packing = pack(network);
  ASSERT_TRUE(packing.ok()) << packing.error().to_line();
  const auto layout = [&](std::size_t layer) { return (*packing)[network.layers[layer].output]; };
  EXPECT_EQ((*packing)[network.input].layout, (plan::Layout{{1, 28, 28}, 1, 32, 32}));
  EXPECT_EQ((*packing)[network.input].period, 1024u);
  EXPECT_EQ(layout(0).layout, (plan::Layout{{16, 14, 14}, 2, 32, 32}));
  EXPECT_EQ(layout(0).period, 4096u);
  EXPECT_EQ(layout(1).layout, layout(0).layout);
  EXPECT_EQ(layout(2).layout, (plan::Layout{{64, 7, 7}, 4, 32, 32}));
  EXPECT_EQ(layout(2).period, 4096u);
  EXPECT_EQ(layout(4).layout, (plan::Layout{{10, 1, 1}, 1, 1, 1}));
  EXPECT_EQ(layout(4).period, 16u);
}

TEST(Pack, GridsGrowWithPadding) {
  Builder builder({1, 8, 8});
  builder.conv("conv1", 2, 3, 1, 4);
  builder.square("square");
  builder.conv("conv2", 2, 3);
  const Network network = lowered(builder);
  const auto packing = pack(network);
  ASSERT_TRUE(packing.ok());
  for (const Packing& p : *packing) {
    EXPECT_EQ(p.layout.grid_height, 16);
    EXPECT_EQ(p.layout.grid_width, 16);
    EXPECT_TRUE(p.layout.validate("value").ok());
    EXPECT_LE(p.layout.extent(), p.period);
  }
}

TEST(Pack, SummandsShareTheirLayout) {
  Builder builder({3, 16, 16});
  const graph::ValueId stem = builder.conv("stem", 8, 3, 1, 1);
  const graph::ValueId a = builder.add(builder.conv_of({8, 16, 16}, 16, 3, 2, 1), "a", {stem});
  const graph::ValueId b = builder.add(builder.conv_of({8, 16, 16}, 16, 1, 2), "b", {stem});
  builder.add(graph::Add{}, "sum", {a, b});
  builder.square("square");
  const Network network = lowered(builder);
  const auto packing = pack(network);
  ASSERT_TRUE(packing.ok());
  for (const Layer& layer : network.layers) {
    if (!std::holds_alternative<AddLayer>(layer.operation)) continue;
    for (ValueIndex input : layer.inputs)
      EXPECT_EQ((*packing)[input].layout, (*packing)[layer.output].layout);
  }
  EXPECT_EQ((*packing)[network.output].layout.gap, 2);
}

TEST(Pack, SumsWithTheInputTakeItsLayout) {
  Builder builder({4, 8, 8});
  builder.conv("conv", 4, 3, 1, 1);
  builder.add(graph::Add{}, "sum", {0, builder.last()});
  const Network network = lowered(builder);
  const auto packing = pack(network);
  ASSERT_TRUE(packing.ok());
  EXPECT_EQ((*packing)[network.output].layout, (*packing)[network.input].layout);
}

TEST(Pack, RefusesWhatIsTooWideByName) {
  Builder builder({3, 32, 32});
  builder.conv("wide-layer", 33, 3, 1, 1);
  builder.square("square");
  builder.pool("pool", 4, 4);
  const graph::Graph graph = builder.take();
  auto network = lower(graph, Approximations(graph.nodes.size()));
  // 33 channels of 32x32 are more than any ciphertext holds: either pass may notice.
  const Error error = network.ok() ? pack(*network).error() : network.error();
  EXPECT_EQ(error.code, ErrorCode::kCompileTooWide);
  EXPECT_NE(error.message.find("\"wide-layer\""), std::string::npos) << error.message;

  // 24 channels of 36x36 fit by count, but not on their grid of 64x64.
  Builder second({1, 36, 36});
  second.conv("padded-out", 24, 3, 1, 1);
  const auto packing = pack(lowered(second));
  ASSERT_FALSE(packing.ok());
  EXPECT_EQ(packing.error().code, ErrorCode::kCompileTooWide);
  EXPECT_NE(packing.error().message.find("\"padded-out\""), std::string::npos) << packing.error().message;
  EXPECT_NE(packing.error().message.find("64x64"), std::string::npos) << packing.error().message;
}

}  // namespace
}  // namespace tacit::compiler
