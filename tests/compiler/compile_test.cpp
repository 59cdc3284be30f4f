// SPDX-License-Identifier: Apache-2.0
// Whole networks: the plan in the clear against the graph, the noise, the parameters, and what is refused.
#include "compiler/compile.h"

#include <fstream>

#include "compiler/chain.h"
#include "graph/simplify.h"
#include "networks.h"

namespace tacit::compiler {
namespace {

using test::Builder;

Compiled compiled(const graph::Graph& graph, const Options& options = {}, std::size_t images = 24) {
  auto result = compile(graph, test::random_images(graph.input_shape(), images), options);
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().to_line());
  return result.ok() ? std::move(*result) : Compiled{};
}

// What holds for every compiled network.
void expect_sound(const Compiled& result) {
  const plan::Package& package = result.package;
  const Status valid = package.plan.validate();
  EXPECT_TRUE(valid.ok()) << valid.error().to_line();
  const auto read = plan::read_package(plan::write_package(package));
  ASSERT_TRUE(read.ok()) << read.error().to_line();
  EXPECT_EQ(plan::to_json(read->client), plan::to_json(package.client));

  EXPECT_LE(result.clear_error, kClearTolerance);
  EXPECT_LE(result.noise, kNoiseLimit);
  const Report& report = result.report;
  const int log_degree = package.plan.parameters.log_degree;
  EXPECT_LE(report.log_qp, ckks::max_log_modulus(log_degree));
  // The last value is decrypted modulo q_0: four times the largest calibrated output must fit half of it.
  const plan::Value& output = package.plan.values[package.plan.output];
  const double q0 = static_cast<double>(package.plan.parameters.primes[0]);
  EXPECT_LT(4 * output.bound * output.scale, q0 / 2);
  std::uint64_t rotations = 0, products = 0;
  for (const LayerReport& layer : report.layers) {
    rotations += layer.rotations;
    products += layer.products;
  }
  EXPECT_EQ(rotations, report.rotations);
  EXPECT_EQ(products, report.products);
  EXPECT_EQ(report.rotations, package.client.rotations);
}

// The ring below cannot hold the values or the levels, or is too noisy.
void expect_smallest_ring(const Compiled& result) {
  const plan::Plan& plan = result.package.plan;
  std::size_t period = 1;
  for (const plan::Value& value : plan.values) period = std::max(period, value.period);
  const int below = plan.parameters.log_degree - 1;
  const bool too_narrow = period > (std::size_t{1} << below) / 2;
  const int depth = plan.values[plan.input].level;
  EXPECT_TRUE(below < ckks::kMinLogDegree || too_narrow || longest_chain(below, kMinScaleBits) < depth)
      << "ring degree 2^" << below << " would do";
}

TEST(Compile, ConvolutionsSquaresAndDense) {
  Builder builder({1, 12, 12});
  builder.conv("conv1", 4, 3, 2, 1);
  builder.square("square1");
  builder.conv("conv2", 8, 3, 1, 1);
  builder.square("square2");
  builder.pool("pool", 2, 2);
  builder.flatten();
  builder.dense("dense", 5);
  const graph::Graph graph = builder.take();
  const Compiled result = compiled(graph);
  expect_sound(result);
  expect_smallest_ring(result);
  EXPECT_EQ(result.report.levels, 5);
  EXPECT_EQ(result.report.layers.size(), 5u);
  EXPECT_EQ(result.report.products, 2u);
  const auto fresh = test::random_images(graph.input_shape(), 4, test::kSeed + 9);
  EXPECT_LT(test::clear_difference(result.package, graph, fresh), 1e-5);
  EXPECT_LT(test::noise_difference(result.package, fresh), 16 * kNoiseLimit);
}

TEST(Compile, OneDenseLayer) {
  Builder builder({20, 1, 1});
  builder.dense("dense", 7);
  const graph::Graph graph = builder.take();
  const Compiled result = compiled(graph);
  expect_sound(result);
  EXPECT_EQ(result.report.ring_degree, 4096u);
  EXPECT_EQ(result.report.levels, 1);
  EXPECT_LT(test::clear_difference(result.package, graph, test::random_images(graph.input_shape(), 4)), 1e-5);
}

TEST(Compile, DenseLayersAndSquares) {
  Builder builder({3, 5, 5});
  builder.flatten();
  builder.dense("dense1", 40);
  builder.square("square1");
  builder.dense("dense2", 24);
  builder.square("square2");
  builder.dense("dense3", 3);
  const graph::Graph graph = builder.take();
  const Compiled result = compiled(graph);
  expect_sound(result);
  EXPECT_EQ(result.report.levels, 5);
  EXPECT_LT(test::clear_difference(result.package, graph, test::random_images(graph.input_shape(), 4)), 1e-5);
}

TEST(Compile, SquareOnTheInputAndSquareAsTheOutput) {
  Builder builder({1, 6, 6});
  builder.square("first");
  builder.conv("conv", 2, 3);
  builder.square("last");
  const graph::Graph graph = builder.take();
  const Compiled result = compiled(graph);
  expect_sound(result);
  EXPECT_EQ(result.report.levels, 3);
  EXPECT_LT(test::clear_difference(result.package, graph, test::random_images(graph.input_shape(), 4)), 1e-5);
}

TEST(Compile, ResidualBlocks) {
  Builder builder({3, 8, 8});
  builder.conv("stem", 8, 3, 1, 1);
  const graph::ValueId skip = builder.last();
  builder.square("square1");
  const graph::ValueId body = builder.conv("body", 8, 3, 1, 1);
  builder.add(graph::Add{}, "sum1", {skip, body});
  const graph::ValueId sum = builder.square("square2");
  const graph::ValueId wide = builder.add(builder.conv_of({8, 8, 8}, 16, 3, 2, 1), "wide", {sum});
  const graph::ValueId cut = builder.add(builder.conv_of({8, 8, 8}, 16, 1, 2), "shortcut", {sum});
  builder.add(graph::Add{}, "sum2", {wide, cut});
  builder.square("square3");
  builder.pool("pool", 4, 4);
  builder.flatten();
  builder.dense("dense", 4);
  const graph::Graph graph = builder.take();
  const Compiled result = compiled(graph);
  expect_sound(result);
  EXPECT_EQ(test::count_kind(result.report, "add"), 2);
  EXPECT_LT(test::clear_difference(result.package, graph, test::random_images(graph.input_shape(), 3)), 1e-5);
}

// The plan in the clear against the network with its polynomials is checked inside of compile()
// (clear_error).
TEST(Compile, ActivationsOfEveryKindAndDegree) {
  for (const auto kind : {ActivationKind::kRelu, ActivationKind::kLeakyRelu, ActivationKind::kSigmoid,
                          ActivationKind::kTanh, ActivationKind::kSilu})
    for (int degree : {2, 3, 5, 7}) {
      SCOPED_TRACE(std::string(tacit::name_of(kind)) + " of degree " + std::to_string(degree));
      Builder builder({1, 6, 6});
      builder.conv("conv1", 3, 3, 1, 1);
      builder.activation("activation", kind, 0.1f);
      builder.conv("conv2", 2, 3, 2);
      Options options;
      options.degree = degree;
      const Compiled result = compiled(builder.take(), options);
      expect_sound(result);
      ASSERT_EQ(result.fits.size(), 1u);
      EXPECT_EQ(result.fits[0].name, "activation");
      EXPECT_LE(result.fits[0].degree, static_cast<std::size_t>(degree));
      if (degree == 3) { EXPECT_EQ(result.report.levels, 4); }
      if (degree == 2 && kind == ActivationKind::kRelu) {
        EXPECT_EQ(result.report.levels, 3);
        EXPECT_EQ(test::count_kind(result.report, "square"), 1);
      }
    }
}

TEST(Compile, ChoosesTheLeastDegreeThatIsGoodEnough) {
  // Over a narrow range tanh is nearly linear; over a wide one it needs more.
  const auto network = [](float size) {
    Builder builder({1, 6, 6});
    graph::Conv conv = builder.conv_of(builder.shape(), 2, 3);
    for (float& w : conv.weights) w *= size;
    builder.then(conv, "conv1");
    builder.activation("tanh", ActivationKind::kTanh);
    builder.conv("conv2", 3, 4);
    return builder.take();
  };
  const Compiled narrow = compiled(network(0.2f)), wide = compiled(network(2.0f));
  expect_sound(narrow);
  expect_sound(wide);
  ASSERT_EQ(narrow.fits.size(), 1u);
  ASSERT_EQ(wide.fits.size(), 1u);
  EXPECT_LT(narrow.fits[0].degree, wide.fits[0].degree);
  EXPECT_TRUE(wide.agreement >= 0.98 || wide.relative_error <= 0.01) << wide.agreement;
}

TEST(Compile, ActivationsOnTheInputAfterASumAndAsTheOutput) {
  for (int degree : {2, 3}) {
    Builder builder({2, 5, 5});
    builder.activation("first", ActivationKind::kSilu);
    const graph::ValueId skip = builder.last();
    const graph::ValueId body = builder.conv("conv", 2, 3, 1, 1);
    builder.add(graph::Add{}, "sum", {skip, body});
    builder.activation("last", ActivationKind::kRelu);
    Options options;
    options.degree = degree;
    const Compiled result = compiled(builder.take(), options);
    expect_sound(result);
    EXPECT_EQ(result.fits.size(), 2u);
  }
}

TEST(Compile, AValueAddedToItsSquare) {
  Builder builder({2, 4, 4});
  const graph::ValueId x = builder.conv("conv", 2, 3, 1, 1);
  const graph::ValueId y = builder.square("square");
  builder.add(graph::Add{}, "sum", {x, y});
  builder.flatten();
  builder.dense("dense", 3);
  const graph::Graph graph = builder.take();
  const Compiled result = compiled(graph);
  expect_sound(result);
  EXPECT_EQ(test::count_kind(result.report, "rescaling"), 1);
  EXPECT_LT(test::clear_difference(result.package, graph, test::random_images(graph.input_shape(), 4)), 1e-5);
}

TEST(Compile, ADeepNetworkTakesALargerRing) {
  Builder builder({1, 4, 4});
  for (int i = 0; i < 6; ++i) {
    // Small weights beside a bias of 1: the squares neither grow nor vanish.
    graph::Conv conv = builder.conv_of(builder.shape(), 4, 3, 1, 1);
    for (float& w : conv.weights) w *= 0.2f;
    conv.bias.assign(4, 1.0f);
    builder.then(conv, "conv" + std::to_string(i));
    builder.square("square" + std::to_string(i));
  }
  builder.flatten();
  builder.dense("dense", 2);
  const Compiled result = compiled(builder.take());
  expect_sound(result);
  EXPECT_EQ(result.report.levels, 13);
  EXPECT_GE(result.report.ring_degree, 16384u);
}

// A gated linear unit, and products of values that others read too, of which an identity makes a layer's result.
TEST(Compile, ProductsOfTwoValues) {
  Builder builder({2, 4, 4});
  const graph::ValueId a = builder.conv("a", 3, 3);
  builder.activation("sigmoid", ActivationKind::kSigmoid);
  const graph::ValueId gate = builder.last();
  const graph::ValueId b = builder.add(builder.conv_of({2, 4, 4}, 3, 3), "b", {0});
  const graph::ValueId unit = builder.add(graph::Multiply{}, "unit", {gate, b});
  builder.add(graph::Multiply{}, "again", {unit, a});
  builder.conv("last", 2, 2);
  const graph::Graph graph = builder.take();
  const auto fresh = test::random_images(graph.input_shape(), 4);
  for (const Mode mode : {Mode::kLatency, Mode::kThroughput}) {
    Options options;
    options.degree = 15;
    options.mode = mode;
    const Compiled result = compiled(graph, options);
    expect_sound(result);
    EXPECT_EQ(test::count_kind(result.report, "product"), 2);
    EXPECT_LT(test::clear_difference(result.package, graph, fresh), 0.05);
    EXPECT_LT(test::noise_difference(result.package, fresh), 16 * kNoiseLimit);
  }
}

TEST(Compile, AProductAsTheOutputOfRefreshedLayers) {
  Builder builder({2, 4, 4});
  builder.conv("a", 3, 3);
  const graph::ValueId gate = builder.activation("sigmoid", ActivationKind::kSigmoid);
  const graph::ValueId b = builder.add(builder.conv_of({2, 4, 4}, 3, 3), "b", {0});
  builder.add(graph::Multiply{}, "unit", {gate, b});
  const graph::Graph graph = builder.take();
  Options options;
  options.refresh = true;
  const Compiled result = compiled(graph, options);
  expect_sound(result);
  EXPECT_LT(test::clear_difference(result.package, graph, test::random_images(graph.input_shape(), 4)), 1e-5);
  options.refresh = false;
  options.layers = ":b", options.client_rest = true;
  const auto refused = compile(graph, test::random_images(graph.input_shape(), 4), options);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCompileUnsupported);
  EXPECT_NE(refused.error().message.find("--layers"), std::string::npos) << refused.error().message;
}

