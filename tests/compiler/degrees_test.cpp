// SPDX-License-Identifier: Apache-2.0
#include "compiler/degrees.h"

#include "compiler/calibrate.h"
#include "compiler/depth.h"
#include "compiler/levels.h"
#include "compiler/lower.h"
#include "compiler/normalise.h"
#include "networks.h"

namespace tacit::compiler {
namespace {

using test::Builder;

struct Chosen {
  Batch images, exact;
  Choices choices;
};

Chosen chosen(const graph::Graph& graph, const std::vector<graph::Tensor>& images,
              const DegreeOptions& options) {
  Chosen result;
  for (const graph::Tensor& image : images) result.images.emplace_back(image.data.begin(), image.data.end());
  auto exact = forward(graph, result.images, options.margin, Choices(graph.nodes.size()));
  EXPECT_TRUE(exact.ok());
  result.exact = std::move(exact->outputs);
  auto choices = choose_degrees(graph, result.images, result.exact, options);
  EXPECT_TRUE(choices.ok()) << (choices.ok() ? "" : choices.error().to_line());
  if (choices.ok()) result.choices = std::move(*choices);
  return result;
}

bool enough(const graph::Graph& graph, const Chosen& chosen, const Choices& choices,
            const DegreeOptions& options) {
  auto pass = forward(graph, chosen.images, options.margin, choices);
  EXPECT_TRUE(pass.ok());
  return pass.ok() && is_enough(chosen.exact, pass->outputs, options.agreement);
}

std::size_t degree_of(const Choices& choices, std::size_t node) {
  const auto* degree = choices[node] ? std::get_if<std::size_t>(&*choices[node]) : nullptr;
  return degree == nullptr ? 0 : *degree;
}

// Three saturating layers of different ranges.
graph::Graph saturating(std::uint32_t seed) {
  Builder builder({1, 8, 8}, seed);
  const float gains[] = {4, 0.3f, 2};
  for (int i = 0; i < 3; ++i) {
    graph::Conv conv = builder.conv_of(builder.shape(), 3, 3);
    for (float& w : conv.weights) w *= gains[i];
    builder.then(conv, "conv" + std::to_string(i));
    builder.activation("tanh" + std::to_string(i), ActivationKind::kTanh);
  }
  builder.flatten();
  builder.dense("dense", 4);
  return builder.take();
}

TEST(Degrees, AreChosenForEachLayerAndNoneCouldBeLower) {
  for (std::uint32_t seed : {1u, 2u, 3u}) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const graph::Graph graph = saturating(seed);
    DegreeOptions options;
    options.agreement = 0.95;
    const Chosen found = chosen(graph, test::random_images(graph.input_shape(), 200, seed), options);
    ASSERT_TRUE(enough(graph, found, found.choices, options));
    std::set<std::size_t> degrees;
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      const std::size_t degree = degree_of(found.choices, i);
      ASSERT_EQ(degree > 0, std::holds_alternative<Activation>(graph.nodes[i].operation));
      if (degree == 0) continue;
      degrees.insert(degree);
      if (degree == 2) continue;
      // One rung lower: the next degree below that the search has.
      std::size_t below = 2;
      for (std::size_t d : {3, 5, 7, 11, 15, 23, 31, 47, 63}) below = d < degree ? d : below;
      Choices lower = found.choices;
      lower[i] = below;
      EXPECT_FALSE(enough(graph, found, lower, options))
          << "node " << i << ": degree " << below << " would do instead of " << degree;
    }
    EXPECT_GT(degrees.size(), 1u);  // the narrow one in the middle needs less
  }
}

