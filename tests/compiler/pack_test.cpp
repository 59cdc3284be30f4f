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
  // 5 channels of 260x260 fit by count, but not on their grid of 512x512.
  Builder builder({1, 260, 260});
  builder.conv("wide-layer", 5, 1);
  builder.square("square");
  const graph::Graph graph = builder.take();
  const auto network = lower(graph, Approximations(graph.nodes.size()));
  ASSERT_TRUE(network.ok()) << network.error().to_line();
  const Error error = pack(*network).error();
  EXPECT_EQ(error.code, ErrorCode::kCompileTooWide);
  EXPECT_NE(error.message.find("\"wide-layer\""), std::string::npos) << error.message;
  EXPECT_TRUE(pack_elements(*network).ok()) << "without gaps it fits";
}

}  // namespace
}  // namespace tacit::compiler
