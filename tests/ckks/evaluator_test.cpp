// SPDX-License-Identifier: Apache-2.0
// Every operation on ciphertexts against the same operation on numbers, in every key shape.
#include "ckks/evaluator.h"

#include "ckks/linear_transform.h"
#include "ckks/public_key.h"
#include "support/ckks_fixture.h"

namespace tacit::ckks {
namespace {

using test::distance;
using test::kScale;
using test::Scheme;
using test::unwrap;
// Measured error of each operation stays well under this; it is far below what 35 bits of scale must give.
constexpr double kTolerance = 0x1p-15;

// Digits of one, two and three primes; P always above the largest digit.
const KeyShape kShapes[] = {{6, 1, 1}, {6, 2, 2}, {6, 3, 3}, {6, 2, 3}};

class EvaluatorTest : public testing::Test {
 protected:
  EvaluatorTest() : scheme_(test::make_parameters(14, 45, 35, 6, 49, 3)) {
    x_ = scheme_.random_vector();
    y_ = scheme_.random_vector();
  }
  int top() const { return scheme_.parameters.max_level(); }
  Ciphertext fresh(const std::vector<double>& v, int level = 6) { return scheme_.encrypt(v, kScale, level); }
  std::vector<double> map(auto f) const {
    std::vector<double> out(x_.size());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = f(x_[i], y_[i]);
    return out;
  }
  std::vector<double> rotated(std::int64_t step) const {
    std::vector<double> out(x_.size());
    const auto n = static_cast<std::int64_t>(x_.size());
    for (std::int64_t i = 0; i < n; ++i)
      out[static_cast<std::size_t>(i)] = x_[static_cast<std::size_t>(((i + step) % n + n) % n)];
    return out;
  }
  void expect_close(const Ciphertext& actual, const std::vector<double>& expected, const std::string& what) {
    EXPECT_LT(distance(scheme_.decrypt(actual), expected), kTolerance) << what;
  }