TEST(Compile, SettingsTravelWithTheModel) {
  Builder builder({3, 4, 4});
  builder.flatten();
  builder.dense("dense", 2);
  const graph::Graph graph = builder.take();
  Options options;
  options.name = "two-classes";
  options.labels = {"cat", "dog"};
  options.preprocessing = {255, {0.1, 0.2, 0.3}, {0.5, 0.6, 0.7}};
  const Compiled result = compiled(graph, options);
  EXPECT_EQ(result.package.client.name, "two-classes");
  EXPECT_EQ(result.package.client.labels, options.labels);
  EXPECT_EQ(result.package.client.preprocessing.deviation, options.preprocessing.deviation);
  EXPECT_TRUE(result.package.client.softmax);
  options.labels.pop_back();
  const auto refused = compile(graph, test::random_images(graph.input_shape(), 2), options);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
}

TEST(Compile, IsDeterministic) {
  Builder builder({1, 8, 8});
  builder.conv("conv", 4, 3, 2, 1);
  builder.activation("relu", ActivationKind::kRelu);
  builder.flatten();
  builder.dense("dense", 3);
  const graph::Graph graph = builder.take();
  Compiled first = compiled(graph), second = compiled(graph);
  // Times are measured; nothing else may differ.
  first.package.client.estimated_ms = second.package.client.estimated_ms = 0;
  EXPECT_EQ(plan::write_package(first.package), plan::write_package(second.package));
}

