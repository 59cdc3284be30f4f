// SPDX-License-Identifier: Apache-2.0
// What the report says of a network's losses, against runs of its forms that the tests put together themselves.
#include "compiler/accuracy.h"

#include "networks.h"

namespace tacit::compiler {
namespace {

using test::Builder;

struct Example {
  std::vector<graph::Tensor> images;
  Compiled compiled;

  Subject subject() const { return {compiled.graph, compiled.approximations, compiled.package, images}; }
  std::size_t node(const std::string& name) const {
    const auto found = std::ranges::find(compiled.graph.nodes, name, &graph::Node::name);
    EXPECT_NE(found, compiled.graph.nodes.end()) << name;
    return static_cast<std::size_t>(found - compiled.graph.nodes.begin());
  }
};

Example make_example(Builder builder, const Options& options = {}) {
  const graph::Graph graph = builder.take();
  Example example;
  example.images = test::random_images(graph.input_shape(), 24);
  auto compiled = compile(graph, example.images, options);
  EXPECT_TRUE(compiled.ok()) << (compiled.ok() ? "" : compiled.error().to_line());
  if (compiled.ok()) example.compiled = std::move(*compiled);
  return example;
}

Builder activations() {
  Builder builder({1, 6, 6});
  builder.conv("conv", 3, 3, 1, 1);
  builder.activation("first", ActivationKind::kTanh);
  builder.flatten();
  builder.dense("middle", 12);
  builder.activation("second", ActivationKind::kSigmoid);
  builder.dense("last", 4);
  return builder;
}

Builder squares() {
  Builder builder({1, 6, 6});
  builder.conv("conv", 3, 3, 1, 1);
  builder.square("first");
  builder.flatten();
  builder.dense("middle", 12);
  builder.square("second");
  builder.dense("last", 4);
  return builder;
}

Accuracy measured(const Subject& subject) {
  auto accuracy = measure_accuracy(subject, make_reference(subject));
  EXPECT_TRUE(accuracy.ok()) << (accuracy.ok() ? "" : accuracy.error().to_line());
  return accuracy.ok() ? std::move(*accuracy) : Accuracy{};
}

const LayerLoss& layer(const Accuracy& accuracy, const std::string& name) {
  const auto found = std::ranges::find(accuracy.layers, name, &LayerLoss::name);
  EXPECT_NE(found, accuracy.layers.end()) << name;
  return *found;
}

TEST(Accuracy, ABadPolynomialNamesItsLayer) {
  Options options;
  options.degree = 15;
  const Example example = make_example(activations(), options);
  for (const std::string name : {"first", "second"}) {
    SCOPED_TRACE(name);
    Approximations spoilt = example.compiled.approximations;
    auto& approximation = spoilt[example.node(name)];
    ASSERT_TRUE(approximation.has_value());
    std::get<ChebyshevSeries>(*approximation).coefficients[0] += 0.5;
    const Subject subject{example.compiled.graph, spoilt, example.compiled.package, example.images};
    const Accuracy accuracy = measured(subject);
    ASSERT_NE(accuracy.worst(), nullptr);
    EXPECT_EQ(accuracy.worst()->name, name);
    EXPECT_GT(accuracy.worst()->polynomial, accuracy.worst()->noise);
    EXPECT_GT(layer(accuracy, name).polynomial,
              10 * layer(accuracy, name == "first" ? "second" : "first").polynomial);
  }
}

TEST(Accuracy, APolynomialsLossIsThatOfTheNetworkWithNothingElseReplaced) {
  Options options;
  options.degree = 3;
  const Example example = make_example(activations(), options);
  const Accuracy accuracy = measured(example.subject());
  const graph::Graph& graph = example.compiled.graph;
  for (const std::string name : {"first", "second"}) {
    Approximations one(graph.nodes.size());
    one[example.node(name)] = example.compiled.approximations[example.node(name)];
    double square = 0, count = 0, size = 0;
    for (const graph::Tensor& image : example.images) {
      const Elements input(image.data.begin(), image.data.end());
      const auto exact = graph::execute(graph, image);
      ASSERT_TRUE(exact.ok());
      const Elements y = evaluate_graph(graph, one, input);
      for (std::size_t i = 0; i < y.size(); ++i) {
        square += (y[i] - exact->data[i]) * (y[i] - exact->data[i]);
        count += 1;
        size = std::max(size, std::abs(static_cast<double>(exact->data[i])));
      }
    }
    const double expected = std::sqrt(square / count) / size;
    EXPECT_GT(expected, 1e-4);
    EXPECT_NEAR(layer(accuracy, name).polynomial, expected, 1e-3 * expected) << name;
  }
}

// Noises of different operations are independent: their squares add up to that of the noise of all.
TEST(Accuracy, NoiseOfTheLayersAddsUpToThatOfThePlan) {
  const Example example = make_example(squares());
  const Accuracy accuracy = measured(example.subject());
  double square = 0;
  for (const LayerLoss& one : accuracy.layers) {
    EXPECT_EQ(one.polynomial, 0) << one.name;
    EXPECT_GT(one.noise, 0) << one.name;
    EXPECT_GT(one.noise_so_far, 0) << one.name;
    square += one.noise * one.noise;
  }
  EXPECT_EQ(accuracy.layers.size(), 1 + example.compiled.package.plan.operations.size());
  const double all = std::exp2(-accuracy.simulated.from_polynomial.bits);
  EXPECT_NEAR(std::sqrt(square) / all, 1, 0.4);
  ASSERT_NE(accuracy.worst(), nullptr);
  // The same functions, rounded differently: single precision once, double once.
  EXPECT_GT(accuracy.polynomial.from_original.bits, 20);
}

TEST(Accuracy, TheSameEveryTime) {
  const Example example = make_example(activations());
  Record first, second;
  first.accuracy = measured(example.subject());
  second.accuracy = measured(example.subject());
  EXPECT_EQ(to_json(first), to_json(second));
}

TEST(Accuracy, RefreshedNetworksHaveNoPolynomials) {
  Options options;
  options.refresh = true;
  const Example example = make_example(activations(), options);
  const Accuracy accuracy = measured(example.subject());
  EXPECT_EQ(accuracy.polynomial.agreeing, example.images.size());
  for (const LayerLoss& one : accuracy.layers) EXPECT_EQ(one.polynomial, 0) << one.name;
  const Report& report = example.compiled.report;
  // The inputs of both activations.
  EXPECT_EQ(std::ranges::count(report.client, true, &ClientView::decrypted), 2);
}

TEST(Accuracy, CountsAndErrorsByHand) {
  OutputReference reference;
  reference.original = {{1, 2}, {4, 0}, {0, 1}};
  reference.polynomial = {{1, 2.5}, {4, 0}, {0, 1}};
  reference.labels = {0, 0, 1};
  reference.largest_output = 4;
  const std::vector<std::size_t> which = {0, 1};
  const std::vector<std::vector<float>> outputs = {{3, 2.5f}, {4, 0}};
  const NetworkAccuracy form = compare_outputs(reference, which, outputs);
  EXPECT_EQ(form.images, 2u);
  EXPECT_EQ(form.right, 2u);     // both say 0
  EXPECT_EQ(form.agreeing, 1u);  // the original says 1, 0
  EXPECT_DOUBLE_EQ(form.from_original.largest, 2);
  EXPECT_DOUBLE_EQ(form.from_original.mean, 2.5 / 4);
  EXPECT_DOUBLE_EQ(form.from_original.bits, std::log2(4 / std::sqrt(4.25 / 4)));
  EXPECT_DOUBLE_EQ(form.from_polynomial.mean, 2.0 / 4);
  EXPECT_DOUBLE_EQ(form.from_polynomial.bits, 2);
  EXPECT_EQ(compare_outputs(reference, {}, {}).images, 0u);
}

TEST(Accuracy, SpreadsOverAllImages) {
  EXPECT_EQ(spread(3, 8), (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_EQ(spread(8, 4), (std::vector<std::size_t>{0, 2, 4, 6}));
  EXPECT_TRUE(spread(0, 4).empty());
}

}  // namespace
}  // namespace tacit::compiler
