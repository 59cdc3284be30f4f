// SPDX-License-Identifier: Apache-2.0
// Schedules on plain slot vectors against the network's own definition on tensors.
#include "runtime/clear.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/plan_fixture.h"

namespace tacit::runtime {
namespace {

using Tensor = std::vector<double>;

Tensor product(const plan::LinearMap& map, const Tensor& x) {
  const std::vector<plan::SparseRow> rows = map.rows();
  Tensor y = map.bias;
  y.resize(rows.size(), 0);
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (const plan::SparseEntry& e : rows[i]) y[i] += e.value * x[e.column];
  return y;
}

// The values of a plan without slots, levels or scales.
std::vector<Tensor> reference(const plan::Plan& plan, const Tensor& input) {
  std::vector<Tensor> values(plan.values.size());
  values[plan.input] = input;
  for (const plan::Operation& operation : plan.operations) {
    Tensor& out = values[output_of(operation)];
    if (const auto* o = std::get_if<plan::Linear>(&operation)) {
      out = product(plan.maps[o->map], values[o->input]);
    } else if (const auto* square = std::get_if<plan::Square>(&operation)) {
      for (double x : values[square->input]) out.push_back(x * x);
    } else if (const auto* polynomial = std::get_if<plan::Polynomial>(&operation)) {
      for (double x : values[polynomial->input]) {
        double sum = 0, before = 1, now = x;  // T_0, T_1
        for (double c : polynomial->coefficients) {
          sum += c * before;
          before = std::exchange(now, 2 * x * now - before);
        }
        out.push_back(sum);
      }
    } else if (const auto* add = std::get_if<plan::Add>(&operation)) {
      for (std::size_t i = 0; i < values[add->left].size(); ++i)
        out.push_back(values[add->left][i] + values[add->right][i]);
    } else if (const auto* multiplied = std::get_if<plan::Product>(&operation)) {
      for (std::size_t i = 0; i < values[multiplied->left].size(); ++i)
        out.push_back(values[multiplied->left][i] * values[multiplied->right][i]);
    } else if (const auto* rescaling = std::get_if<plan::Rescaling>(&operation)) {
      for (double x : values[rescaling->input]) out.push_back(x * rescaling->factor);
    }
  }
  return values;
}

class Clear : public testing::TestWithParam<bool> {
 protected:
  static constexpr std::uint64_t kSeed = 61;
  const plan::Plan plan = GetParam() ? test::make_residual(kSeed) : test::make_cryptonets(kSeed);

