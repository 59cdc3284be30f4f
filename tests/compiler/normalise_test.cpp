// SPDX-License-Identifier: Apache-2.0
#include "compiler/normalise.h"

#include <cmath>

#include "compiler/levels.h"
#include "compiler/lower.h"
#include "networks.h"

namespace tacit::compiler {
namespace {

using test::Builder;

constexpr double kMargin = 1.5;

struct Normalised {
  Network network;
  Calibration calibration;
  Normalisation normalisation;
};

Normalised normalised(const graph::Graph& graph, std::optional<int> degree = std::nullopt,
                      ReluMode relu = ReluMode::kPolynomial) {
  Normalised result;
  const auto images = test::random_images(graph.input_shape(), 16);
  auto calibration = calibrate(graph, images, {{}, kMargin, 0.98, degree, relu});
  EXPECT_TRUE(calibration.ok()) << (calibration.ok() ? "" : calibration.error().to_line());
  result.calibration = std::move(*calibration);
  auto network = lower(graph, result.calibration.approximations);
  EXPECT_TRUE(network.ok()) << (network.ok() ? "" : network.error().to_line());
  result.network = std::move(*network);
  result.normalisation = normalise(result.network, result.calibration.ranges, kMargin);
  return result;
}

// Whether the value is a product's first operand, whose range makes up for the others.
bool is_gate(const Network& network, ValueIndex value) {
  return std::ranges::any_of(network.layers, [&](const Layer& layer) {
    return std::holds_alternative<ProductLayer>(layer.operation) && layer.inputs[0] == value;
  });
}

// What the header promises, for any network.
void expect_consistent(const Normalised& n) {
  const auto& [offsets, ranges] = n.normalisation;
  ASSERT_EQ(offsets.size(), n.network.values.size());
  ASSERT_EQ(ranges.size(), n.network.values.size());
  EXPECT_EQ(offsets[n.network.input], 0);
  EXPECT_EQ(offsets[n.network.output], 0);
  EXPECT_GT(ranges[n.network.input], 0);
  EXPECT_GT(ranges[n.network.output], 0);
  const Classes classes(n.network);
  std::vector<bool> fitted(classes.count(), false);  // what a polynomial reads keeps to its interval
  for (const Layer& layer : n.network.layers)
    if (std::holds_alternative<PolynomialLayer>(layer.operation)) fitted[classes.of(layer.inputs[0])] = true;
  for (ValueIndex v = 0; v < ranges.size(); ++v) {
    const double largest = calibrated_size(n.network, v, offsets[v], n.calibration.ranges);
    const double margin = n.network.values[v].largest ? 1
                          : fitted[classes.of(v)]     ? fit_margin(kMargin)
                                                      : kMargin;
    if (is_gate(n.network, v)) continue;
    const double excess = fitted[classes.of(v)] && v != n.network.output ? kMaxExcess : 1;
    EXPECT_LE(margin * largest, excess * std::abs(ranges[v]) * (1 + 1e-9)) << n.network.values[v].name;
  }
  for (const Layer& layer : n.network.layers) {
    const ValueIndex in = layer.inputs[0], out = layer.output;
    if (const auto* square = std::get_if<SquareLayer>(&layer.operation)) {
      EXPECT_EQ(offsets[in], -square->shift);
      EXPECT_EQ(offsets[out], square->constant);
      EXPECT_NEAR(ranges[out] / (square->factor * ranges[in] * ranges[in]), 1, 1e-12);
    } else if (const auto* polynomial = std::get_if<PolynomialLayer>(&layer.operation)) {
      EXPECT_EQ(offsets[in], 0);
      EXPECT_GE(std::abs(ranges[in]), polynomial->range * (1 - 1e-9));
    } else if (std::holds_alternative<ProductLayer>(layer.operation)) {
      for (ValueIndex value : {in, layer.inputs[1], out}) EXPECT_EQ(offsets[value], 0);
      EXPECT_NEAR(ranges[in] * ranges[layer.inputs[1]] / ranges[out], 1, 1e-12);
    } else if (std::holds_alternative<AddLayer>(layer.operation)) {
      EXPECT_EQ(ranges[in], ranges[out]);
      EXPECT_EQ(ranges[layer.inputs[1]], ranges[out]);
      EXPECT_NEAR(offsets[in] + offsets[layer.inputs[1]], offsets[out], 1e-12);
    } else if (std::holds_alternative<RescalingLayer>(layer.operation)) {
      EXPECT_EQ(offsets[in], offsets[out]);
    }
  }
}

template <class T>
int count(const Network& network) {
  int n = 0;
  for (const Layer& layer : network.layers) n += std::holds_alternative<T>(layer.operation) ? 1 : 0;
  return n;
}

TEST(Normalise, SquaresNeedNoExtraLayers) {
  Builder builder({1, 8, 8});
  builder.conv("conv1", 4, 3);
  builder.square("square1");
  builder.conv("conv2", 4, 3, 2);
  builder.square("square2");
  builder.flatten();
  builder.dense("dense", 3);
  const Normalised n = normalised(builder.take());
  expect_consistent(n);
  EXPECT_EQ(n.network.layers.size(), 5u);
  // No slack in a chain: each linear layer's range is what its own or its square's values need.
  const Range& seen = n.calibration.ranges[n.network.values[n.network.layers[0].output].source];
  EXPECT_NEAR(n.normalisation.ranges[n.network.layers[0].output], kMargin * seen.largest(), 1e-9);
}

TEST(Normalise, ASquareOnTheInputAndAsTheOutput) {
  Builder builder({1, 4, 4});
  builder.square("only");
  const Normalised n = normalised(builder.take());
  expect_consistent(n);
  EXPECT_EQ(n.network.layers.size(), 1u);
}

TEST(Normalise, AnEmptyNetworkGetsALayer) {
  const Normalised n = normalised(Builder({1, 4, 4}).take());
  expect_consistent(n);
  EXPECT_EQ(n.network.layers.size(), 1u);
}

TEST(Normalise, AQuadraticOnTheInputIsShiftedByAnIdentityLayer) {
  Builder builder({1, 4, 4});
  builder.activation("relu", ActivationKind::kRelu);
  const Normalised n = normalised(builder.take(), 2);
  expect_consistent(n);
  // One before it for its shift, one after it for its constant.
  EXPECT_EQ(count<LinearLayer>(n.network), 2);
  EXPECT_EQ(count<SquareLayer>(n.network), 1);
}

TEST(Normalise, AQuadraticBetweenLinearLayersCostsNothingMore) {
  Builder builder({1, 6, 6});
  builder.conv("conv", 3, 3, 1, 1);
  builder.activation("silu", ActivationKind::kSilu);
  builder.conv("last", 2, 3, 1, 1);
  const Normalised n = normalised(builder.take(), 2);
  expect_consistent(n);
  EXPECT_EQ(n.network.layers.size(), 3u);
  EXPECT_NE(n.normalisation.offsets[n.network.layers[0].output], 0);
}

TEST(Normalise, AQuadraticAfterASumShiftsOneOfTheOperands) {
  Builder builder({2, 6, 6});
  const graph::ValueId stem = builder.conv("stem", 4, 3, 1, 1);
  builder.activation("relu0", ActivationKind::kRelu);
  const graph::ValueId skip = builder.last();
  const graph::ValueId body = builder.conv("body", 4, 3, 1, 1);
  builder.add(graph::Add{}, "sum", {skip, body});
  builder.activation("relu1", ActivationKind::kRelu);
  builder.flatten();
  builder.dense("dense", 3);
  ASSERT_NE(stem, skip);
  const Normalised n = normalised(builder.take(), 2);
  expect_consistent(n);
  EXPECT_EQ(count<LinearLayer>(n.network), 3);
}

TEST(Normalise, NegativeQuadraticsHaveNegativeRanges) {
  Builder builder({1, 4, 4});
  builder.conv("conv", 2, 3);
  builder.activation("relu", ActivationKind::kRelu);
  builder.conv("last", 1, 2);
  const graph::Graph graph = builder.take();
  Calibration calibration;
  calibration.ranges.assign(graph.values.size(), Range{-1, 1});
  Approximations approximations(graph.nodes.size());
  approximations[1] = ChebyshevSeries{2, {0, 0.5, -0.7}};
  auto network = lower(graph, approximations);
  ASSERT_TRUE(network.ok());
  Normalised n{std::move(*network), std::move(calibration), {}};
  n.normalisation = normalise(n.network, n.calibration.ranges, kMargin);
  expect_consistent(n);
  EXPECT_LT(n.normalisation.ranges[n.network.layers[1].output], 0);
}

// Normalises a graph with one Tanh for a polynomial of degree 15 that was fitted on [-1.25, 1.25], its values having these ranges.
Normalised with_polynomial(const graph::Graph& graph, std::vector<Range> ranges) {
  Normalised n;
  n.calibration.ranges = std::move(ranges);
  Approximations approximations(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    if (std::holds_alternative<Activation>(graph.nodes[i].operation))
      approximations[i] = ChebyshevSeries{1.25, std::vector<double>(16, 0.1)};
  auto network = lower(graph, approximations);
  EXPECT_TRUE(network.ok()) << (network.ok() ? "" : network.error().to_line());
  n.network = std::move(*network);
  n.normalisation = normalise(n.network, n.calibration.ranges, kMargin);
  expect_consistent(n);
  for (const Layer& layer : n.network.layers)
    if (std::holds_alternative<PolynomialLayer>(layer.operation)) {
      EXPECT_NEAR(n.normalisation.ranges[layer.inputs[0]], 1.25, 1e-9);
    }
  return n;
}

TEST(Normalise, SummandsDoNotWidenTheRangeThatAPolynomialReads) {
  Builder builder({2, 4, 4});
  const graph::ValueId left = builder.conv("left", 2, 3);
  const graph::ValueId right = builder.add(builder.conv_of({2, 4, 4}, 2, 3), "right", {0});
  builder.add(graph::Add{}, "difference", {left, right});
  builder.activation("tanh", ActivationKind::kTanh);
  const Normalised n = with_polynomial(builder.take(), {{-1, 1}, {-20, 20}, {-20, 20}, {-1, 1}, {-1, 1}});
  EXPECT_EQ(count<RescalingLayer>(n.network), 0);
}

TEST(Normalise, APolynomialBesideAWideSumReadsARescaledValue) {
  Builder builder({2, 4, 4});
  const graph::ValueId x = builder.conv("conv", 2, 3);
  const graph::ValueId y = builder.activation("tanh", ActivationKind::kTanh);
  builder.add(graph::Add{}, "sum", {x, y});
  const Normalised n = with_polynomial(builder.take(), {{-1, 1}, {-1, 1}, {-20, 20}, {-20, 20}});
  // On the way beside the polynomial, which takes levels anyway.
  EXPECT_EQ(count<RescalingLayer>(n.network), 1);
  const auto levels = assign_levels(n.network);
  ASSERT_TRUE(levels.ok());
  EXPECT_EQ((*levels)[n.network.input], 1 + 4);
}

TEST(Normalise, ASumOfAValueAndItsSquareIsRescaled) {
  Builder builder({2, 4, 4});
  const graph::ValueId x = builder.conv("conv", 2, 3, 1, 1);
  const graph::ValueId y = builder.square("square");
  builder.add(graph::Add{}, "sum", {x, y});
  builder.conv("last", 2, 3);
  const Normalised n = normalised(builder.take());
  expect_consistent(n);
  EXPECT_EQ(count<RescalingLayer>(n.network), 1);
}

TEST(Normalise, SquaresInARowDoNotInflateRanges) {
  // Each block's input is the square of the last sum and is added again: without a rescaling each range would
  // be bound to the square of the one before, through all blocks.
  Builder builder({2, 6, 6});
  builder.conv("stem", 4, 3, 1, 1);
  builder.square("square0");
  for (int block = 1; block <= 6; ++block) {
    const std::string number = std::to_string(block);
    const graph::ValueId skip = builder.last();
    graph::Conv conv = builder.conv_of(builder.shape(), 4, 3, 1, 1);
    for (float& w : conv.weights) w *= 0.3f;
    const graph::ValueId body = builder.then(conv, "conv" + number);
    builder.add(graph::Add{}, "sum" + number, {skip, body});
    // Back to a size at which squaring changes little.
    graph::ChannelAffine affine{std::vector<float>(4, 0.5f), std::vector<float>(4, 0.0f)};
    builder.then(affine, "scale" + number);
    builder.square("square" + number);
  }
  const Normalised n = normalised(builder.take());
  expect_consistent(n);
  for (ValueIndex v = 0; v < n.network.values.size(); ++v) {
    const double largest = n.calibration.ranges[n.network.values[v].source].largest();
    EXPECT_LE(n.normalisation.ranges[v], kMaxSlack * kMargin * largest) << n.network.values[v].name;
  }
}

TEST(Normalise, ScalesFollowTheOperations) {
  Builder builder({2, 6, 6});
  const graph::ValueId stem = builder.conv("stem", 2, 3, 1, 1);
  const graph::ValueId left = builder.square("left");
  const graph::ValueId right = builder.add(builder.conv_of({2, 6, 6}, 2, 3, 1, 1), "right", {stem});
  builder.add(graph::Add{}, "sum", {left, right});
  builder.square("square");
  builder.flatten();
  builder.dense("dense", 3);
  const Normalised n = normalised(builder.take());
  expect_consistent(n);
  const auto levels = assign_levels(n.network);
  ASSERT_TRUE(levels.ok());
  std::vector<double> primes;
  for (int i = 0; i <= (*levels)[n.network.input]; ++i)
    primes.push_back(std::ldexp(1.0, 30) * (1 + 0.001 * i));
  const std::vector<double> scales = assign_scales(n.network, *levels, primes, std::ldexp(1.0, 30));
  for (const Layer& layer : n.network.layers) {
    const double in = scales[layer.inputs[0]], out = scales[layer.output];
    if (std::holds_alternative<SquareLayer>(layer.operation)) {
      const double q = primes[static_cast<std::size_t>((*levels)[layer.inputs[0]])];
      EXPECT_NEAR(out / (in * in / q), 1, 1e-14);
    } else if (std::holds_alternative<AddLayer>(layer.operation)) {
      EXPECT_EQ(in, out);
      EXPECT_EQ(scales[layer.inputs[1]], out);
    }
    EXPECT_NEAR(std::log2(out), 30, 0.02);
  }
}

TEST(Levels, CountTheLongestWay) {
  Builder builder({2, 6, 6});
  const graph::ValueId stem = builder.conv("stem", 2, 3, 1, 1);
  const graph::ValueId left = builder.square("left");
  const graph::ValueId right = builder.add(builder.conv_of({2, 6, 6}, 2, 3, 1, 1), "right", {left});
  builder.add(graph::Add{}, "sum", {stem, right});
  builder.flatten();
  builder.dense("dense", 3);
  auto network = lower(builder.take(), Approximations(6));
  ASSERT_TRUE(network.ok());
  const auto levels = assign_levels(*network);
  ASSERT_TRUE(levels.ok());
  EXPECT_EQ((*levels)[network->input], 4);
  EXPECT_EQ((*levels)[network->output], 0);
  for (const Layer& layer : network->layers)
    for (ValueIndex input : layer.inputs)
      EXPECT_GE((*levels)[input], (*levels)[layer.output] + depth_of(layer.operation)) << layer.name;
}

TEST(Levels, RefusesWhatIsTooDeepByName) {
  Builder builder({1, 2, 2});
  for (int i = 0; i < 80; ++i) builder.square("square" + std::to_string(i));
  auto network = lower(builder.take(), Approximations(80));
  ASSERT_TRUE(network.ok());
  const auto levels = assign_levels(*network);
  ASSERT_FALSE(levels.ok());
  EXPECT_EQ(levels.error().code, ErrorCode::kCompileTooDeep);
  const std::string name = "\"square" + std::to_string(79 - max_depth()) + "\"";
  EXPECT_NE(levels.error().message.find(name), std::string::npos) << levels.error().message;
}

}  // namespace
}  // namespace tacit::compiler
