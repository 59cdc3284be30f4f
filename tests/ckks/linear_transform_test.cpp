// SPDX-License-Identifier: Apache-2.0
// A matrix by its diagonals: every split gives the product, the chosen one is the cheapest, and it needs no other keys
// than it asks for.
#include "ckks/linear_transform.h"

#include <algorithm>
#include <optional>

#include "support/ckks_fixture.h"
#include "support/seed.h"

namespace tacit::ckks {
namespace {

using test::distance;
using test::kScale;
using test::kSeed;
using test::unwrap;

using Domain = LinearTransform::Domain;
using Diagonals = LinearTransform::Diagonals;

class LinearTransformTest : public testing::Test {
 protected:
  LinearTransformTest() : scheme_(test::make_parameters(13, 45, 35, 2, 49, 1), kSeed) {}

  // About `share` of the diagonals of a matrix on vectors of this period, at least one.
  Diagonals random_diagonals(std::size_t period, double share) {
    Diagonals diagonals{period, {}};
    std::bernoulli_distribution present(share);
    for (std::size_t d = 0; d < period; ++d) {
      if (present(scheme_.random)) diagonals.values[d] = scheme_.uniform(period);
    }
    if (diagonals.values.empty()) diagonals.values[period / 3] = scheme_.uniform(1);
    return diagonals;
  }

  static std::vector<double> product(const Diagonals& diagonals, const std::vector<double>& x) {
    std::vector<double> y(x.size());
    for (const auto& [d, values] : diagonals.values)
      for (std::size_t t = 0; t < x.size(); ++t) y[t] += values[t % values.size()] * x[(t + d) % x.size()];
    return y;
  }

  void expect_product(const LinearTransform& transform, const Diagonals& diagonals, int level) {
    const std::vector<double> x = scheme_.repeated(diagonals.period);
    const EvaluationKeys keys = scheme_.make_keys(transform.key_requests(scheme_.parameters));
    const Ciphertext y = unwrap(transform.apply(scheme_.evaluator, scheme_.encrypt(x, kScale, level), keys));
    EXPECT_EQ(y.level(), level - 1);
    EXPECT_LT(distance(scheme_.decrypt(y), product(diagonals, x)), 0x1p-12);
  }