  std::vector<float> random_tensor(std::uint64_t seed) const {
    std::mt19937_64 random(seed);
    std::vector<float> tensor(plan.values[plan.input].layout.shape.elements());
    for (float& x : tensor) x = std::uniform_real_distribution<float>(-1, 1)(random);
    return tensor;
  }
};

TEST_P(Clear, EveryValueIsThatOfTheNetworkInAllItsCopies) {
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  ClearArithmetic arithmetic(plan);
  for (std::uint64_t image = 0; image < 3; ++image) {
    const std::vector<float> tensor = random_tensor(image);
    const std::vector<Tensor> expected = reference(plan, Tensor(tensor.begin(), tensor.end()));
    const plan::Value& in = plan.values[plan.input];
    const auto packed = pack(in.layout, in.period, plan.slots, tensor, 1);
    ASSERT_TRUE(packed.ok());
    std::size_t seen = 0;
    const auto observer = [&](plan::ValueId id, const ClearVector& v) {
      ++seen;
      const plan::Value& value = plan.values[id];
      EXPECT_EQ(v.level, value.level);
      ASSERT_EQ(v.slots.size(), plan.slots);
      for (std::size_t t = 0; t < v.slots.size(); ++t)
        ASSERT_NEAR(v.slots[t], v.slots[t % value.period], 1e-9);
      const plan::Shape& s = value.layout.shape;
      for (int c = 0; c < s.channels; ++c)
        for (int y = 0; y < s.height; ++y)
          for (int x = 0; x < s.width; ++x)
            ASSERT_NEAR(v.slots[value.layout.slot(c, y, x)], expected[id][s.index(c, y, x)], 1e-9)
                << value.name;
    };
    const auto result = execute(plan, arithmetic, arithmetic.input(*packed), {}, observer);
    ASSERT_TRUE(result.ok()) << result.error().to_line();
    EXPECT_EQ(seen, plan.values.size());
  }
}

TEST_P(Clear, SimulateGoesFromTensorToOutputs) {
  ClearArithmetic arithmetic(plan);
  plan::Package package = test::make_package(plan);
  package.client.values[package.client.input].range = 0.5;
  package.client.values[package.client.output].range = 3;
  const std::vector<float> tensor = random_tensor(5);
  Tensor scaled;
  for (float x : tensor) scaled.push_back(x / 0.5);
  const Tensor expected = reference(plan, scaled)[plan.output];
  const auto outputs = simulate(package.client, arithmetic, tensor);
  ASSERT_TRUE(outputs.ok()) << outputs.error().to_line();
  ASSERT_EQ(outputs->size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR((*outputs)[i], 3 * expected[i], 1e-5 * (1 + std::abs(3 * expected[i])));
  EXPECT_EQ(simulate(package.client, arithmetic, std::vector<float>(3)).error().code,
            ErrorCode::kTensorShape);
}

TEST_P(Clear, TellsItsProgressAndCanBeCancelled) {
  ClearArithmetic arithmetic(plan);
  std::vector<std::size_t> steps;
  const auto record = [&](std::size_t done, std::size_t total) {
    EXPECT_EQ(total, plan.operations.size());
    steps.push_back(done);
    return true;
  };
  ASSERT_TRUE(execute(plan, arithmetic, arithmetic.input(std::vector<double>(plan.slots, 0)), record).ok());
  ASSERT_EQ(steps.size(), plan.operations.size() + 1);
  for (std::size_t i = 0; i < steps.size(); ++i) EXPECT_EQ(steps[i], i);

  const auto cancelled = execute(plan, arithmetic, arithmetic.input(std::vector<double>(plan.slots, 0)),
                                 [](std::size_t done, std::size_t) { return done < 2; });
  ASSERT_FALSE(cancelled.ok());
  EXPECT_EQ(cancelled.error().code, ErrorCode::kCancelled);
}

INSTANTIATE_TEST_SUITE_P(Plans, Clear, testing::Bool(),
                         [](const auto& test) { return test.param ? "Residual" : "CryptoNets"; });

TEST(ClearArithmetic, RefusesInputsOfAnotherLevelOrScale) {
  const plan::Plan plan = test::make_cryptonets(62);
  ClearArithmetic arithmetic(plan);
  ClearVector v = arithmetic.input(std::vector<double>(plan.slots, 0));
  v.level -= 1;
  EXPECT_EQ(execute(plan, arithmetic, v).error().code, ErrorCode::kLevelMismatch);
  v.level += 1;
  v.scale *= 1.001;
  EXPECT_EQ(execute(plan, arithmetic, v).error().code, ErrorCode::kScaleMismatch);
}

TEST(ClearArithmetic, KeepsTheRulesOfLevelsAndScales) {
  const plan::Plan plan = test::make_cryptonets(63);
  ClearArithmetic arithmetic(plan);
  const ClearVector a{std::vector<double>(plan.slots, 2), 3, 0x1p27},
      b{std::vector<double>(plan.slots, 3), 1, 0x1p26};
  const auto product = arithmetic.multiply(a, b);
  ASSERT_TRUE(product.ok());
  EXPECT_EQ(product->level, 0);
  EXPECT_DOUBLE_EQ(product->scale, 0x1p53 / arithmetic.prime(1));
  EXPECT_EQ(product->slots[17], 6);
  EXPECT_EQ(arithmetic.square(*product).error().code, ErrorCode::kLevelMismatch);
  EXPECT_EQ(arithmetic.add(a, b).error().code, ErrorCode::kScaleMismatch);
  EXPECT_EQ(arithmetic.drop(b, 2).error().code, ErrorCode::kLevelMismatch);
  EXPECT_EQ(arithmetic.rescaling(*product, 2, 0x1p27).error().code, ErrorCode::kLevelMismatch);
  const auto dropped = arithmetic.drop(a, 1);
  ASSERT_TRUE(dropped.ok());
  EXPECT_EQ(dropped->scale, a.scale);
  const ClearVector* const vectors[] = {&a, &b};
  const double coefficients[] = {0.5, -2};
  const auto sum = arithmetic.weighted_sum(vectors, coefficients, 0, 0x1p25);
  ASSERT_TRUE(sum.ok());
  EXPECT_EQ(sum->slots[5], -5);
  EXPECT_EQ(sum->scale, 0x1p25);
  EXPECT_EQ(arithmetic.weighted_sum(vectors, coefficients, 1, 0x1p25).error().code,
            ErrorCode::kLevelMismatch);
}

TEST(ClearArithmetic, RotatesLeftForPositiveSteps) {
  const std::vector<double> x = {0, 1, 2, 3, 4, 5, 6, 7};
  EXPECT_EQ(rotate(x, 3)[0], 3);
  EXPECT_EQ(rotate(x, -1)[0], 7);
  EXPECT_EQ(rotate(x, 8), x);
  EXPECT_EQ(rotate(x, -19)[0], 5);
}

}  // namespace
}  // namespace tacit::runtime