// On its grid of 64x64 a value takes 98304 slots, more than any ring has.
TEST(Compile, SpreadsWideValuesOverCiphertexts) {
  Builder builder({1, 36, 36});
  builder.conv("wide", 24, 3, 1, 1);
  builder.square("square");
  builder.conv("narrow", 2, 3, 2, 1);
  const graph::Graph graph = builder.take();
  const auto images = test::random_images({1, 36, 36}, 2);
  const auto result = compile(graph, images, {});
  ASSERT_TRUE(result.ok()) << result.error().to_line();
  const plan::Plan& plan = result->package.plan;
  const plan::Value& wide = plan.values[1];
  EXPECT_GT(ciphertext_count(wide.layout, wide.period, plan.slots), 2u);
  EXPECT_LT(test::clear_difference(result->package, graph, images), 1e-5);
}

// --- refusals ----------------------------------------------------------------------------------------------

void expect_refused(const Result<Compiled>& result, ErrorCode code, const std::string& part) {
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, code) << result.error().to_line();
  EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
  EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
}

TEST(CompileRefuses, MissingWrongAndInfiniteCalibration) {
  Builder builder({1, 4, 4});
  builder.conv("conv", 2, 3);
  builder.activation("the-relu", ActivationKind::kRelu);
  const graph::Graph graph = builder.take();
  expect_refused(compile(graph, {}, {}), ErrorCode::kCompileRangeMissing, "\"the-relu\"");

  auto images = test::random_images({1, 4, 5}, 1);
  expect_refused(compile(graph, images, {}), ErrorCode::kCompileCalibration, "1x4x5");
  images = test::random_images({1, 4, 4}, 3);
  images[2].data[7] = std::numeric_limits<float>::quiet_NaN();
  expect_refused(compile(graph, images, {}), ErrorCode::kCompileCalibration, "image 2");
  images[2].data.pop_back();
  expect_refused(compile(graph, images, {}), ErrorCode::kCompileCalibration, "image 2");
}