TEST(Degrees, EnoughLooksAtTheImagesSeenAndAtWhatTheirErrorsWouldDoToOthers) {
  // The label of the first image turns where an output gains more than 1 on the first, of the others where it gains 10.
  const Batch exact = {{2, 1, 0}, {10, 0, 0}, {0, 10, 0}, {0, 0, 10}};
  EXPECT_TRUE(is_enough(exact, exact, 0.99));
  Batch gains = exact;
  gains[1] = {10, 1.5, 0};  // its own label stays: one of 16 pairs turns
  EXPECT_TRUE(is_enough(exact, gains, 1 - 2.0 / 16));
  EXPECT_FALSE(is_enough(exact, gains, 1 - 1.9 / 16));
  Batch turned = exact;
  turned[0] = {1, 2, 0};  // one of four; with this error, that of 2, the first only
  EXPECT_TRUE(is_enough(exact, turned, 1 - 2.0 / 4));
  EXPECT_FALSE(is_enough(exact, turned, 1 - 1.9 / 4));
  // Outputs that all move together keep every label; a relative error says otherwise only where labels say nothing.
  Batch moved = exact;
  for (Elements& outputs : moved)
    for (double& y : outputs) y += 100;
  EXPECT_TRUE(is_enough(exact, moved, 0.99));
  EXPECT_FALSE(is_enough({{1}, {2}}, {{1.1}, {2.2}}, 0.5));
  EXPECT_TRUE(is_enough({{1}, {2}}, {{1.009}, {2.018}}, 0.99));
}

TEST(Degrees, MoreAgreementNeverTakesFewerLevels) {
  const graph::Graph graph = saturating(7);
  const auto images = test::random_images(graph.input_shape(), 200);
  int before = 0;
  for (double agreement : {0.5, 0.9, 0.99}) {
    DegreeOptions options;
    options.agreement = agreement;
    const Chosen found = chosen(graph, images, options);
    int levels = 0;
    for (const auto& choice : found.choices) levels += choice ? levels_of(*choice) : 0;
    EXPECT_GE(levels, before) << agreement;
    before = levels;
  }
}

TEST(Degrees, SaysWhichActivationItIsAt) {
  const graph::Graph graph = saturating(7);
  DegreeOptions options;
  std::vector<std::string> steps;
  options.progress = [&](const std::string& step) { steps.push_back(step); };
  chosen(graph, test::random_images(graph.input_shape(), 20), options);
  const auto activations = static_cast<std::size_t>(std::ranges::count_if(
      graph.nodes, [](const auto& node) { return std::holds_alternative<Activation>(node.operation); }));
  ASSERT_GE(steps.size(), activations + 1);
  EXPECT_EQ(steps[0], "choosing polynomials for " + std::to_string(activations) + " activations");
  EXPECT_TRUE(steps[1].ends_with(", 1 of " + std::to_string(activations))) << steps[1];
}

TEST(Degrees, OneForAllIsTakenAsItIs) {
  const graph::Graph graph = saturating(8);
  DegreeOptions options;
  options.degree = 5;
  const Chosen found = chosen(graph, test::random_images(graph.input_shape(), 20), options);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    if (std::holds_alternative<Activation>(graph.nodes[i].operation)) {
      EXPECT_EQ(degree_of(found.choices, i), 5u);
    }
}

// y = (relu(x) - relu(x - 3), 0.4) for x of every size from 1 to 300 and either sign: whether x is positive decides, and a
// polynomial of any degree that there is rises too slowly near 0 to tell.
graph::Graph threshold() {
  graph::Graph graph = graph::make_graph({1, 1, 1});
  const auto both = graph::append(graph, graph::Dense{1, 2, {1, 1}, {0, -3}}, "first", {0});
  EXPECT_TRUE(both.ok());
  const auto relu = graph::append(graph, Activation{ActivationKind::kRelu}, "relu", {*both});
  EXPECT_TRUE(relu.ok());
  EXPECT_TRUE(graph::append(graph, graph::Dense{2, 2, {1, -1, 0, 0}, {0, 0.4f}}, "last", {*relu}).ok());
  return graph;
}

std::vector<graph::Tensor> threshold_images() {
  std::mt19937 random(11);
  std::uniform_real_distribution<float> logarithm(0, std::log(300.0f));
  std::vector<graph::Tensor> images;
  for (int i = 0; i < 800; ++i) {
    const float size = std::exp(logarithm(random));
    images.push_back({{1, 1, 1}, {i % 2 == 0 ? size : -size}});
  }
  return images;
}

