// SPDX-License-Identifier: Apache-2.0
#include "graph/simplify.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "graph/models.h"

namespace tacit::graph {
namespace {

// Builds graphs with random weights.
class Maker {
 public:
  explicit Maker(std::uint32_t seed) : random_(seed) {}

  std::int64_t below(std::int64_t limit) {
    return static_cast<std::int64_t>(random_() % static_cast<unsigned>(limit));
  }

  std::vector<float> numbers(std::int64_t count, float low = -1, float high = 1) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = std::uniform_real_distribution<float>(low, high)(random_);
    return values;
  }

  Conv conv(std::int64_t in, std::int64_t out, Extent kernel, Pads pads = {}, std::int64_t groups = 1) {
    Conv made{in, out, groups, kernel, {}, {}, pads, {}, numbers(out)};
    made.weights = numbers(out * in / groups * kernel.height * kernel.width);
    return made;
  }
  Dense dense(std::int64_t in, std::int64_t out) { return {in, out, numbers(in * out), numbers(out)}; }
  ChannelAffine channel_affine(std::int64_t channels) {
    return {numbers(channels, 0.5f, 2), numbers(channels)};
  }
  ElementAffine element_affine(std::int64_t size) { return {numbers(size, 0.5f, 2), numbers(size)}; }
  Tensor tensor(const Shape& shape) { return {shape, numbers(shape.size())}; }