TEST(CompileRefuses, UnusableOptions) {
  Builder builder({1, 4, 4});
  builder.conv("conv", 2, 3);
  const graph::Graph graph = builder.take();
  const auto images = test::random_images({1, 4, 4}, 2);
  Options options;
  options.degree = 1;
  expect_refused(compile(graph, images, options), ErrorCode::kInvalidArgument, "degree");
  options.degree.reset();
  options.margin = 0.5;
  expect_refused(compile(graph, images, options), ErrorCode::kInvalidArgument, "margin");
  options.margin = 2;
  options.name = "Not A Name";
  expect_refused(compile(graph, images, options), ErrorCode::kInvalidArgument, "name");
}

TEST(CompileRefuses, TooDeep) {
  Builder builder({1, 2, 2});
  for (int i = 0; i < 70; ++i)
    builder.conv("conv" + std::to_string(i), 1, 1), builder.square("sq" + std::to_string(i));
  const graph::Graph graph = builder.take();
  // Small images, lest the squares overflow before the depth is noticed.
  auto images = test::random_images({1, 2, 2}, 2);
  for (auto& image : images)
    for (float& x : image.data) x *= 0.01f;
  const auto result = compile(graph, images, {});
  ASSERT_FALSE(result.ok());
  EXPECT_TRUE(result.error().code == ErrorCode::kCompileTooDeep) << result.error().to_line();
  EXPECT_NE(result.error().message.find("node \""), std::string::npos) << result.error().message;
}

