// SPDX-License-Identifier: Apache-2.0
// Predicted noise against the noise of real ciphertexts.
#include "runtime/noise.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/cipher.h"
#include "support/ckks_fixture.h"
#include "support/plan_fixture.h"

namespace tacit::runtime {
namespace {

using test::unwrap;

// Root mean square of the differences of real parts.
double deviation(const std::vector<std::complex<double>>& measured, const std::vector<double>& exact) {
  double sum = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) sum += std::pow(measured[i].real() - exact[i], 2);
  return std::sqrt(sum / static_cast<double>(exact.size()));
}
double deviation(const std::vector<double>& measured, const std::vector<double>& exact) {
  return deviation(std::vector<std::complex<double>>(measured.begin(), measured.end()), exact);
}

class NoiseModelTest : public testing::Test {
 protected:
  test::Scheme scheme{test::make_parameters(13, 40, 30, 4, 49, 1)};
  NoiseModel model{scheme.parameters};
  const double scale = 0x1p30;
};

TEST_F(NoiseModelTest, PredictsEncodingAndEncryption) {
  const std::vector<double> x = scheme.random_vector();
  const double encoding = deviation(scheme.encoder.decode(unwrap(scheme.encoder.encode(x, scale, 3))), x);
  EXPECT_NEAR(encoding * scale / model.encoding(x.size()), 1, 0.1);

  const std::vector<double> repeated(x.begin(), x.begin() + 64);
  std::vector<double> all(x.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = repeated[i % 64];
  const auto decoded =
      scheme.encoder.decode(unwrap(scheme.encoder.encode(std::span<const double>(repeated), scale, 3, true)));
  EXPECT_NEAR(deviation(decoded, all) * scale / model.encoding(64), 1, 0.5);

  const double fresh = deviation(scheme.decrypt(scheme.encrypt(x, scale, 3)), x);
  EXPECT_NEAR(fresh * scale / std::hypot(model.encoding(x.size()), model.encryption()), 1, 0.1);
}

TEST_F(NoiseModelTest, PredictsRescaling) {
  const std::vector<double> x = scheme.random_vector();
  // At a scale at which the fresh noise disappears once divided by the prime.
  const ckks::Ciphertext fresh = scheme.encrypt(x, 0x1p45, 4);
  const ckks::Ciphertext rescaled = unwrap(scheme.evaluator.rescale(fresh));
  EXPECT_NEAR(deviation(scheme.decrypt(rescaled), x) * rescaled.scale / model.division(), 1, 0.15);
}

// Over many keys: digits are not centred, so the noise of a single one gathers in few slots and is large or small there.
TEST_F(NoiseModelTest, PredictsRotationsWithTheirKeys) {
  constexpr int kManyKeys = 24;
  for (int digit_size : {1, 2}) {
    const ckks::KeyShape shape{4, digit_size, 1};
    double squares = 0;
    for (int k = 0; k < kManyKeys; ++k) {
      scheme.add_rotation(5, shape);
      const ckks::Ciphertext fresh = scheme.encrypt(scheme.random_vector(), scale, 4);
      const std::vector<double> before =
          rotate(scheme.encoder.decode_real(unwrap(scheme.holder.decrypt(fresh))), 5);
      const ckks::Ciphertext rotated = unwrap(scheme.evaluator.rotate(fresh, 5, scheme.keys));
      squares += std::pow(deviation(scheme.decrypt(rotated), before) * scale, 2);
    }
    const double added = std::sqrt(squares / kManyKeys);
    const double predicted = std::hypot(model.division(), model.key_switch(shape, 4));
    EXPECT_GT(added, predicted / 2) << digit_size;
    EXPECT_LT(added, predicted * 2) << digit_size;
  }
}

TEST_F(NoiseModelTest, PredictsRelinearisation) {
  const ckks::KeyShape shape{4, 1, 1};
  scheme.add_key(ckks::kRelinearisation, shape);
  const ckks::Ciphertext fresh = scheme.encrypt(scheme.random_vector(), 0x1p40, 4);
  std::vector<double> exact = scheme.encoder.decode_real(unwrap(scheme.holder.decrypt(fresh)));
  for (double& x : exact) x *= x;
  const ckks::Ciphertext product =
      unwrap(scheme.evaluator.relinearise_rescale(unwrap(scheme.evaluator.square(fresh)), scheme.keys));
  const double predicted =
      std::hypot(model.division() / product.scale, model.key_switch(shape, 4) / (fresh.scale * fresh.scale));
  // The square of the fresh noise in the imaginary part is below this.
  const double measured = deviation(scheme.decrypt(product), exact);
  EXPECT_GT(measured, predicted / 1.5);
  EXPECT_LT(measured, predicted * 1.5);
}

// Every value of a whole plan: the noise of the real run within a factor of 1.5 of the simulated one.
struct Given {
  const char* name;
  plan::Plan (*make)(std::uint64_t seed);
};
class NoiseOfPlan : public testing::TestWithParam<Given> {};

TEST_P(NoiseOfPlan, IsThatOfCiphertexts) {
  const std::uint64_t seed = 71;
  SCOPED_TRACE("seed " + std::to_string(seed));
  const plan::Plan plan = GetParam().make(seed);
  test::Scheme scheme(unwrap(ckks::Parameters::create(plan.parameters)));
  for (const ckks::KeyRequest& key : plan.keys) scheme.add_key(key.element, key.shape);
  const EncodedPlan encoded = unwrap(EncodedPlan::create(plan, scheme.parameters));

  std::mt19937_64 random(seed);
  const plan::Value& in = plan.values[plan.input];
  std::vector<float> tensor(in.layout.shape.elements());
  for (float& x : tensor) x = std::uniform_real_distribution<float>(0, 1)(random);
  const std::vector<double> slots = unwrap(pack(in.layout, in.period, plan.slots, tensor, 1));

  ClearArithmetic clear(plan);
  std::vector<std::vector<double>> exact(plan.values.size());
  unwrap(execute(plan, clear, clear.input(slots), {},
                 [&](plan::ValueId id, const ClearVector& v) { exact[id] = v.slots; }));

  NoiseArithmetic noisy = unwrap(NoiseArithmetic::create(clear, seed));
  std::vector<double> simulated(plan.values.size());
  unwrap(execute(plan, noisy, noisy.input(slots), {}, [&](plan::ValueId id, const ClearVector& v) {
    simulated[id] = deviation(v.slots, exact[id]);
  }));

  CipherArithmetic cipher(encoded, scheme.keys);
  std::vector<double> measured(plan.values.size());
  unwrap(execute(plan, cipher, {scheme.encrypt(slots, in.scale, in.level)}, {},
                 [&](plan::ValueId id, const CipherVector& v) {
                   measured[id] = deviation(scheme.decrypt(v.front()), exact[id]);
                 }));

  for (std::size_t id = 0; id < plan.values.size(); ++id) {
    RecordProperty(plan.values[id].name, std::to_string(measured[id] / simulated[id]));
    EXPECT_GT(measured[id], simulated[id] / 1.5) << plan.values[id].name << " simulated " << simulated[id];
    EXPECT_LT(measured[id], simulated[id] * 1.5) << plan.values[id].name << " simulated " << simulated[id];
  }
}

// With folding, and with so few steps that babies come a long way.
plan::Plan make_long_chains(std::uint64_t seed) {
  plan::Plan plan = test::make_cryptonets(seed);
  std::get_if<plan::Linear>(&plan.operations[0])->split.width = 1024;
  std::get_if<plan::Linear>(&plan.operations[2])->split = {64, 1};
  plan = test::make_chained(std::move(plan));
  const ckks::Parameters parameters = unwrap(ckks::Parameters::create(plan.parameters));
  for (std::int64_t step : {2, 4, 8, 16})
    std::erase_if(plan.keys, [&](const ckks::KeyRequest& key) {
      return key.element == ckks::rotation_element(parameters, step);
    });
  EXPECT_TRUE(plan.validate().ok());
  return plan;
}

INSTANTIATE_TEST_SUITE_P(
    Plans, NoiseOfPlan,
    testing::Values(Given{"Residual", test::make_residual}, Given{"CryptoNets", test::make_cryptonets},
                    Given{"Chained",
                          [](std::uint64_t seed) { return test::make_chained(test::make_cryptonets(seed)); }},
                    Given{"LongChains", make_long_chains}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(NoiseArithmetic, GivesTheSameNoiseForTheSameSeedOnly) {
  const plan::Plan plan = test::make_cryptonets(72);
  const plan::ClientHalf half = test::make_package(plan).client;
  const ClearArithmetic clear(plan);
  const std::vector<float> tensor(half.input_shape().elements(), 0.5f);
  const auto run = [&](std::uint64_t seed) {
    NoiseArithmetic arithmetic = unwrap(NoiseArithmetic::create(clear, seed));
    return unwrap(simulate(half, arithmetic, tensor));
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

TEST(NoiseArithmetic, RefusesAPlanWhoseKeyIsMissing) {
  plan::Plan plan = test::make_cryptonets(73);
  plan.keys.erase(plan.keys.begin());  // relinearisation
  const ClearArithmetic clear(plan);
  NoiseArithmetic arithmetic = unwrap(NoiseArithmetic::create(clear, 1));
  const auto result = execute(plan, arithmetic, arithmetic.input(std::vector<double>(plan.slots, 0)));
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kKeyMissing);
}

}  // namespace
}  // namespace tacit::runtime
