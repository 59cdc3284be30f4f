// SPDX-License-Identifier: Apache-2.0
// The error that every operation adds, coefficient by coefficient: a ciphertext is decrypted before and after, and what is
// between is computed with integers. None may exceed the worst case, and their deviation must be the model's.
#include <gtest/gtest.h>

#include <numbers>

#include "ckks/expand.h"
#include "ckks/linear_transform.h"
#include "ckks/public_key.h"
#include "runtime/noise.h"
#include "support/ckks_fixture.h"
#include "support/exact.h"
#include "support/noise_bounds.h"
#include "support/seed.h"

namespace tacit::runtime {
namespace {

using namespace test;
using ckks::Ciphertext;

constexpr double kSmallScale = 0x1p20;
constexpr std::int64_t kLargestMessage = 1 << 22;
// The noise of one key is that of few random numbers (digits are not centred, see noise_test.cpp): so many together.
constexpr int kKeys = 6;

struct Set {
  const char* name;
  int log_degree, base_bits, scale_bits;
  std::size_t levels;
  int special_bits, special_count, digit_size;
};

void PrintTo(const Set& set, std::ostream* out) { *out << set.name; }

// Special primes not much above the digits, for the noise of keys to be seen above that of rounding.
constexpr Set kSets[] = {
    {"TwoDigitsOfOne", 12, 36, 30, 1, 37, 1, 1},      {"ThreeDigitsOfOne", 12, 26, 25, 2, 27, 1, 1},
    {"FiveDigitsOfOne", 13, 40, 30, 4, 41, 1, 1},     {"TwoDigitsOfTwo", 13, 36, 30, 3, 34, 2, 2},
    {"DigitsOfThreeAndOne", 13, 30, 29, 3, 31, 3, 3}, {"ThreeSpecialPrimes", 13, 32, 28, 3, 30, 3, 2}};

// Errors of several runs of one operation, in units of 1 / divisor.
struct Errors {
  void add(const Integers& error, double divisor = 1) {
    largest = std::max(largest, infinity_norm(error) / divisor);
    squares += square_norm(error) / divisor / divisor;
    count += static_cast<double>(error.size());
  }
  double deviation() const { return std::sqrt(squares / count); }

  double largest = 0, squares = 0, count = 0;
};

class NoiseBoundsTest : public testing::TestWithParam<Set> {
 protected:
  // What the measured deviation may be of the model's; a lost bit of precision would be twice it.
  struct Factors {
    double below, above;
  };
  static constexpr Factors kManyNumbers{0.9, 1.1}, kFewNumbers{1.0 / 3, 2};

  NoiseBoundsTest() : random_(kSeed) {
    message_ = random_integers(parameters().degree(), kLargestMessage, random_);
    other_ = random_integers(parameters().degree(), kLargestMessage, random_);
  }

  static ckks::Parameters make_set(const Set& set) {
    return make_parameters(set.log_degree, set.base_bits, set.scale_bits, set.levels, set.special_bits,
                           static_cast<std::size_t>(set.special_count));
  }
  const ckks::Parameters& parameters() const { return scheme_.parameters; }
  const ckks::Evaluator& evaluator() const { return scheme_.evaluator; }
  int top() const { return parameters().max_level(); }
  ckks::KeyShape shape() const { return {top(), GetParam().digit_size, GetParam().special_count}; }
  double prime(int level) const { return static_cast<double>(parameters().prime(level).value()); }
  double degree() const { return static_cast<double>(parameters().degree()); }

  ckks::Plaintext plaintext(const Integers& coefficients, int level) const {
    return test::to_plaintext(parameters(), coefficients, kSmallScale, level);
  }
  Ciphertext encrypt(const Integers& coefficients, int level) const {
    const ckks::SeededCiphertext seeded = unwrap(scheme_.holder.encrypt(plaintext(coefficients, level)));
    return {{seeded.c0, ckks::expand_ciphertext_half(parameters(), seeded.seed, level)}, seeded.scale};
  }
  Integers decrypt(const Ciphertext& ciphertext) const {
    return to_integers(parameters(), unwrap(scheme_.holder.decrypt(ciphertext)).poly);
  }
  // prime(level) times what was decrypted one level below `level`.
  Integers raised(const Integers& a, int level) const {
    return multiple(static_cast<Integer>(parameters().prime(level).value()), a);
  }
  // The variance of a coefficient from the deviation of a slot, sqrt(N v / 2).
  double variance(double slot_deviation) const { return 2 * slot_deviation * slot_deviation / degree(); }
  double division_variance() const { return variance(model_.division()); }
  double key_switch_variance(int level) const { return variance(model_.key_switch(shape(), level)); }

  static void expect_within(const Errors& errors, double bound, double expected_variance, Factors factors,
                            const std::string& what) {
    const double ratio = errors.deviation() / std::sqrt(expected_variance);
    RecordProperty(what, std::to_string(ratio));
    EXPECT_LE(errors.largest, bound) << what << ", seed " << kSeed;
    EXPECT_GT(ratio, factors.below) << what << ", seed " << kSeed;
    EXPECT_LT(ratio, factors.above) << what << ", seed " << kSeed;
  }