TEST(Degrees, AutomaticallyASignWherePolynomialsMissTheAgreement) {
  const graph::Graph graph = threshold();
  DegreeOptions options;
  const Chosen automatic = chosen(graph, threshold_images(), options);
  ASSERT_TRUE(automatic.choices[1].has_value());
  EXPECT_TRUE(std::holds_alternative<SignChoice>(*automatic.choices[1]));
  EXPECT_TRUE(enough(graph, automatic, automatic.choices, options));
  options.relu = ReluMode::kPolynomial;
  const Chosen polynomial = chosen(graph, threshold_images(), options);
  EXPECT_FALSE(std::holds_alternative<SignChoice>(*polynomial.choices[1]));
  EXPECT_FALSE(enough(graph, polynomial, polynomial.choices, options));
}

TEST(Degrees, ASignOnlyWhereItIsAskedForOrNeeded) {
  Builder builder({1, 6, 6});
  builder.conv("conv", 2, 3);
  builder.activation("relu", ActivationKind::kRelu);
  builder.flatten();
  builder.dense("dense", 3);
  const graph::Graph graph = builder.take();
  const auto images = test::random_images(graph.input_shape(), 64);
  DegreeOptions options;
  options.agreement = 0.9;
  EXPECT_GT(degree_of(chosen(graph, images, options).choices, 1), 0u);
  options.relu = ReluMode::kSign;
  const Chosen found = chosen(graph, images, options);
  ASSERT_TRUE(found.choices[1].has_value());
  EXPECT_TRUE(std::holds_alternative<SignChoice>(*found.choices[1]));
}

// A block of a DenseNet: everything so far is normalised, convolved and joined to the rest.
graph::Graph dense_block(int layers) {
  Builder builder({1, 2, 2});
  builder.conv("stem", 2, 1);
  for (int i = 0; i < layers; ++i) {
    const std::string number = std::to_string(i);
    const graph::ValueId before = builder.last();
    const auto channels = static_cast<std::size_t>(builder.shape().channels);
    builder.then(graph::ChannelAffine{builder.normal(channels, 1), builder.normal(channels, 0.5)},
                 "norm" + number);
    builder.activation("tanh" + number, ActivationKind::kTanh);
    const graph::ValueId made = builder.conv("conv" + number, 1, 1);
    builder.add(graph::Concat{}, "join" + number, {before, made});
  }
  builder.flatten();
  builder.dense("dense", 3);
  return builder.take();
}

TEST(Degrees, TheDepthOfJoinedChannelsIsThatOfThePlan) {
  const graph::Graph graph = dense_block(4);
  Options options;
  options.degree = 3;
  const auto compiled = compile(graph, test::random_images(graph.input_shape(), 8), options);
  ASSERT_TRUE(compiled.ok()) << compiled.error().to_line();
  std::vector<int> levels;
  for (const graph::Node& node : graph.nodes)
    levels.push_back(std::holds_alternative<Activation>(node.operation) ? 2 : 0);
  EXPECT_EQ(graph_depth(graph, levels, {}), compiled->record.depth);
}

TEST(Degrees, JoinedChannelsTakeNoMoreLevelsThanThereAre) {
  const graph::Graph graph = dense_block(12);
  const auto images = test::random_images(graph.input_shape(), 24);
  const auto calibrated = calibrate(graph, images, {});
  ASSERT_TRUE(calibrated.ok()) << calibrated.error().to_line();
  auto network = lower(graph, calibrated->approximations);
  ASSERT_TRUE(network.ok()) << network.error().to_line();
  normalise(*network, calibrated->ranges, 1.5);
  const auto depths = assign_levels(*network);
  EXPECT_TRUE(depths.ok()) << depths.error().to_line();
}

TEST(Degrees, ADepthBeyondEveryRingIsRefusedWithWhatToDo) {
  Builder builder({1, 3, 3});
  for (int i = 0; i < 30; ++i) {
    builder.conv("conv" + std::to_string(i), 1, 1);
    builder.activation("relu" + std::to_string(i), ActivationKind::kRelu);
  }
  const graph::Graph graph = builder.take();
  const auto images = test::random_images(graph.input_shape(), 4);
  const auto refused = calibrate(graph, images, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCompileTooDeep);
  EXPECT_NE(refused.error().message.find("--refresh"), std::string::npos) << refused.error().message;
  EXPECT_NE(refused.error().message.find("relu"), std::string::npos) << refused.error().message;
}

}  // namespace
}  // namespace tacit::compiler
