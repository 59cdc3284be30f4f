// SPDX-License-Identifier: Apache-2.0
// What leaves the server: levels, unused slots, and the key that hides the rest.
#include "plan/results.h"

#include <cmath>

#include "support/plan_fixture.h"
#include "support/seed.h"

namespace tacit::plan {
namespace {

using test::kSeed;

ValueId client(test::PlanBuilder& builder, ValueId in, int level) {
  const Value from = builder.value(in);
  const ValueId out =
      builder.add_value("client", from.layout, from.period, level, builder.prime(std::max(level, 1)));
  builder.plan.operations.push_back(ClientStep{{in}, out, Activation{ActivationKind::kRelu}});
  return out;
}

TEST(UnusedSlots, HoldWhatIsComputedOfZero) {
  test::PlanBuilder builder(test::make_literal(14, 40, 34, 7), test::grid_layout(1, 8, 8, 1, 8), 64, kSeed);
  const Layout vector = test::vector_layout(5);
  const ValueId dense = builder.linear(builder.plan.input, {Matrix{5, 64, {}}}, vector, 8, 2);
  const ValueId poly = builder.polynomial(dense, {0.3, 0.5, -0.2});  // 0.3 T_0 - 0.2 T_2 at 0: 0.5
  const ValueId square = builder.square(poly);
  const ValueId product = builder.product(square, poly);
  const ValueId half = builder.rescaling(product, 0.5, 0x1p34);
  const Plan plan = builder.finish(half);
  const Stage stage{{0, 1, 2, 3, 4}, {plan.input}, {dense, poly, square, product, half}};
  const std::vector<double> unused = unused_slots(plan, stage);
  const double expected[] = {0, 0.5, 0.25, 0.125, 0.0625};
  for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(unused[i], expected[i], 1e-15) << i;
  EXPECT_EQ(used_slots(vector, 8), (std::vector<bool>{true, true, true, true, true, false, false, false}));
}

// What comes back from the client was zero there when it left.
TEST(UnusedSlots, StartAnewInEachStage) {
  test::PlanBuilder builder(test::make_literal(14, 40, 34, 6), test::grid_layout(1, 8, 8, 1, 8), 64, kSeed);
  const Layout vector = test::vector_layout(5);
  const ValueId dense = builder.linear(builder.plan.input, {Matrix{5, 64, {}}}, vector, 8, 2);
  const ValueId poly = builder.polynomial(dense, {0.3, 0.5, -0.2});
  const ValueId relu = client(builder, poly, 3);
  const ValueId square = builder.square(relu);
  const Plan plan = builder.finish(square);
  const std::vector<Stage> stages = stages_of(plan);
  ASSERT_EQ(stages.size(), 2u);
  EXPECT_NEAR(unused_slots(plan, stages[0]).at(0), 0.5, 1e-15);
  EXPECT_EQ(unused_slots(plan, stages[1]).at(0), 0);
}

// A result that nobody takes back is dropped as far as its bound fits; one that comes back keeps its level.
TEST(ResultLevel, IsAsLowAsCanBe) {
  test::PlanBuilder builder(test::make_literal(14, 40, 34, 5), test::grid_layout(1, 8, 8, 1, 8), 64, kSeed);
  const Layout maps = test::grid_layout(1, 8, 8, 1, 8);
  const ValueId conv = builder.linear(builder.plan.input, {test::convolution(1, 1, 3, 1, 1)}, maps, 64, 8);
  const ValueId relu = client(builder, conv, 4);
  const ValueId again = builder.linear(relu, {test::convolution(1, 1, 3, 1, 1)}, maps, 64, 8);
  const ValueId sum = builder.add(again, again);
  Plan plan = builder.finish(sum);
  EXPECT_EQ(plan.values[conv].level, 4);
  EXPECT_EQ(result_level(plan, conv), 0);
  EXPECT_EQ(result_level(plan, sum), 0);
  EXPECT_EQ(highest_result_level(plan), 0);
  const ClientHalf half = client_half_of(plan);
  EXPECT_EQ(half.values[half.output].level, 0);
  plan.values[sum].bound = 0x1p5;  // with a scale of 2^34 more than 2^40 has room for
  EXPECT_EQ(result_level(plan, sum), 1);

  std::get<Add>(plan.operations.back()).right = conv;
  EXPECT_EQ(stages_of(plan)[1].inputs, (std::vector<ValueId>{conv, relu}));
  EXPECT_EQ(result_level(plan, conv), 4);
  EXPECT_EQ(highest_result_level(plan), 4);
}

TEST(ZeroKey, IsAskedForWhereNoOtherServes) {
  // One layer of numbers without rotations: its plan uses no key at all.
  test::PlanBuilder builder(test::make_literal(12, 30, 22, 1), test::vector_layout(4), 4, kSeed);
  builder.plan.slots = 1;
  const ValueId out = builder.linear(builder.plan.input, {Matrix{3, 4, {}}}, test::vector_layout(3), 4, 1);
  Plan plan = builder.finish(out);
  ASSERT_TRUE(plan.keys.empty());
  const ckks::Parameters parameters = *ckks::Parameters::create(plan.parameters);
  EXPECT_FALSE(can_rerandomise(plan.keys, 0));
  add_zero_key(parameters, plan);
  ASSERT_EQ(plan.keys.size(), 1u);
  EXPECT_EQ(plan.keys[0], (ckks::KeyRequest{8189, {1, 1, 1}}));
  EXPECT_TRUE(can_rerandomise(plan.keys, 0));
  EXPECT_TRUE(plan.validate().ok());
  add_zero_key(parameters, plan);
  EXPECT_EQ(plan.keys.size(), 1u) << "one is enough";

  Plan usual = test::make_cryptonets(kSeed);
  const std::size_t keys = usual.keys.size();
  add_zero_key(*ckks::Parameters::create(usual.parameters), usual);
  EXPECT_EQ(usual.keys.size(), keys) << "its own keys serve";
}

}  // namespace
}  // namespace tacit::plan