TEST(CompileRefuses, TooWide) {
  Builder builder({1, 260, 260});
  builder.conv("huge", 5, 1);
  builder.square("square");
  const graph::Graph graph = builder.take();
  expect_refused(compile(graph, test::random_images({1, 260, 260}, 1), {}), ErrorCode::kCompileTooWide,
                 "\"huge\"");
}

TEST(CompileRefuses, MoreCiphertextsThanAValueMayTake) {
  Builder builder({3, 128, 128});
  builder.conv("wide", 64, 3, 1, 1);
  builder.square("square");
  builder.pool("pool", 128, 128);
  builder.dense("dense", 3);
  const graph::Graph graph = builder.take();
  const auto result = compile(graph, test::random_images(graph.input_shape(), 1), {});
  expect_refused(result, ErrorCode::kCompileTooWide, "\"wide\"");
  EXPECT_NE(result.error().message.find("32 ciphertexts"), std::string::npos) << result.error().message;
}

TEST(CompileRefuses, LayersWithoutWeights) {
  Builder builder({1, 4, 4});
  graph::Conv conv = builder.conv_of(builder.shape(), 2, 3);
  conv.weights.assign(conv.weights.size(), 0.0f);
  builder.then(conv, "empty");
  builder.square("square");
  const graph::Graph graph = builder.take();
  expect_refused(compile(graph, test::random_images({1, 4, 4}, 2), {}), ErrorCode::kCompileUnsupported,
                 "\"empty\"");
}

TEST(CompileRefuses, ValuesThatVanishOrOverflow) {
  Builder vanishing({1, 2, 2});
  for (int i = 0; i < 6; ++i) vanishing.square("square" + std::to_string(i));
  auto small = test::random_images({1, 2, 2}, 2);
  for (auto& image : small)
    for (float& x : image.data) x *= 0.01f;
  expect_refused(compile(vanishing.take(), small, {}), ErrorCode::kCompilePrecision, "node \"square");

  Builder builder({1, 2, 2});
  for (int i = 0; i < 12; ++i) builder.square("square" + std::to_string(i));
  const graph::Graph graph = builder.take();
  auto images = test::random_images({1, 2, 2}, 1);
  images[0].data[0] = 1e9f;
  expect_refused(compile(graph, images, {}), ErrorCode::kCompilePrecision, "node \"square");
}

}  // namespace
}  // namespace tacit::compiler
