// SPDX-License-Identifier: Apache-2.0
// The same plan in the clear and on ciphertexts, for every kind of operation.
#include "runtime/cipher.h"

#include "plan/key_plan.h"
#include "runtime/clear.h"
#include "support/ckks_fixture.h"
#include "support/seed.h"

namespace tacit::runtime {
namespace {

using test::kSeed;
using test::Scheme;
using test::unwrap;

// A schedule that uses every operation: conv with stride, square, dense (folded), polynomial, a sum with a value brought
// to its scale, and a last dense layer.
plan::Plan make_plan(const ckks::Parameters& parameters, std::mt19937_64& random) {
  std::uniform_real_distribution<float> uniform(-0.2f, 0.2f);
  auto weights = [&](std::size_t n) {
    std::vector<float> w(n);
    for (float& x : w) x = uniform(random);
    return w;
  };
  plan::Plan plan;
  plan.parameters = parameters.literal();
  plan.slots = parameters.slots();
  auto prime = [&](int level) { return static_cast<double>(parameters.prime(level).value()); };
  auto value = [&](const char* name, plan::Layout layout, std::size_t period, int level, double scale) {
    plan.values.push_back({name, layout, period, level, scale, 1});
    return static_cast<plan::ValueId>(plan.values.size() - 1);
  };
  const double delta = 0x1p33;
  const plan::Layout image{{1, 8, 8}, 1, 8, 8}, maps{{4, 4, 4}, 2, 8, 8}, hidden{{12, 1, 1}, 1, 1, 1},
      last{{5, 1, 1}, 1, 1, 1};
  const auto input = value("input", image, 64, 7, delta);
  const auto conv = value("conv", maps, 64, 6, delta * 1.1);
  const double square_scale = delta * 1.1 * delta * 1.1 / prime(6);
  const auto square = value("square", maps, 64, 5, square_scale);
  const auto dense = value("dense", hidden, 16, 4, delta);
  const auto activation = value("activation", hidden, 16, 2, delta * 0.9);
  const auto rescaled = value("rescaled", hidden, 16, 3, delta * 0.9);
  const auto sum = value("sum", hidden, 16, 2, delta * 0.9);
  const auto gated = value("gated", hidden, 16, 1, delta * 0.9 * delta / prime(2));
  const auto logits = value("logits", last, 8, 0, delta);
  plan.input = input;
  plan.output = logits;

  plan::Convolution convolution;
  convolution.out_channels = 4;
  convolution.in_channels = 1;
  convolution.kernel_height = convolution.kernel_width = 3;
  convolution.stride_height = convolution.stride_width = 2;
  convolution.pad_top = convolution.pad_left = 1;
  convolution.weights = weights(36);
  plan.maps.push_back({image.shape, maps.shape, {convolution}, 1, std::vector<double>(64, 0.1)});
  plan.maps.push_back({maps.shape,
                       hidden.shape,
                       {plan::Matrix{12, 64, weights(12 * 64)}},
                       0.5,
                       std::vector<double>(12, -0.05)});
  plan.maps.push_back({hidden.shape, last.shape, {plan::Matrix{5, 12, weights(60)}}, 1, {}});
  plan.operations = {
      plan::Linear{input, conv, 0, {4}},      plan::Square{conv, square},
      plan::Linear{square, dense, 1, {8, 8}}, plan::Polynomial{dense, activation, {0.3, 0.5, 0.2, -0.1}},
      plan::Rescaling{dense, rescaled, 0.7},  plan::Add{activation, rescaled, sum},
      plan::Product{sum, dense, gated},       plan::Linear{gated, logits, 2, {1}}};
  return plan;
}

class CipherTest : public testing::TestWithParam<plan::KeyPolicy> {};

TEST_P(CipherTest, AgreesWithTheClearInterpreter) {
  std::mt19937_64 random(kSeed);
  const ckks::Parameters parameters = test::make_parameters(14, 45, 33, 7, 49, 2);
  Scheme scheme(parameters, kSeed);
  plan::Plan plan = make_plan(parameters, random);
  plan.keys = plan::key_requests(parameters, plan, GetParam());
  const Status valid = plan.validate();
  ASSERT_TRUE(valid.ok()) << valid.error().to_line();
  for (const ckks::KeyRequest& request : plan.keys)
    scheme.keys.insert(unwrap(scheme.holder.make_key(request)));

  std::vector<float> image(64);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (float& x : image) x = uniform(random);
  const plan::Value& in = plan.values[plan.input];
  const std::vector<double> slots = unwrap(plan::pack(in.layout, in.period, plan.slots, image, 1));

  std::vector<ClearVector> expected(plan.values.size());
  ClearArithmetic clear(plan);
  unwrap(execute(plan, clear, clear.input(slots), {},
                 [&](plan::ValueId id, const ClearVector& v) { expected[id] = v; }));

  const EncodedPlan encoded = unwrap(EncodedPlan::create(plan, parameters));
  CipherArithmetic cipher(encoded, scheme.keys);
  std::size_t seen = 0;
  const CipherVector input = {scheme.encrypt(slots, in.scale, in.level)};
  unwrap(execute(plan, cipher, input, {}, [&](plan::ValueId id, const CipherVector& v) {
    ++seen;
    ASSERT_EQ(v.size(), 1u);
    EXPECT_LT(test::distance(scheme.decrypt(v[0]), expected[id].slots), 0x1p-13)
        << "value " << plan.values[id].name << ", seed " << kSeed;
  }));
  EXPECT_EQ(seen, plan.values.size());
}

TEST_P(CipherTest, StopsWhenToldTo) {
  std::mt19937_64 random(kSeed);
  const ckks::Parameters parameters = test::make_parameters(14, 45, 33, 7, 49, 2);
  Scheme scheme(parameters, kSeed);
  plan::Plan plan = make_plan(parameters, random);
  plan.keys = plan::key_requests(parameters, plan, GetParam());
  for (const ckks::KeyRequest& request : plan.keys)
    scheme.keys.insert(unwrap(scheme.holder.make_key(request)));
  const EncodedPlan encoded = unwrap(EncodedPlan::create(plan, parameters));
  CipherArithmetic cipher(encoded, scheme.keys);
  const plan::Value& in = plan.values[plan.input];
  std::size_t last = 0;
  const auto result =
      execute(plan, cipher, {scheme.encrypt(std::vector<double>(plan.slots), in.scale, in.level)},
              [&](std::size_t done, std::size_t) { return (last = done) < 2; });
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(last, 2u);
}

std::vector<std::complex<double>> decrypted(Scheme& scheme, const CipherVector& v) {
  std::vector<std::complex<double>> all;
  for (const ckks::Ciphertext& part : v) {
    const std::vector<std::complex<double>> some = scheme.decrypt(part);
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

// What works ciphertext by ciphertext, on a value of three.
TEST(CipherVectors, PolynomialsSumsAndProductsAgreeWithTheClearInterpreter) {
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937_64 random(kSeed);
  const ckks::Parameters parameters = test::make_parameters(13, 45, 33, 3, 49, 1);
  const plan::Layout wide{{11, 32, 32}, 1, 32, 32};
  const double delta = 0x1p33;
  plan::Plan plan;
  plan.parameters = parameters.literal();
  plan.slots = parameters.slots();
  plan.values = {
      {"input", wide, 16384, 3, delta, 1},
      {"polynomial", wide, 16384, 1, delta, 1},
      {"sum", wide, 16384, 1, delta, 1},
      {"product", wide, 16384, 0, delta * delta / static_cast<double>(parameters.prime(1).value()), 1}};
  plan.input = 0, plan.output = 3;
  plan.operations = {plan::Polynomial{0, 1, {0.1, 0.5, -0.2, 0.1}}, plan::Add{0, 1, 2},
                     plan::Product{2, 1, 3}};
  plan.keys = plan::key_requests(parameters, plan);
  const Status valid = plan.validate();
  ASSERT_TRUE(valid.ok()) << valid.error().to_line();
  Scheme scheme(parameters, kSeed);
  scheme.keys = scheme.make_keys(plan.keys);

  const std::vector<double> slots = scheme.uniform(3 * plan.slots);
  CipherVector given;
  for (std::size_t part = 0; part < 3; ++part) {
    const auto first = slots.begin() + static_cast<std::ptrdiff_t>(part * plan.slots);
    given.push_back(scheme.encrypt(
        std::vector<double>(first, first + static_cast<std::ptrdiff_t>(plan.slots)), delta, 3));
  }
  std::vector<ClearVector> expected(plan.values.size());
  ClearArithmetic clear(plan);
  unwrap(execute(plan, clear, clear.input(slots), {},
                 [&](plan::ValueId id, const ClearVector& v) { expected[id] = v; }));
  for (std::size_t t = 0; t < slots.size(); ++t) {
    const double x = slots[t], p = 0.1 + 0.5 * x - 0.2 * (2 * x * x - 1) + 0.1 * (4 * x * x * x - 3 * x);
    EXPECT_NEAR(expected[3].slots[t], (x + p) * p, 1e-12);
  }
  const EncodedPlan encoded = unwrap(EncodedPlan::create(plan, parameters));
  CipherArithmetic cipher(encoded, scheme.keys);
  unwrap(execute(plan, cipher, std::move(given), {}, [&](plan::ValueId id, const CipherVector& v) {
    ASSERT_EQ(v.size(), 3u);
    EXPECT_LT(test::distance(decrypted(scheme, v), expected[id].slots), 0x1p-13)
        << "value " << plan.values[id].name;
  }));
}

// Values of one, three and again one ciphertext, with and without complex folding.
TEST(CipherVectors, AgreeWithTheClearInterpreter) {
  std::mt19937_64 random(kSeed);
  const ckks::Parameters parameters = test::make_parameters(13, 45, 33, 3, 49, 1);
  const auto prime = [&](int level) { return static_cast<double>(parameters.prime(level).value()); };
  std::uniform_real_distribution<float> uniform(-0.2f, 0.2f);
  const auto convolution = [&](int in, int out) {
    plan::Convolution c;
    c.in_channels = in, c.out_channels = out;
    c.kernel_height = c.kernel_width = 3;
    c.pad_top = c.pad_left = c.pad_bottom = c.pad_right = 1;
    c.weights.resize(static_cast<std::size_t>(in * out * 9));
    for (float& w : c.weights) w = uniform(random);
    return c;
  };
  const plan::Layout image{{4, 32, 32}, 1, 32, 32}, wide{{11, 32, 32}, 1, 32, 32};
  for (const std::size_t shift : {0ul, 1024ul}) {
    SCOPED_TRACE("shift " + std::to_string(shift) + ", seed " + std::to_string(kSeed));
    const double delta = 0x1p33;
    plan::Plan plan;
    plan.parameters = parameters.literal();
    plan.slots = parameters.slots();
    plan.values = {{"input", image, 4096, 3, delta, 1},
                   {"widened", wide, 16384, 2, delta, 1},
                   {"square", wide, 16384, 1, delta * delta / prime(2), 1},
                   {"narrowed", image, 4096, 0, delta, 1}};
    plan.input = 0, plan.output = 3;
    std::vector<double> bias(wide.shape.elements());
    for (double& b : bias) b = uniform(random);
    plan.maps = {{image.shape, wide.shape, {convolution(4, 11)}, 1, bias},
                 {wide.shape, image.shape, {convolution(11, 4)}, 1, {}}};
    plan.operations = {plan::Linear{0, 1, 0, {32, shift}}, plan::Square{1, 2},
                       plan::Linear{2, 3, 1, {64, shift}}};
    plan.keys = plan::key_requests(parameters, plan);
    const Status valid = plan.validate();
    ASSERT_TRUE(valid.ok()) << valid.error().to_line();
    Scheme scheme(parameters, kSeed);
    scheme.keys = scheme.make_keys(plan.keys);

    std::vector<float> tensor(image.shape.elements());
    for (float& x : tensor) x = 5 * uniform(random);
    const std::vector<double> slots = unwrap(plan::pack(image, 4096, plan.slots, tensor, 1));
    std::vector<ClearVector> expected(plan.values.size());
    ClearArithmetic clear(plan);
    unwrap(execute(plan, clear, clear.input(slots), {},
                   [&](plan::ValueId id, const ClearVector& v) { expected[id] = v; }));
    EXPECT_EQ(expected[1].slots.size(), 3 * plan.slots);

    const EncodedPlan encoded = unwrap(EncodedPlan::create(plan, parameters));
    CipherArithmetic cipher(encoded, scheme.keys);
    unwrap(execute(plan, cipher, {scheme.encrypt(slots, delta, 3)}, {},
                   [&](plan::ValueId id, const CipherVector& v) {
                     EXPECT_LT(test::distance(decrypted(scheme, v), expected[id].slots), 0x1p-13)
                         << "value " << plan.values[id].name;
                   }));
    // The clear interpreter against the map itself.
    const std::vector<plan::SparseRow> rows = plan.maps[0].rows();
    for (std::size_t i = 0; i < rows.size(); i += 97) {
      double sum = bias[i];
      for (const plan::SparseEntry& e : rows[i]) sum += e.value * tensor[e.column];
      EXPECT_NEAR(expected[1].slots[wide.slot(static_cast<int>(i / 1024), static_cast<int>(i / 32 % 32),
                                              static_cast<int>(i % 32))],
                  sum, 1e-6);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(KeyShapes, CipherTest, testing::Values(plan::KeyPolicy{1, 1}, plan::KeyPolicy{2, 2}),
                         [](const auto& instance) {
                           return "Digits" + std::to_string(instance.param.digit_size);
                         });

}  // namespace
}  // namespace tacit::runtime