  test::Scheme scheme_;
};

TEST_F(LinearTransformTest, IsTheMatrixTimesTheVectorForEverySplit) {
  for (const auto& [period, share] : {std::pair{16ul, 1.0}, {64ul, 0.4}, {4096ul, 0.004}, {1ul, 1.0}}) {
    const Diagonals diagonals = random_diagonals(period, share);
    for (const BsgsSplit& split : splits_for(period)) {
      if (scheme_.random() % 4 != 0 && period > 16) continue;  // a sample of them
      SCOPED_TRACE("period " + std::to_string(period) + ", width " + std::to_string(split.width) +
                   ", shift " + std::to_string(split.shift) + ", seed " + std::to_string(kSeed));
      const Domain domain{2, 1, 1, 2};
      expect_product(unwrap(LinearTransform::create(scheme_.encoder, diagonals, domain, kScale, split)),
                     diagonals, domain.level);
    }
  }
}

TEST_F(LinearTransformTest, TakesAnyWidth) {
  const Diagonals diagonals = random_diagonals(32, 0.7);
  for (std::size_t width : {1ul, 3ul, 5ul, 7ul, 31ul, 33ul, 1000ul}) {
    SCOPED_TRACE("width " + std::to_string(width) + ", seed " + std::to_string(kSeed));
    expect_product(
        unwrap(LinearTransform::create(scheme_.encoder, diagonals, {1, 1, 1, 1}, kScale, BsgsSplit{width})),
        diagonals, 1);
  }
}

TEST_F(LinearTransformTest, ChoosesTheSplitOfLeastEstimatedTime) {
  const Domain domain{2, 1, 1, 1};
  UnitCosts unit;
  unit.ntt = 10, unit.key_product = unit.hoisted_product = 5, unit.plain_product = 3, unit.conversion = 3,
  unit.pointwise = 2;
  for (double giants_price : {0.01, 1.0, 100.0}) {  // of transforms, which giants have more of
    unit.ntt = 10 * giants_price;
    const Diagonals diagonals = random_diagonals(256, 0.5);
    double least = 1e300;
    std::vector<double> all;
    for (const BsgsSplit& split : splits_for(256)) {
      const auto transform =
          unwrap(LinearTransform::create(scheme_.encoder, diagonals, domain, kScale, split));
      all.push_back(estimate_ms(transform.counts(), unit));
      least = std::min(least, all.back());
    }
    EXPECT_LT(least, all.front());
    const auto chosen = unwrap(LinearTransform::create(scheme_.encoder, diagonals, domain, kScale, unit));
    EXPECT_EQ(estimate_ms(chosen.counts(), unit), least) << "giants " << giants_price << ", seed " << kSeed;
  }
}

TEST_F(LinearTransformTest, CostlyTransformsMakeFewerGiants) {
  std::vector<DiagonalIndex> indices;
  for (std::size_t d = 0; d < 512; ++d) indices.push_back({0, 0, d});
  UnitCosts unit;
  unit.ntt = unit.key_product = unit.hoisted_product = unit.plain_product = 1;
  const auto giants = [&] {
    return make_bsgs(indices, 512, choose_split(indices, 512, {2, 1, 1, 1}, unit)).groups.size();
  };
  const std::size_t even = giants();
  unit.ntt = 100;
  const std::size_t wide = giants();
  EXPECT_LT(wide, even);
}

// A dense matrix between vectors of three and two ciphertexts, and the same product by plain numbers.
TEST_F(LinearTransformTest, MultipliesVectorsOfSeveralCiphertexts) {
  constexpr std::uint32_t kInputs = 3, kOutputs = 2;
  constexpr std::size_t kPeriod = 32;
  for (const BsgsSplit split : {BsgsSplit{8}, BsgsSplit{8, 16}, BsgsSplit{8, 2}, BsgsSplit{1, 1}}) {
    SCOPED_TRACE("width " + std::to_string(split.width) + ", shift " + std::to_string(split.shift) +
                 ", seed " + std::to_string(kSeed));
    std::map<DiagonalIndex, std::vector<double>> values;
    std::vector<DiagonalIndex> indices;
    for (std::uint32_t o = 0; o < kOutputs; ++o)
      for (std::uint32_t i = 0; i < kInputs; ++i)
        for (std::size_t d = 0; d < kPeriod; ++d) {
          if (d != 0 && scheme_.random() % 3 == 0) continue;
          indices.push_back({o, i, d});
          values[indices.back()] = scheme_.uniform(kPeriod);
        }
    const Bsgs bsgs = make_bsgs(indices, kPeriod, split);
    EXPECT_EQ(bsgs.inputs(), kInputs);
    EXPECT_EQ(bsgs.outputs(), kOutputs);
    std::vector<LinearTransform::Group> groups;
    for (const BsgsGroup& group : bsgs.groups) {
      LinearTransform::Group& made =
          groups.emplace_back(LinearTransform::Group{group.giant, {}, group.output});
      for (const BsgsTerm& term : group.terms) {
        const auto [input, step] = bsgs.babies[term.baby];
        const auto rotated = [&, input = input](std::optional<std::size_t> index) {
          return index ? rotate_values(values.at({group.output, input, *index}), -group.giant)
                       : std::vector<double>();
        };
        made.terms.push_back({step, rotated(term.direct), rotated(term.shifted), input});
      }
    }
    const auto transform =
        unwrap(LinearTransform::create(scheme_.encoder, groups, {2, 1, 1, 2}, kScale, split.shift));
    AlignedVector<Ciphertext> inputs;
    std::vector<std::vector<double>> x;
    for (std::uint32_t i = 0; i < kInputs; ++i) {
      x.push_back(scheme_.repeated(kPeriod));
      inputs.push_back(scheme_.encrypt(x.back(), kScale, 2));
    }
    const EvaluationKeys keys = scheme_.make_keys(transform.key_requests(scheme_.parameters));
    const AlignedVector<Ciphertext> y = unwrap(transform.apply(scheme_.evaluator, inputs, keys));
    ASSERT_EQ(y.size(), kOutputs);
    for (std::uint32_t o = 0; o < kOutputs; ++o) {
      std::vector<double> expected(x[0].size());
      for (const auto& [index, entries] : values)
        for (std::size_t t = 0; index.output == o && t < expected.size(); ++t)
          expected[t] += entries[t % kPeriod] * x[index.input][(t + index.index) % expected.size()];
      EXPECT_EQ(y[o].level(), 1);
      EXPECT_LT(distance(scheme_.decrypt(y[o]), expected), 0x1p-12) << "output " << o;
    }
    EXPECT_EQ(transform.apply(scheme_.evaluator, inputs[0], keys).error().code, ErrorCode::kLevelMismatch);
    EXPECT_EQ(transform.apply(scheme_.evaluator, std::span(inputs).first(2), keys).error().code,
              ErrorCode::kLevelMismatch);
    inputs[1].scale *= 1.5;
    EXPECT_EQ(transform.apply(scheme_.evaluator, inputs, keys).error().code, ErrorCode::kScaleMismatch);
  }
}

// Folding a dense matrix halves the products, and the giants where the shift is one of theirs.
TEST_F(LinearTransformTest, FoldingHalvesProductsAndGiants) {
  std::vector<DiagonalIndex> indices;
  for (std::size_t d = 0; d < 64; ++d) indices.push_back({0, 0, d});
  const Bsgs plain = make_bsgs(indices, 64, {8}), folded = make_bsgs(indices, 64, {8, 32});
  EXPECT_EQ(plain.products(), 64u);
  EXPECT_EQ(folded.products(), 32u);
  EXPECT_EQ(plain.babies.size(), folded.babies.size());
  EXPECT_LE(2 * folded.groups.size(), plain.groups.size() + 2);
}

TEST_F(LinearTransformTest, NeedsTheKeysThatItAsksFor) {
  const Diagonals diagonals = random_diagonals(64, 0.3);
  const Domain domain{2, 1, 1, 2};
  const auto transform =
      unwrap(LinearTransform::create(scheme_.encoder, diagonals, domain, kScale, BsgsSplit{8, 16}));
  const std::vector<KeyRequest> requests = transform.key_requests(scheme_.parameters);
  const Ciphertext input = scheme_.encrypt(scheme_.repeated(64), kScale, 2);
  ASSERT_GT(requests.size(), 2u);
  for (std::size_t missing = 0; missing < requests.size(); ++missing) {
    std::vector<KeyRequest> others = requests;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(missing));
    const auto result = transform.apply(scheme_.evaluator, input, scheme_.make_keys(others));
    ASSERT_FALSE(result.ok()) << requests[missing].element << ", seed " << kSeed;
    EXPECT_EQ(result.error().code, ErrorCode::kKeyMissing);
  }
  for (const KeyRequest& request : requests) {
    EXPECT_EQ(request.shape.level, request.element == conjugation_element(scheme_.parameters) ? 1 : 2);
    EXPECT_EQ(request.shape.special_count, 1);
  }
}

// Keys that are expanded while they are used make whole limbs of babies instead of pieces.
TEST_F(LinearTransformTest, IsTheSameUnderSeededKeys) {
  const Diagonals diagonals = random_diagonals(64, 0.8);
  const auto transform =
      unwrap(LinearTransform::create(scheme_.encoder, diagonals, {2, 1, 1, 2}, kScale, BsgsSplit{16}));
  EvaluationKeys whole, seeded;
  for (const KeyRequest& request : transform.key_requests(scheme_.parameters)) {
    const Bytes bytes = write_key(scheme_.parameters, unwrap(scheme_.holder.make_key(request)));
    whole.insert(unwrap(read_key(scheme_.parameters, bytes, KeyForm::kWhole)));
    seeded.insert(unwrap(read_key(scheme_.parameters, bytes, KeyForm::kSeeded)));
  }
  const Ciphertext input = scheme_.encrypt(scheme_.repeated(64), kScale, 2);
  EXPECT_EQ(unwrap(transform.apply(scheme_.evaluator, input, seeded)).parts,
            unwrap(transform.apply(scheme_.evaluator, input, whole)).parts);
}

TEST_F(LinearTransformTest, RefusesWhatIsNoMatrix) {
  const auto code = [&](const Diagonals& diagonals, BsgsSplit split = {4}, int level = 1) {
    const auto result = LinearTransform::create(scheme_.encoder, diagonals, {level, 1, 1, 1}, kScale, split);
    return result.ok() ? std::optional<ErrorCode>() : result.error().code;
  };
  const std::vector<double> one = {1};
  EXPECT_EQ(code({8, {{3, one}}}), std::nullopt);
  for (const Diagonals& bad :
       {Diagonals{8, {}}, Diagonals{8, {{8, one}}}, Diagonals{0, {{0, one}}}, Diagonals{24, {{0, one}}},
        Diagonals{8192, {{0, one}}}, Diagonals{8, {{0, {}}}}, Diagonals{8, {{0, {1, 2, 3}}}}})
    EXPECT_EQ(code(bad), ErrorCode::kInvalidArgument);
  for (const BsgsSplit& bad : {BsgsSplit{0}, BsgsSplit{4, 3}, BsgsSplit{4, 8}})
    EXPECT_EQ(code({8, {{0, one}}}, bad), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({8, {{0, one}}}, {4}, 0), ErrorCode::kLevelMismatch);
  EXPECT_EQ(code({8, {{0, {1e300}}}}), ErrorCode::kValueOutOfRange);
}

TEST(BsgsSplit, CoversEveryDiagonalOnce) {
  std::mt19937_64 random(kSeed);
  for (std::size_t modulus : {1ul, 2ul, 8ul, 256ul, 1024ul}) {
    for (std::size_t width = 1; width <= 2 * modulus; width += 1 + width / 4) {
      SCOPED_TRACE("modulus " + std::to_string(modulus) + ", width " + std::to_string(width));
      std::vector<DiagonalIndex> diagonals;
      for (std::uint32_t output = 0; output < 2; ++output)
        for (std::uint32_t input = 0; input < 2; ++input)
          for (std::size_t d = 0; d < modulus; ++d)
            if (d == 0 || random() % 3 != 0) diagonals.push_back({output, input, d});
      const std::size_t shift = modulus > 1 && random() % 2 == 0 ? modulus >> (1 + random() % 2) : 0;
      const Bsgs bsgs = make_bsgs(diagonals, modulus, {width, shift, /*chained=*/random() % 2 == 0});
      std::vector<DiagonalIndex> seen;
      for (const BsgsGroup& group : bsgs.groups) {
        for (const BsgsTerm& term : group.terms) {
          const auto [input, step] = bsgs.babies.at(term.baby);
          const auto m = static_cast<std::int64_t>(modulus);
          const auto expect = [&, input = input](std::int64_t rotation, std::size_t diagonal) {
            EXPECT_EQ(static_cast<std::size_t>((rotation % m + m) % m), diagonal);
            seen.push_back({group.output, input, diagonal});
          };
          if (term.direct) expect(step + group.giant, *term.direct);
          if (term.shifted) expect(step + group.giant + static_cast<std::int64_t>(shift), *term.shifted);
        }
      }
      std::ranges::sort(seen);
      EXPECT_EQ(seen, diagonals);
      EXPECT_LE(bsgs.babies.size(), 2 * std::min(width, modulus));
      EXPECT_LE(bsgs.groups.size(), 2 * (modulus / std::min(width, modulus) + 2));
    }
  }
}

}  // namespace
}  // namespace tacit::ckks