  Scheme scheme_;
  std::vector<double> x_, y_;
};

TEST_F(EvaluatorTest, EncryptsAtEveryLevel) {
  for (int level = 0; level <= top(); ++level)
    expect_close(fresh(x_, level), x_, "level " + std::to_string(level));
}

TEST_F(EvaluatorTest, EncryptsUnderThePublicKey) {
  const PublicKey key = unwrap(scheme_.holder.make_public_key());
  for (int level : {0, 3, 6}) {
    const Plaintext plaintext = unwrap(scheme_.encoder.encode(x_, kScale, level));
    expect_close(encrypt(scheme_.parameters, key, plaintext, unwrap(ring::fresh_seed())), x_, "public key");
  }
}

TEST_F(EvaluatorTest, AddsSubtractsNegates) {
  const Evaluator& e = scheme_.evaluator;
  const Ciphertext a = fresh(x_), b = fresh(y_);
  expect_close(unwrap(e.add(a, b)), map([](double x, double y) { return x + y; }), "add");
  expect_close(unwrap(e.subtract(a, b)), map([](double x, double y) { return x - y; }), "subtract");
  expect_close(e.negate(a), map([](double x, double) { return -x; }), "negate");
  expect_close(unwrap(e.add_plain(a, unwrap(scheme_.encoder.encode(y_, kScale, top())))),
               map([](double x, double y) { return x + y; }), "add_plain");
  expect_close(unwrap(e.add_scalar(a, -0.375)), map([](double x, double) { return x - 0.375; }),
               "add_scalar");
}

TEST_F(EvaluatorTest, MultipliesByPlaintextsAndScalars) {
  const Evaluator& e = scheme_.evaluator;
  const Plaintext y = unwrap(scheme_.encoder.encode(y_, kScale, top()));
  const Ciphertext product = unwrap(e.rescale(unwrap(e.multiply_plain(fresh(x_), y))));
  EXPECT_EQ(product.level(), top() - 1);
  EXPECT_DOUBLE_EQ(product.scale,
                   kScale * kScale / static_cast<double>(scheme_.parameters.prime(top()).value()));
  expect_close(product, map([](double x, double y2) { return x * y2; }), "multiply_plain");
  expect_close(unwrap(e.rescale(unwrap(e.multiply_scalar(fresh(x_), -1.5, 0x1p30)))),
               map([](double x, double) { return -1.5 * x; }), "multiply_scalar");
}

TEST_F(EvaluatorTest, MultipliesRelinearisesRescales) {
  const Evaluator& e = scheme_.evaluator;
  const std::vector<double> expected = map([](double x, double y) { return x * y; });
  for (const KeyShape& shape : kShapes) {
    scheme_.add_key(kRelinearisation, shape);
    const std::string name = "digits of " + std::to_string(shape.digit_size) + ", special primes " +
                             std::to_string(shape.special_count);
    for (int level : {6, 4, 1}) {
      const Ciphertext x = fresh(x_, level), y = fresh(y_, level);
      const Ciphertext product = unwrap(e.multiply(x, y));
      EXPECT_EQ(product.size(), 3u);
      expect_close(product, expected, name + " before relinearisation");
      const Ciphertext relinearised = unwrap(e.relinearise(product, scheme_.keys));
      expect_close(unwrap(e.rescale(relinearised)), expected, name);
      const Ciphertext at_once = unwrap(e.multiply_relinearise(x, y, scheme_.keys));
      EXPECT_EQ(at_once.parts, relinearised.parts) << name;
      EXPECT_EQ(at_once.scale, relinearised.scale);
      const Ciphertext merged = unwrap(e.relinearise_rescale(product, scheme_.keys));
      EXPECT_EQ(merged.level(), level - 1);
      expect_close(merged, expected, name + " merged");
      const Ciphertext merged_at_once = unwrap(e.multiply_relinearise_rescale(x, y, scheme_.keys));
      EXPECT_EQ(merged_at_once.parts, merged.parts) << name;
      EXPECT_EQ(merged_at_once.scale, merged.scale);
    }
  }
}

TEST_F(EvaluatorTest, SquaresRepeatedly) {
  scheme_.add_key(kRelinearisation, {6, 1, 1});
  Ciphertext c = fresh(x_);
  for (int i = 0; i < 6; ++i) {
    c = unwrap(scheme_.evaluator.relinearise_rescale(unwrap(scheme_.evaluator.square(c)), scheme_.keys));
  }
  EXPECT_EQ(c.level(), 0);
  EXPECT_LT(distance(scheme_.decrypt(c), map([](double x, double) { return std::pow(x, 64); })), 0x1p-10);
}

TEST_F(EvaluatorTest, RotatesAndConjugates) {
  const Evaluator& e = scheme_.evaluator;
  for (const KeyShape& shape : kShapes) {
    for (std::int64_t step : {1, 7, -3, 4096}) scheme_.add_rotation(step, shape);
    scheme_.add_key(conjugation_element(scheme_.parameters), shape);
    for (int level : {6, 3, 0}) {
      const Ciphertext c = fresh(x_, level);
      const HoistedCiphertext hoisted = unwrap(e.hoist(c, shape));
      for (std::int64_t step : {1, 7, -3, 4096, 8192, 0}) {
        expect_close(unwrap(e.rotate(c, step, scheme_.keys)), rotated(step),
                     "rotate " + std::to_string(step));
        expect_close(unwrap(e.rotate_hoisted(hoisted, step, scheme_.keys)), rotated(step),
                     "hoisted " + std::to_string(step));
      }
      expect_close(unwrap(e.conjugate(c, scheme_.keys)), x_, "conjugate");
    }
  }
}

TEST_F(EvaluatorTest, ConjugatesImaginaryParts) {
  scheme_.add_key(conjugation_element(scheme_.parameters), {6, 1, 1});
  std::vector<std::complex<double>> z(scheme_.parameters.slots());
  for (std::size_t i = 0; i < z.size(); ++i) z[i] = {x_[i], y_[i]};
  const SeededCiphertext seeded =
      unwrap(scheme_.holder.encrypt(unwrap(scheme_.encoder.encode(z, kScale, 6))));
  const Ciphertext c =
      unwrap(read_ciphertext(scheme_.parameters, write_ciphertext(scheme_.parameters, seeded, {})))
          .ciphertext;
  const auto actual = scheme_.decrypt(unwrap(scheme_.evaluator.conjugate(c, scheme_.keys)));
  for (std::size_t i = 0; i < z.size(); ++i)
    ASSERT_LT(std::abs(actual[i] - std::conj(z[i])), kTolerance) << i;
}

TEST_F(EvaluatorTest, LinearTransformIsTheSumOfItsDiagonals) {
  std::uniform_real_distribution<double> uniform(-1, 1);
  for (const KeyShape& shape : {KeyShape{6, 1, 1}, KeyShape{6, 2, 2}}) {
    std::vector<LinearTransform::Group> groups;
    std::vector<double> expected(x_.size());
    const auto n = static_cast<std::int64_t>(x_.size());
    for (std::int64_t giant : {0, 64, -128, 4096}) {
      LinearTransform::Group group{giant, {}};
      for (std::int64_t baby : {-1, 0, 5}) {
        LinearTransform::Term term{baby, std::vector<double>(1024)};
        for (double& v : term.values) v = uniform(scheme_.random);
        for (std::int64_t t = 0; t < n; ++t) {
          const auto inner = ((t + giant) % n + n) % n;
          const auto source = ((inner + baby) % n + n) % n;
          expected[static_cast<std::size_t>(t)] +=
              term.values[static_cast<std::size_t>(inner % 1024)] * x_[static_cast<std::size_t>(source)];
        }
        group.terms.push_back(std::move(term));
      }
      groups.push_back(std::move(group));
      scheme_.add_rotation(giant, shape);
    }
    for (std::int64_t baby : {-1, 5}) scheme_.add_rotation(baby, shape);
    for (int level : {6, 2, 1}) {
      const LinearTransform transform =
          unwrap(LinearTransform::create(scheme_.encoder, groups, {level, shape.special_count}, kScale));
      const Ciphertext product = unwrap(transform.apply(scheme_.evaluator, fresh(x_, level), scheme_.keys));
      EXPECT_EQ(product.level(), level - 1);
      EXPECT_LT(distance(scheme_.decrypt(product), expected), 0x1p-13) << "level " << level;
    }
  }
}

// A key that keeps its random half as a seed is the same key.
TEST_F(EvaluatorTest, SeededKeysSwitchLikeWholeOnes) {
  for (const KeyShape& shape : {KeyShape{6, 1, 1}, KeyShape{4, 2, 2}}) {
    const std::uint32_t element = rotation_element(scheme_.parameters, 3);
    const Bytes bytes = write_key(scheme_.parameters, unwrap(scheme_.holder.make_key({element, shape})));
    std::vector<Ciphertext> rotated, hoisted;
    const Ciphertext input = fresh(x_, shape.level - 1);
    for (KeyForm form : {KeyForm::kWhole, KeyForm::kSeeded}) {
      EvaluationKeys keys;
      keys.insert(unwrap(read_key(scheme_.parameters, bytes, form)));
      EXPECT_EQ(keys.memory_bytes(), key_memory_bytes(scheme_.parameters, shape, form));
      rotated.push_back(unwrap(scheme_.evaluator.rotate(input, 3, keys)));
      const HoistedCiphertext digits = unwrap(scheme_.evaluator.hoist(input, shape));
      hoisted.push_back(unwrap(scheme_.evaluator.rotate_hoisted(digits, 3, keys)));
    }
    EXPECT_EQ(rotated[0].parts, rotated[1].parts);
    EXPECT_EQ(hoisted[0].parts, hoisted[1].parts);
  }
}

TEST_F(EvaluatorTest, RefusesWhatDoesNotFit) {
  const Evaluator& e = scheme_.evaluator;
  const Ciphertext a = fresh(x_, 3), b = fresh(x_, 2), zero = fresh(x_, 0);
  const Ciphertext other_scale = scheme_.encrypt(x_, kScale * 1.001, 3);
  EXPECT_EQ(e.add(a, b).error().code, ErrorCode::kLevelMismatch);
  EXPECT_EQ(e.add(a, other_scale).error().code, ErrorCode::kScaleMismatch);
  EXPECT_EQ(e.multiply(a, b).error().code, ErrorCode::kLevelMismatch);
  EXPECT_EQ(e.multiply_relinearise(a, b, scheme_.keys).error().code, ErrorCode::kLevelMismatch);
  EXPECT_EQ(e.multiply_relinearise(a, a, scheme_.keys).error().code, ErrorCode::kKeyMissing);
  EXPECT_EQ(e.multiply_relinearise_rescale(zero, zero, scheme_.keys).error().code, ErrorCode::kLevelMismatch);
  EXPECT_EQ(e.rescale(zero).error().code, ErrorCode::kLevelMismatch);
  EXPECT_EQ(e.drop(b, 3).error().code, ErrorCode::kLevelMismatch);
  EXPECT_EQ(e.rotate(a, 1, scheme_.keys).error().code, ErrorCode::kKeyMissing);
  EXPECT_EQ(e.relinearise(a, scheme_.keys).error().code, ErrorCode::kDataMalformed);
  scheme_.add_rotation(1, {2, 1, 1});
  EXPECT_EQ(e.rotate(a, 1, scheme_.keys).error().code, ErrorCode::kKeyMissing);
  EXPECT_EQ(e.add_scalar(a, 1e40).error().code, ErrorCode::kValueOutOfRange);
}

}  // namespace
}  // namespace tacit::ckks