 private:
  std::mt19937 random_;
};

// A chain of operations on an input.
Graph chain(const Shape& input, std::vector<Operation> operations) {
  Graph graph = make_graph(input);
  for (std::size_t i = 0; i < operations.size(); ++i) {
    Result<ValueId> value = append(graph, std::move(operations[i]), "n" + std::to_string(i), {graph.output});
    EXPECT_TRUE(value.ok()) << value.error().message;
  }
  return graph;
}

std::vector<std::string> names(const Graph& graph) {
  std::vector<std::string> list;
  for (const Node& node : graph.nodes) list.emplace_back(name_of(node.operation));
  return list;
}

using Names = std::vector<std::string>;

// The simplified graph, which must compute the same.
Graph simplified(const Graph& graph, Maker& maker) {
  Graph simple = simplify(graph);
  Status valid = validate(simple);
  EXPECT_TRUE(valid.ok()) << valid.error().to_line();
  Tensor input = maker.tensor(graph.input_shape());
  Result<Tensor> before = execute(graph, input), after = execute(simple, input);
  EXPECT_TRUE(before.ok() && after.ok());
  if (before.ok() && after.ok()) expect_close(after->data, before->data, 1e-5);
  return simple;
}

TEST(Simplify, FoldsAffineMapsBackward) {
  Maker m(1);
  EXPECT_EQ(names(simplified(chain({2, 6, 6}, {m.conv(2, 4, {3, 3}, {1, 1, 1, 1}, 2), m.channel_affine(4),
                                               m.channel_affine(4)}),
                             m)),
            (Names{"Conv"}));
  EXPECT_EQ(names(simplified(chain({12, 1, 1}, {m.dense(12, 5), m.channel_affine(5)}), m)), (Names{"Dense"}));
  EXPECT_EQ(names(simplified(chain({12, 1, 1}, {m.dense(12, 5), m.element_affine(5)}), m)), (Names{"Dense"}));
  EXPECT_EQ(names(simplified(chain({2, 3, 3}, {Square{}, m.channel_affine(2), m.element_affine(18)}), m)),
            (Names{"Square", "ElementAffine"}));
  EXPECT_EQ(names(simplified(chain({2, 3, 3}, {Square{}, m.element_affine(18), m.channel_affine(2)}), m)),
            (Names{"Square", "ElementAffine"}));
}

TEST(Simplify, FoldsAffineMapsForwardOnlyWhereExact) {
  Maker m(2);
  EXPECT_EQ(
      names(simplified(chain({4, 6, 6}, {Square{}, m.channel_affine(4), m.conv(4, 6, {3, 3}, {}, 2)}), m)),
      (Names{"Square", "Conv"}));
  EXPECT_EQ(names(simplified(
                chain({4, 6, 6}, {Square{}, m.channel_affine(4), m.conv(4, 6, {3, 3}, {0, 0, 0, 1})}), m)),
            (Names{"Square", "ChannelAffine", "Conv"}));
  ChannelAffine scale = m.channel_affine(4);
  scale.shift.assign(4, 0);
  EXPECT_EQ(names(simplified(chain({4, 6, 6}, {Square{}, scale, m.conv(4, 6, {3, 3}, {1, 1, 1, 1})}), m)),
            (Names{"Square", "Conv"}));
  EXPECT_EQ(names(simplified(chain({4, 2, 2}, {Square{}, m.channel_affine(4), m.dense(16, 3)}), m)),
            (Names{"Square", "Dense"}));
  EXPECT_EQ(names(simplified(
                chain({4, 2, 2}, {Square{}, m.element_affine(16), Reshape{{16, 1, 1}}, m.dense(16, 3)}), m)),
            (Names{"Square", "Dense"}));
  EXPECT_EQ(names(simplified(chain({4, 6, 6}, {Square{}, m.element_affine(144), m.conv(4, 6, {3, 3})}), m)),
            (Names{"Square", "ElementAffine", "Conv"}));
}

TEST(Simplify, MovesAffineMapsPastAverages) {
  Maker m(3);
  AveragePool plain{{2, 2}, {2, 2}, {}, true}, uncounted{{3, 3}, {2, 2}, {1, 1, 1, 1}, false};
  AveragePool counted{{3, 3}, {2, 2}, {1, 1, 1, 1}, true};
  for (const AveragePool& pool : {plain, uncounted}) {
    EXPECT_EQ(names(simplified(chain({2, 8, 8}, {m.conv(2, 3, {3, 3}), pool, m.channel_affine(3)}), m)),
              (Names{"Conv", "AveragePool"}));
    EXPECT_EQ(
        names(simplified(chain({2, 8, 8}, {Square{}, m.channel_affine(2), pool, pool, m.dense(8, 3)}), m)),
        (Names{"Square", "AveragePool", "AveragePool", "Dense"}));
  }
  EXPECT_EQ(names(simplified(chain({2, 8, 8}, {m.conv(2, 3, {3, 3}), counted, m.channel_affine(3)}), m)),
            (Names{"Conv", "AveragePool", "ChannelAffine"}));
  EXPECT_EQ(names(simplified(chain({2, 8, 8}, {Square{}, m.channel_affine(2), counted, m.dense(32, 3)}), m)),
            (Names{"Square", "ChannelAffine", "AveragePool", "Dense"}));
}

TEST(Simplify, KeepsWhatHasASecondUse) {
  Maker m(4);
  Graph graph = make_graph({2, 4, 4});
  ValueId conv = *append(graph, m.conv(2, 2, {3, 3}, {1, 1, 1, 1}), "conv", {Graph::kInput});
  ValueId affine = *append(graph, m.channel_affine(2), "affine", {conv});
  ASSERT_TRUE(append(graph, Add{}, "sum", {affine, conv}).ok());
  EXPECT_EQ(names(simplified(graph, m)), (Names{"Conv", "ChannelAffine", "Add"}));

  Graph output = make_graph({2, 4, 4});
  affine = *append(output, m.channel_affine(2), "affine", {Graph::kInput});
  conv = *append(output, m.conv(2, 2, {3, 3}), "conv", {affine});
  output.output = affine;
  EXPECT_EQ(names(simplified(output, m)), (Names{"ChannelAffine"}));
}

TEST(Simplify, RecognisesProducts) {
  Maker m(5);
  for (bool first : {true, false}) {
    Graph silu = make_graph({2, 3, 3});
    ValueId sigmoid = *append(silu, Activation{ActivationKind::kSigmoid, 0}, "sigmoid", {Graph::kInput});
    std::vector<ValueId> inputs = first ? std::vector<ValueId>{sigmoid, 0} : std::vector<ValueId>{0, sigmoid};
    ASSERT_TRUE(append(silu, Multiply{}, "product", inputs).ok());
    EXPECT_EQ(names(simplified(silu, m)), (Names{"Silu"}));
  }
  Graph of_itself = make_graph({2, 3, 3});
  ValueId square = *append(of_itself, Square{}, "square", {Graph::kInput});
  ValueId sigmoid = *append(of_itself, Activation{ActivationKind::kSigmoid, 0}, "sigmoid", {square});
  ASSERT_TRUE(append(of_itself, Multiply{}, "product", {Graph::kInput, sigmoid}).ok());
  EXPECT_EQ(names(simplified(of_itself, m)), (Names{"Function"}));

  Graph gate = make_graph({2, 3, 3});
  ValueId conv = *append(gate, m.conv(2, 2, {1, 1}), "conv", {Graph::kInput});
  sigmoid = *append(gate, Activation{ActivationKind::kSigmoid, 0}, "sigmoid", {conv});
  ASSERT_TRUE(append(gate, Multiply{}, "product", {Graph::kInput, sigmoid}).ok());
  EXPECT_EQ(names(simplified(gate, m)), (Names{"Conv", "Sigmoid", "Multiply"}));

  Graph per_channel = make_graph({2, 3, 3});
  ValueId affine = *append(per_channel, m.channel_affine(2), "affine", {Graph::kInput});
  sigmoid = *append(per_channel, Activation{ActivationKind::kSigmoid, 0}, "sigmoid", {affine});
  ASSERT_TRUE(append(per_channel, Multiply{}, "product", {Graph::kInput, sigmoid}).ok());
  EXPECT_EQ(names(simplified(per_channel, m)), (Names{"ChannelAffine", "Sigmoid", "Multiply"}));

  Graph equal = make_graph({2, 3, 3});
  ASSERT_TRUE(append(equal, Multiply{}, "product", {Graph::kInput, Graph::kInput}).ok());
  EXPECT_EQ(names(simplified(equal, m)), (Names{"Square"}));
}

// Nodes that a test names by their results.
struct Steps {
  Graph graph = make_graph({2, 3, 3});
  ValueId add(Operation operation, std::vector<ValueId> inputs) {
    return *append(graph, std::move(operation), "n" + std::to_string(graph.nodes.size()), std::move(inputs));
  }
  ValueId affine(float scale, float shift, ValueId input) {
    return add(ChannelAffine{{scale, scale}, {shift, shift}}, {input});
  }
};

TEST(Simplify, RecognisesWhatExportersWriteForFunctions) {
  Maker m(10);
  const ValueId x = Graph::kInput;
  for (bool half_first : {true, false}) {
    Steps gelu;
    ValueId half = half_first ? gelu.affine(0.5f, 0, x) : x;
    ValueId erf = gelu.add(Activation{ActivationKind::kErf}, {gelu.affine(0.70710678f, 0, x)});
    ValueId product = gelu.add(Multiply{}, {half, gelu.affine(1, 1, erf)});
    if (!half_first) gelu.affine(0.5f, 0, product);
    Graph simple = simplified(gelu.graph, m);
    ASSERT_EQ(names(simple), (Names{"Gelu"}));
    EXPECT_EQ(std::get<Activation>(simple.nodes[0].operation).kind, ActivationKind::kGelu);
  }
  Steps tanh;
  ValueId cube = tanh.add(Multiply{}, {x, tanh.add(Square{}, {x})});
  ValueId inner = tanh.affine(0.7978845608f, 0, tanh.add(Add{}, {tanh.affine(0.044715f, 0, cube), x}));
  ValueId outer = tanh.affine(1, 1, tanh.add(Activation{ActivationKind::kTanh}, {inner}));
  tanh.affine(0.5f, 0, tanh.add(Multiply{}, {outer, x}));
  Graph simple = simplified(tanh.graph, m);
  ASSERT_EQ(names(simple), (Names{"Gelu"}));
  EXPECT_EQ(std::get<Activation>(simple.nodes[0].operation).kind, ActivationKind::kGeluTanh);

  Steps hard;
  ValueId clipped = hard.add(Activation{ActivationKind::kClip, 0, 6}, {hard.affine(1, 3, x)});
  hard.affine(1.0f / 6, 0, hard.add(Multiply{}, {x, clipped}));
  EXPECT_EQ(names(simplified(hard.graph, m)), (Names{"HardSwish"}));

  Steps mish;
  ValueId softplus = mish.add(Activation{ActivationKind::kSoftplus}, {x});
  mish.add(Multiply{}, {mish.add(Activation{ActivationKind::kTanh}, {softplus}), x});
  EXPECT_EQ(names(simplified(mish.graph, m)), (Names{"Mish"}));

  // A slope that is not Gelu's, and an argument that is scaled, are functions without a name.
  Steps other;
  ValueId erf = other.add(Activation{ActivationKind::kErf}, {other.affine(0.71f, 0, x)});
  other.affine(0.5f, 0, other.add(Multiply{}, {x, other.affine(1, 1, erf)}));
  EXPECT_EQ(names(simplified(other.graph, m)), (Names{"Function"}));
}

TEST(Simplify, KeepsWithinTheNarrowerLimits) {
  Maker m(11);
  const auto limits = [&](const Activation& first, const Activation& second) {
    Graph simple = simplified(chain({2, 3, 3}, {Square{}, first, second}), m);
    EXPECT_EQ(simple.nodes.size(), 2u);
    return std::get<Activation>(simple.nodes.back().operation);
  };
  const Activation relu{ActivationKind::kRelu}, six{ActivationKind::kClip, -1, 0.5f};
  EXPECT_EQ(limits(relu, relu).kind, ActivationKind::kRelu);
  for (const Activation& both : {limits(relu, six), limits(six, relu)}) {
    EXPECT_EQ(both.kind, ActivationKind::kClip);
    EXPECT_EQ(both.alpha, 0);
    EXPECT_EQ(both.beta, 0.5f);
  }
  const Activation apart = limits({ActivationKind::kClip, 0.1f, 0.2f}, {ActivationKind::kClip, 0.7f, 0.9f});
  EXPECT_EQ(apart.alpha, 0.7f);
  EXPECT_EQ(apart.beta, 0.7f);
}

// A random permutation to a shape.
Permute shuffled(Maker& m, const Shape& shape) {
  Permute permute{shape, std::vector<std::uint32_t>(static_cast<std::size_t>(shape.size()))};
  std::iota(permute.source.begin(), permute.source.end(), 0u);
  for (std::size_t i = permute.source.size(); i > 1; --i)
    std::swap(permute.source[i - 1],
              permute.source[static_cast<std::size_t>(m.below(static_cast<std::int64_t>(i)))]);
  return permute;
}

TEST(Simplify, TakesPermutationsIntoDenseLayers) {
  Maker m(12);
  const Shape shape{2, 3, 4}, turned{4, 3, 2};
  EXPECT_EQ(names(simplified(chain(shape, {shuffled(m, turned), m.dense(24, 5)}), m)), (Names{"Dense"}));
  EXPECT_EQ(names(simplified(chain(shape, {shuffled(m, turned), Reshape{{24, 1, 1}}, m.dense(24, 5)}), m)),
            (Names{"Dense"}));
  EXPECT_EQ(names(simplified(chain(shape, {m.dense(24, 24), shuffled(m, {24, 1, 1})}), m)), (Names{"Dense"}));
  EXPECT_EQ(names(simplified(chain(shape, {m.dense(24, 24), shuffled(m, turned), m.conv(4, 2, {2, 2})}), m)),
            (Names{"Dense", "Reshape", "Conv"}));
  // Past what works element by element.
  EXPECT_EQ(
      names(simplified(chain(shape, {shuffled(m, turned), Activation{ActivationKind::kTanh},
                                     m.channel_affine(4), Square{}, m.element_affine(24), m.dense(24, 5)}),
                       m)),
      (Names{"Tanh", "ElementAffine", "Square", "Dense"}));
  EXPECT_EQ(
      names(simplified(chain(shape, {Reshape{{24, 1, 1}}, shuffled(m, turned), shuffled(m, shape)}), m)),
      (Names{"Permute"}));
  EXPECT_EQ(names(simplified(
                chain(shape, {Square{}, shuffled(m, turned), AveragePool{{2, 2}, {1, 1}, {}, false}}), m)),
            (Names{"Square", "Permute", "AveragePool"}));
}

TEST(Simplify, DropsPermutationsThatUndoEachOther) {
  Maker m(13);
  Permute there = shuffled(m, {4, 3, 2}), back{{2, 3, 4}, std::vector<std::uint32_t>(24)};
  for (std::uint32_t i = 0; i < 24; ++i) back.source[there.source[i]] = i;
  EXPECT_EQ(names(simplified(chain({2, 3, 4}, {there, m.channel_affine(4), back, Square{}}), m)),
            (Names{"ElementAffine", "Square"}));
  ChannelAffine twice{std::vector<float>(4, 2), std::vector<float>(4, 0)};
  EXPECT_EQ(names(simplified(chain({2, 3, 4}, {there, twice, back, Square{}}), m)),
            (Names{"ChannelAffine", "Square"}));
}

TEST(Simplify, KeepsPermutationsThatAreReadTwice) {
  Maker m(14);
  Graph graph = make_graph({2, 3, 4});
  ValueId permute = *append(graph, shuffled(m, {4, 3, 2}), "permute", {Graph::kInput});
  ValueId square = *append(graph, Square{}, "square", {permute});
  ASSERT_TRUE(append(graph, Add{}, "sum", {permute, square}).ok());
  EXPECT_EQ(names(simplified(graph, m)), (Names{"Permute", "Square", "Add"}));
}

TEST(Simplify, DropsWhatChangesNothing) {
  Maker m(6);
  Shape shape{2, 3, 4};
  EXPECT_EQ(names(simplified(chain(shape, {Reshape{{24, 1, 1}}, Reshape{shape}}), m)), Names{});
  EXPECT_EQ(names(simplified(chain(shape, {Reshape{{24, 1, 1}}, Reshape{{4, 6, 1}}, Square{}}), m)),
            (Names{"Reshape", "Square"}));
  EXPECT_EQ(names(simplified(
                chain(shape, {ChannelAffine{{1, 1}, {0, 0}}, Pad{}, AveragePool{}, MaxPool{}, Square{}}), m)),
            (Names{"Square"}));
  EXPECT_EQ(
      names(simplified(
          chain(shape, {Square{}, ElementAffine{std::vector<float>(24, 3), std::vector<float>(24, 1)}}), m)),
      (Names{"Square", "ChannelAffine"}));
  Graph dead = chain(shape, {Square{}, Activation{}, Square{}});
  dead.output = 1;
  EXPECT_EQ(names(simplified(dead, m)), (Names{"Square"}));
}

TEST(Simplify, PutsPadsIntoWindows) {
  Maker m(7);
  Graph conv = simplified(
      chain({2, 5, 5}, {Square{}, Pad{{1, 0, 0, 1}}, Pad{{0, 1, 0, 0}}, m.conv(2, 3, {3, 3}, {0, 0, 1, 1})}),
      m);
  ASSERT_EQ(names(conv), (Names{"Square", "Conv"}));
  EXPECT_EQ(std::get<Conv>(conv.nodes[1].operation).pads, (Pads{1, 1, 1, 2}));
  Graph pool =
      simplified(chain({2, 5, 5}, {Square{}, Pad{{1, 0, 0, 1}}, AveragePool{{3, 3}, {2, 2}, {}, false}}), m);
  ASSERT_EQ(names(pool), (Names{"Square", "AveragePool"}));
  EXPECT_TRUE(std::get<AveragePool>(pool.nodes[1].operation).count_include_pad);
  // The pool's own padding is not counted and the Pad's is; and padding as wide as the kernel is not allowed.
  EXPECT_EQ(names(simplified(
                chain({2, 5, 5}, {Pad{{1, 0, 0, 1}}, AveragePool{{3, 3}, {2, 2}, {1, 1, 1, 1}, false}}), m)),
            (Names{"Pad", "AveragePool"}));
  EXPECT_EQ(
      names(simplified(chain({2, 5, 5}, {Pad{{3, 0, 0, 0}}, AveragePool{{3, 3}, {1, 1}, {}, false}}), m)),
      (Names{"Pad", "AveragePool"}));
}

TEST(Simplify, MergesDenseLayersThatGetSmaller) {
  Maker m(8);
  EXPECT_EQ(names(simplified(chain({3, 2, 2}, {m.dense(12, 20), Reshape{{4, 5, 1}}, m.dense(20, 4)}), m)),
            (Names{"Dense"}));
  EXPECT_EQ(names(simplified(chain({3, 2, 2}, {m.dense(12, 2), m.dense(2, 12)}), m)),
            (Names{"Dense", "Dense"}));
}

TEST(Simplify, DoesNotFoldBeyondFloat) {
  Maker m(9);
  Dense dense{1, 1, {1e30f}, {0}};
  Graph simple = simplify(chain({1, 1, 1}, {dense, ChannelAffine{{1e30f}, {0}}}));
  EXPECT_EQ(names(simple), (Names{"Dense", "ChannelAffine"}));
}

// A random graph of linear and other steps, some of which are read twice.
Graph random_graph(Maker& m) {
  Graph graph = make_graph({1 + m.below(4), 4 + m.below(5), 4 + m.below(5)});
  std::vector<ValueId> values = {Graph::kInput};
  for (std::int64_t step = 2 + m.below(8); step > 0; --step) {
    ValueId from = m.below(4) == 0
                       ? values[static_cast<std::size_t>(m.below(static_cast<std::int64_t>(values.size())))]
                       : values.back();
    const Shape shape = graph.shape_of(from);
    Operation operation = Square{};
    std::vector<ValueId> inputs = {from};
    switch (m.below(14)) {
      case 0:
      case 1: {
        std::int64_t groups = m.below(2) == 0 ? shape.channels : 1;
        Conv conv = m.conv(shape.channels, groups * (1 + m.below(3)), {1 + m.below(3), 1 + m.below(3)},
                           {m.below(2), m.below(2), m.below(2), m.below(2)}, groups);
        conv.stride = {1 + m.below(2), 1 + m.below(2)};
        operation = conv;
        break;
      }
      case 2:
        operation = m.dense(shape.size(), 1 + m.below(12));
        break;
      case 3:
      case 4:
      case 5:
        operation = m.channel_affine(shape.channels);
        break;
      case 6:
        operation = m.element_affine(shape.size());
        break;
      case 7:
        operation = AveragePool{{2, 2}, {1 + m.below(2), 1}, {m.below(2), 0, 0, m.below(2)}, m.below(2) == 0};
        break;
      case 8:
        operation = Pad{{m.below(2), m.below(2), m.below(2), m.below(2)}};
        break;
      case 9:
        operation = Reshape{{shape.size(), 1, 1}};
        break;
      case 10:
        operation = Activation{
            static_cast<ActivationKind>(m.below(static_cast<int>(ActivationKind::kFunction))), 0.1f, 0.5f};
        break;
      case 11:
        operation = m.below(2) == 0
                        ? Operation(shuffled(m, {shape.width, shape.channels, shape.height}))
                        : Operation(MaxPool{{2, 2}, {1 + m.below(2), 1}, {}, {m.below(2), 0, 0, m.below(2)}});
        break;
      default:
        for (ValueId other : values) {
          if (graph.shape_of(other) != shape) continue;
          inputs = {from, other};
          if (m.below(2) == 0) break;
        }
        if (inputs.size() == 2) {
          const Operation choices[] = {Add{}, Multiply{}, Concat{}};
          operation = choices[m.below(3)];
        }
    }
    Result<ValueId> value =
        append(graph, std::move(operation), "n" + std::to_string(step), std::move(inputs));
    if (value.ok()) values.push_back(*value);  // a window may not fit a small image
  }
  return graph;
}

TEST(Simplify, KeepsWhatRandomGraphsCompute) {
  std::size_t smaller = 0;
  for (std::uint32_t seed = 100; seed < 1600; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Maker m(seed);
    Graph graph = random_graph(m);
    Graph simple = simplify(graph);
    ASSERT_TRUE(validate(simple).ok());
    ASSERT_EQ(simple.output_shape(), graph.output_shape());
    smaller += simple.nodes.size() < graph.nodes.size();
    Tensor input = m.tensor(graph.input_shape());
    Result<std::vector<Tensor>> before = execute_all(graph, input);
    Result<Tensor> after = execute(simple, input);
    ASSERT_TRUE(before.ok() && after.ok());
    // Squares upon squares can leave float32; and where large numbers cancel, rounding is all there is to
    // compare.
    double largest = 0;
    for (const Tensor& value : *before) {
      for (float x : value.data) largest = std::max(largest, std::abs(double{x}));
    }
    const Tensor& wanted = (*before)[graph.output];
    double scale = 0;
    for (float x : wanted.data) scale = std::max(scale, std::abs(double{x}));
    if (!(largest < 1e4 * scale)) continue;
    expect_close(after->data, wanted.data, 1e-2);
    for (std::size_t i = 0; i < wanted.data.size(); ++i) {
      ASSERT_NEAR(after->data[i], wanted.data[i], 1e-5 * scale + 1e-6 * largest);
    }
  }
  EXPECT_GT(smaller, 700u);
}

}  // namespace
}  // namespace tacit::graph
