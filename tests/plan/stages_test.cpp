// SPDX-License-Identifier: Apache-2.0
// Plans with client steps: which stage each operation belongs to, what crosses, and that both halves of a package say so.
#include "plan/stages.h"

#include <cmath>

#include "plan/run_steps.h"
#include "support/plan_fixture.h"
#include "support/seed.h"

namespace tacit::plan {
namespace {

using test::kSeed;

// input -conv-> a -relu(client)-> b -conv-> c; c + d -> e, d = conv of b; e -max(client)-> f -dense-> g.
struct Example {
  ValueId a, b, c, d, e, f, g;
  Plan plan;

  Example() {
    test::PlanBuilder builder(test::make_literal(13, 40, 34, 3), test::grid_layout(1, 8, 8, 1, 8), 64, kSeed);
    const Layout maps = test::grid_layout(2, 8, 8, 1, 8), pooled = test::grid_layout(2, 4, 4, 1, 4);
    a = builder.linear(builder.plan.input, {test::convolution(1, 2, 3, 1, 1)}, maps, 128, 8);
    b = client(builder, a, Activation{ActivationKind::kRelu}, maps, 128, 2);
    c = builder.linear(b, {test::convolution(2, 2, 3, 1, 1)}, maps, 128, 8);
    d = builder.linear(b, {test::convolution(2, 2, 1, 1, 0)}, maps, 128, 8);
    e = builder.add(c, d);
    f = client(builder, e, MaxPooling{2, 2, 2, 2}, pooled, 32, 1);
    g = builder.linear(f, {Matrix{3, 32, {}}}, test::vector_layout(3), 4, 2);
    plan = builder.finish(g);
  }