  Scheme scheme_{make_set(GetParam())};
  NoiseBounds bounds_{parameters(), static_cast<std::size_t>(one_norm({scheme_.key.coefficients().begin(),
                                                                       scheme_.key.coefficients().end()}))};
  NoiseModel model_{parameters()};
  std::mt19937_64 random_;
  Integers message_, other_;
};

TEST_P(NoiseBoundsTest, SymmetricEncryption) {
  Errors errors;
  for (int level = 0; level <= top(); ++level)
    errors.add(difference(decrypt(encrypt(message_, level)), message_));
  expect_within(errors, bounds_.symmetric_encryption(), variance(model_.encryption()), kManyNumbers,
                "symmetric encryption");
}

TEST_P(NoiseBoundsTest, PublicKeyEncryption) {
  Errors errors;
  const ckks::PublicKey key = unwrap(scheme_.holder.make_public_key());
  for (int level = 0; level <= top(); ++level) {
    const Ciphertext fresh =
        ckks::encrypt(parameters(), key, plaintext(message_, level), unwrap(ring::fresh_seed()));
    errors.add(difference(decrypt(fresh), message_));
  }
  expect_within(errors, bounds_.public_key_encryption(), bounds_.public_key_encryption_variance(),
                kManyNumbers, "public-key encryption");
}

// These compute with what is decrypted, modulo Q: no error at all.
TEST_P(NoiseBoundsTest, ExactOperations) {
  const Ciphertext a = encrypt(message_, top()), b = encrypt(other_, top());
  const Integers x = decrypt(a), y = decrypt(b);
  Integers constant(x.size(), 0);
  constant[0] = -393216;  // -0.375 times the scale
  EXPECT_EQ(decrypt(unwrap(evaluator().add(a, b))), sum(x, y));
  EXPECT_EQ(decrypt(unwrap(evaluator().subtract(a, b))), difference(x, y));
  EXPECT_EQ(decrypt(evaluator().negate(a)), multiple(-1, x));
  EXPECT_EQ(decrypt(unwrap(evaluator().add_plain(a, plaintext(other_, top())))), sum(x, other_));
  EXPECT_EQ(decrypt(unwrap(evaluator().multiply_plain(a, plaintext(other_, top())))),
            test::product(x, other_));
  EXPECT_EQ(decrypt(unwrap(evaluator().add_scalar(a, -0.375))), sum(x, constant));
  EXPECT_EQ(decrypt(unwrap(evaluator().multiply_scalar(a, -1.5, 0x1p10))), multiple(-1536, x));
  EXPECT_EQ(decrypt(unwrap(evaluator().multiply(a, b))), test::product(x, y));
  for (int level = 0; level < top(); ++level)
    EXPECT_EQ(decrypt(unwrap(evaluator().drop(a, level))), x) << level;
}

// (x + e)(y + f) = x y + x f + y e + e f.
TEST_P(NoiseBoundsTest, ProductOfFreshCiphertexts) {
  Errors errors;
  errors.add(
      difference(decrypt(unwrap(evaluator().multiply(encrypt(message_, top()), encrypt(other_, top())))),
                 test::product(message_, other_)));
  const double bound =
      kLargestError * (one_norm(message_) + one_norm(other_)) + degree() * kLargestError * kLargestError;
  expect_within(errors, bound, kErrorVariance * (square_norm(message_) + square_norm(other_)), kManyNumbers,
                "product");
}

TEST_P(NoiseBoundsTest, Rescaling) {
  Errors errors;
  for (int level = 1; level <= top(); ++level) {
    const Ciphertext a = encrypt(message_, level);
    const Integers out = decrypt(unwrap(evaluator().rescale(a)));
    errors.add(difference(raised(out, level), decrypt(a)), prime(level));
  }
  expect_within(errors, bounds_.division(), division_variance(), kManyNumbers, "rescaling");
}

// The key switch with its division, at the level of the keys and below it.
TEST_P(NoiseBoundsTest, Rotations) {
  for (int level = top(); level >= 0; level -= 2) {
    Errors direct, hoisted, conjugated;
    for (int k = 0; k < kKeys; ++k) {
      const std::uint32_t element = ckks::rotation_element(parameters(), 5),
                          conjugation = ckks::conjugation_element(parameters());
      scheme_.add_key(element, shape());
      scheme_.add_key(conjugation, shape());
      const Ciphertext a = encrypt(message_, level);
      const Integers x = decrypt(a);
      direct.add(difference(decrypt(unwrap(evaluator().rotate(a, 5, scheme_.keys))), image(x, element)));
      const ckks::HoistedCiphertext digits = unwrap(evaluator().hoist(a, shape()));
      hoisted.add(difference(decrypt(unwrap(evaluator().rotate_hoisted(digits, 5, scheme_.keys))),
                             image(x, element)));
      conjugated.add(
          difference(decrypt(unwrap(evaluator().conjugate(a, scheme_.keys))), image(x, conjugation)));
    }
    const double bound = bounds_.key_switch(shape(), level) + bounds_.division();
    const double expected = key_switch_variance(level) + division_variance();
    const std::string at = " at level " + std::to_string(level);
    expect_within(direct, bound, expected, kFewNumbers, "rotate" + at);
    expect_within(hoisted, bound, expected, kFewNumbers, "rotate_hoisted" + at);
    expect_within(conjugated, bound, expected, kFewNumbers, "conjugate" + at);
  }
}

TEST_P(NoiseBoundsTest, Relinearisation) {
  Errors plain, merged;
  const double divisor = prime(top());
  for (int k = 0; k < kKeys; ++k) {
    scheme_.add_key(ckks::kRelinearisation, shape());
    const Ciphertext square = unwrap(evaluator().square(encrypt(message_, top())));
    const Integers x = decrypt(square);
    plain.add(difference(decrypt(unwrap(evaluator().relinearise(square, scheme_.keys))), x));
    const Integers out = decrypt(unwrap(evaluator().relinearise_rescale(square, scheme_.keys)));
    merged.add(difference(raised(out, top()), x), divisor);
  }
  const double added = bounds_.key_switch(shape(), top()), variance_added = key_switch_variance(top());
  expect_within(plain, added + bounds_.division(), variance_added + division_variance(), kFewNumbers,
                "relinearise");
  expect_within(merged, added / divisor + bounds_.division(),
                variance_added / divisor / divisor + division_variance(), kManyNumbers,
                "relinearise_rescale");
}

// sum_g rot_g(sum_t v_t rot_t(x)). A baby that is rotated brings a key switch, times v_t; a giant the rounding of one part
// and a key switch; all is divided by q_level, and rounded once.
TEST_P(NoiseBoundsTest, LinearTransform) {
  using ckks::LinearTransform;
  const double divisor = prime(top());
  const std::int64_t babies[] = {0, 1, 2}, giants[] = {0, 3};
  std::vector<LinearTransform::Group> groups;
  for (std::int64_t giant : giants) {
    LinearTransform::Group& group = groups.emplace_back();
    group.giant = giant;
    for (std::int64_t baby : babies) group.terms.push_back({baby, scheme_.random_vector()});
  }
  const auto transform =
      unwrap(LinearTransform::create(scheme_.encoder, groups, {top(), GetParam().special_count}, divisor));
  const Ciphertext a = encrypt(message_, top());
  const Integers x = decrypt(a);
  Integers exact(x.size(), 0);
  const double key_switch = bounds_.key_switch(shape(), top());
  double bound = 0, expected = 0;
  for (const LinearTransform::Group& group : groups) {
    Integers inner(x.size(), 0);
    for (const LinearTransform::Term& term : group.terms) {
      const Integers v = to_integers(
          parameters(),
          unwrap(scheme_.encoder.encode(std::span<const double>(term.values), divisor, top())).poly);
      inner = sum(inner, test::product(image(x, ckks::rotation_element(parameters(), term.baby)), v));
      if (term.baby == 0) continue;
      bound += one_norm(v) * key_switch;
      expected += square_norm(v) * key_switch_variance(top());
    }
    exact = sum(exact, image(inner, ckks::rotation_element(parameters(), group.giant)));
    if (group.giant == 0) continue;
    bound += key_switch + bounds_.division();
    expected += key_switch_variance(top()) + division_variance();
  }

  Errors errors;
  for (int k = 0; k < kKeys; ++k) {
    for (std::int64_t step : {1, 2, 3}) scheme_.add_rotation(step, shape());
    const Integers out = decrypt(unwrap(transform.apply(evaluator(), a, scheme_.keys)));
    errors.add(difference(raised(out, top()), exact), divisor);
  }
  expect_within(errors, bound / divisor + bounds_.division(),
                expected / divisor / divisor + division_variance(), kFewNumbers, "linear transform");
}

// Every coefficient is that of the exact polynomial, by its definition in extended precision, rounded.
TEST_P(NoiseBoundsTest, Encoding) {
  const std::vector<double> slots = scheme_.random_vector();
  const Integers encoded = to_integers(
      parameters(), unwrap(scheme_.encoder.encode(std::span<const double>(slots), kSmallScale, top())).poly);
  double squares = 0;
  constexpr int kSamples = 256;
  for (int i = 0; i < kSamples; ++i) {
    const std::size_t k = random_() % parameters().degree();
    long double coefficient = 0;
    std::size_t power = 1;  // 3^slot
    for (double slot : slots) {
      const auto turns = static_cast<long double>(power * k % (2 * parameters().degree()));
      coefficient += slot * std::cos(turns * std::numbers::pi_v<long double> / degree());
      power = power * 3 % (2 * parameters().degree());
    }
    const auto exact = static_cast<double>(2 * coefficient / degree() * kSmallScale);
    const double error = static_cast<double>(encoded[k]) - exact;
    EXPECT_LE(std::abs(error), 0.5 + 0x1p-20) << "coefficient " << k << ", seed " << kSeed;
    squares += error * error;
  }
  EXPECT_NEAR(std::sqrt(squares / kSamples * 12), 1, 0.15) << "seed " << kSeed;
}

INSTANTIATE_TEST_SUITE_P(Sets, NoiseBoundsTest, testing::ValuesIn(kSets),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tacit::runtime