  static ValueId client(test::PlanBuilder& builder, ValueId in, ClientFunction function, const Layout& layout,
                        std::size_t period, int level) {
    const ValueId out = builder.add_value("client", layout, period, level, builder.prime(std::max(level, 1)));
    builder.plan.operations.push_back(ClientStep{{in}, out, std::move(function)});
    return out;
  }
};

TEST(Stages, AreWhatLiesBetweenClientSteps) {
  const Example x;
  EXPECT_EQ(stage_numbers(x.plan), (std::vector<std::size_t>{0, 1, 1, 1, 1, 2, 2}));
  const std::vector<Stage> stages = stages_of(x.plan);
  ASSERT_EQ(stages.size(), 3u);
  EXPECT_EQ(stages[0].operations, (std::vector<std::size_t>{0}));
  EXPECT_EQ(stages[0].inputs, (std::vector<ValueId>{x.plan.input}));
  EXPECT_EQ(stages[0].outputs, (std::vector<ValueId>{x.a}));
  EXPECT_EQ(stages[1].operations, (std::vector<std::size_t>{2, 3, 4}));
  EXPECT_EQ(stages[1].inputs, (std::vector<ValueId>{x.b}));
  EXPECT_EQ(stages[1].outputs, (std::vector<ValueId>{x.e}));
  EXPECT_EQ(stages[2].inputs, (std::vector<ValueId>{x.f}));
  EXPECT_EQ(stages[2].outputs, (std::vector<ValueId>{x.g}));
}

TEST(Stages, OfAPlanWithoutClientStepsAreOne) {
  const Plan plan = test::make_residual(kSeed);
  const std::vector<Stage> stages = stages_of(plan);
  ASSERT_EQ(stages.size(), 1u);
  EXPECT_EQ(stages[0].operations.size(), plan.operations.size());
  EXPECT_EQ(stages[0].inputs, (std::vector<ValueId>{plan.input}));
  EXPECT_EQ(stages[0].outputs, (std::vector<ValueId>{plan.output}));
}

// A server's value that a later stage reads goes out and comes back.
TEST(Stages, CarryWhatALaterOneReads) {
  test::PlanBuilder builder(test::make_literal(13, 40, 34, 3), test::grid_layout(1, 8, 8, 1, 8), 64, kSeed);
  const Layout maps = test::grid_layout(1, 8, 8, 1, 8);
  const ValueId a = builder.linear(builder.plan.input, {test::convolution(1, 1, 3, 1, 1)}, maps, 64, 8);
  const ValueId b = Example::client(builder, a, Activation{ActivationKind::kTanh}, maps, 64, 3);
  const ValueId c = builder.linear(b, {test::convolution(1, 1, 3, 1, 1)}, maps, 64, 8);
  const ValueId sum = builder.add(c, a);
  const Plan plan = builder.finish(sum);
  const std::vector<Stage> stages = stages_of(plan);
  ASSERT_EQ(stages.size(), 2u);
  EXPECT_EQ(stages[0].outputs, (std::vector<ValueId>{a}));
  EXPECT_EQ(stages[1].inputs, (std::vector<ValueId>{a, b}));
}

TEST(Stages, AreTheStepsOfTheClientHalf) {
  const Example x;
  const ClientHalf half = test::make_package(x.plan).client;
  ASSERT_TRUE(validate(half).ok()) << validate(half).error().to_line();
  ASSERT_EQ(half.steps.size(), 5u);
  EXPECT_EQ(half.requests().size(), 3u);
  const auto read = client_half_from_json(to_json(half));
  ASSERT_TRUE(read.ok()) << read.error().to_line();
  EXPECT_EQ(to_json(*read), to_json(half));
  const auto package = read_package(write_package(test::make_package(x.plan)));
  ASSERT_TRUE(package.ok()) << package.error().to_line();
  EXPECT_TRUE(
      std::holds_alternative<MaxPooling>(std::get_if<ClientStep>(&package->plan.operations[5])->function));
}

TEST(Stages, OfAClientHalfMustHangTogether) {
  const ClientHalf good = test::make_package(Example().plan).client;
  const auto refused = [&](auto change) {
    ClientHalf half = good;
    change(half);
    return !validate(half).ok() && !client_half_from_json(to_json(half)).ok();
  };
  EXPECT_TRUE(refused([](ClientHalf& h) { h.steps.clear(); }));
  EXPECT_TRUE(refused([](ClientHalf& h) { h.steps.pop_back(); }));
  EXPECT_TRUE(refused([](ClientHalf& h) { std::swap(h.steps[0], h.steps[1]); }));
  EXPECT_TRUE(refused([](ClientHalf& h) { h.steps.push_back(h.steps.front()); }));
  EXPECT_TRUE(refused([](ClientHalf& h) { std::get_if<Request>(&h.steps[0])->inputs.clear(); }));
  EXPECT_TRUE(refused([](ClientHalf& h) { h.values[1].level = kClear; }));
  EXPECT_TRUE(refused([](ClientHalf& h) { std::get_if<Computation>(&h.steps[1])->function = ClearSum{}; }));
  EXPECT_TRUE(refused([](ClientHalf& h) {
    std::get_if<Computation>(&h.steps[3])->function = MaxPooling{3, 3, 1, 1};
  }));
}

// Values travel as tensors; the "server" answers with what it is asked for, so that order and place show.
TEST(RunSteps, HandsEachValueToWhoNeedsIt) {
  const Example x;
  const ClientHalf half = test::make_package(x.plan).client;
  struct Way {
    std::vector<std::size_t> stages;
    Result<Tensors> encrypt(const ClientValue&, const Tensors& tensors) { return tensors; }
    Result<Tensors> decrypt(const ClientValue&, const Tensors& tensors) { return tensors; }
    Result<std::vector<Tensors>> ask(std::size_t stage, std::vector<Tensors> inputs) {
      stages.push_back(stage);
      // Shapes: 1x8x8 -> 2x8x8 -> 2x8x8, 2x4x4 -> 3.
      const std::size_t sizes[] = {128, 128, 3};
      std::vector<float> made(sizes[stage]);
      for (std::size_t i = 0; i < made.size(); ++i)
        made[i] = inputs[0][0][i % inputs[0][0].size()] - 0.5f * static_cast<float>(stage);
      return std::vector<Tensors>{{made}};
    }
  } way;
  std::vector<float> image(64);
  for (std::size_t i = 0; i < 64; ++i) image[i] = static_cast<float>(i % 7) - 3;
  const auto outputs = run_steps<Tensors>(half, {image}, half.output, way);
  ASSERT_TRUE(outputs.ok());
  EXPECT_EQ(way.stages, (std::vector<std::size_t>{0, 1, 2}));
  ASSERT_EQ(outputs->front().size(), 3u);
  // Window 0 of channel 0: pixels 0, 1, 8, 9 after relu and minus 0.5.
  const auto relu = [&](std::size_t i) { return std::max(image[i % 64], 0.0f) - 0.5f; };
  EXPECT_EQ(outputs->front()[0], std::max({relu(0), relu(1), relu(8), relu(9)}) - 1);
}

TEST(ClientFunctions, TakeMaximaAsTheyAreDefined) {
  std::mt19937 random(kSeed);
  for (int i = 0; i < 200; ++i) {
    const auto pick = [&](int low, int high) {
      return std::uniform_int_distribution<int>(low, high)(random);
    };
    const Shape in{pick(1, 3), pick(3, 9), pick(3, 9)};
    MaxPooling p;
    p.kernel_height = pick(1, 3), p.kernel_width = pick(1, 3);
    p.stride_height = pick(1, 3), p.stride_width = pick(1, 3);
    p.dilation_height = p.kernel_height > 1 ? pick(1, 2) : 1;
    p.pad_top = pick(0, p.kernel_height - 1), p.pad_left = pick(0, p.kernel_width - 1);
    p.pad_bottom = pick(0, p.kernel_height - 1), p.pad_right = pick(0, p.kernel_width - 1);
    const auto shape = shape_after(p, in);
    if (!shape.ok()) continue;
    std::vector<float> x(in.elements());
    for (float& v : x) v = std::normal_distribution<float>()(random);
    const std::span<const float> inputs[] = {x};
    const std::vector<float> y = apply(p, in, inputs);
    ASSERT_EQ(y.size(), shape->elements());
    const int c = pick(0, shape->channels - 1), row = pick(0, shape->height - 1),
              column = pick(0, shape->width - 1);
    float expected = -INFINITY;
    for (int r = 0; r < in.height; ++r)
      for (int s = 0; s < in.width; ++s) {
        const int dr = r + p.pad_top - row * p.stride_height, ds = s + p.pad_left - column * p.stride_width;
        const bool inside = dr >= 0 && dr % p.dilation_height == 0 &&
                            dr / p.dilation_height < p.kernel_height && ds >= 0 && ds < p.kernel_width;
        if (inside) expected = std::max(expected, x[in.index(c, r, s)]);
      }
    ASSERT_EQ(y[shape->index(c, row, column)], expected) << "seed " << kSeed << ", case " << i;
  }
}

TEST(ClientFunctions, RefuseWindowsThatAreNone) {
  const Shape in{1, 4, 4};
  for (const MaxPooling& p : {MaxPooling{5, 1}, MaxPooling{0, 1}, MaxPooling{2, 2, 0, 1},
                              MaxPooling{2, 2, 1, 1, 2}, MaxPooling{2, 2, 1, 1, 0, 0, 0, 0, 4, 1}})
    EXPECT_FALSE(shape_after(p, in).ok());
  EXPECT_TRUE(shape_after(MaxPooling{4, 4}, in).ok());
}

}  // namespace
}  // namespace tacit::plan
