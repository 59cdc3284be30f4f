// SPDX-License-Identifier: Apache-2.0
// A matrix by chained rotations: every split and every set of steps gives the product, it needs the keys of its steps and no
// others, and does what the costs count.
#include "ckks/chained_transform.h"

#include <algorithm>
#include <set>

#include "ckks/cost.h"
#include "support/ckks_fixture.h"
#include "support/seed.h"

namespace tacit::ckks {
namespace {

using test::distance;
using test::kScale;
using test::kSeed;
using test::unwrap;
constexpr int kLevel = 2;

// A matrix from `inputs` to `outputs` ciphertexts that repeat with `period`.
struct Matrix {
  std::size_t period = 1;
  std::map<DiagonalIndex, std::vector<double>> values;

  std::vector<DiagonalIndex> indices() const {
    std::vector<DiagonalIndex> indices;
    for (const auto& [index, entries] : values) indices.push_back(index);
    return indices;
  }
};

class ChainedTransformTest : public testing::Test {
 protected:
  ChainedTransformTest() : scheme_(test::make_parameters(13, 45, 35, 2, 49, 1), kSeed) {}

  Matrix random_matrix(std::uint32_t inputs, std::uint32_t outputs, std::size_t period, double share) {
    Matrix matrix{period, {}};
    std::bernoulli_distribution present(share);
    for (std::uint32_t o = 0; o < outputs; ++o)
      for (std::uint32_t i = 0; i < inputs; ++i)
        for (std::size_t d = 0; d < period; ++d)
          if (d == period / 2 || present(scheme_.random)) matrix.values[{o, i, d}] = scheme_.uniform(period);
    return matrix;
  }

  static std::vector<TransformGroup> groups_of(const Matrix& matrix, BsgsSplit split) {
    const Bsgs bsgs = make_bsgs(matrix.indices(), matrix.period, split);
    std::vector<TransformGroup> groups;
    for (const BsgsGroup& group : bsgs.groups) {
      TransformGroup& made = groups.emplace_back(TransformGroup{group.giant, {}, group.output});
      for (const BsgsTerm& term : group.terms) {
        const auto [input, step] = bsgs.babies[term.baby];
        const auto rotated = [&, input = input](std::optional<std::size_t> index) {
          return index ? rotate_values(matrix.values.at({group.output, input, *index}), -group.giant)
                       : std::vector<double>();
        };
        made.terms.push_back({step, rotated(term.direct), rotated(term.shifted), input});
      }
    }
    return groups;
  }

  static ChainDomain domain(std::size_t period, const std::vector<std::int64_t>& steps) {
    return {{period, steps}, {period, steps}};
  }

  std::vector<KeyRequest> requests(const std::set<std::int64_t>& steps, std::size_t shift) const {
    std::vector<KeyRequest> requests;
    for (std::int64_t step : steps)
      requests.push_back({rotation_element(scheme_.parameters, step), {kLevel, 1, 1}});
    if (shift != 0) requests.push_back({conjugation_element(scheme_.parameters), {kLevel - 1, 1, 1}});
    return requests;
  }

  // The steps that a transform's rotations are made of.
  static std::set<std::int64_t> steps_of(const ChainedTransform& transform) {
    const RotationChains& chains = transform.rotations();
    std::set<std::int64_t> steps(chains.shift.begin(), chains.shift.end());
    for (const auto* trees : {&chains.babies, &chains.giants})
      for (const RotationTree& tree : *trees)
        for (std::size_t node = 1; node < tree.nodes.size(); ++node) steps.insert(tree.nodes[node].step);
    return steps;
  }

  void expect_product(const Matrix& matrix, BsgsSplit split, const std::vector<std::int64_t>& steps) {
    SCOPED_TRACE("period " + std::to_string(matrix.period) + ", width " + std::to_string(split.width) +
                 ", shift " + std::to_string(split.shift) + ", seed " + std::to_string(kSeed));
    const auto transform =
        unwrap(ChainedTransform::create(scheme_.encoder, groups_of(matrix, split), kLevel,
                                        domain(matrix.period, steps), kScale, split.shift));
    const EvaluationKeys keys = scheme_.make_keys(requests(steps_of(transform), split.shift));
    AlignedVector<Ciphertext> inputs;
    std::vector<std::vector<double>> x;
    for (std::size_t i = 0; i < transform.inputs(); ++i) {
      x.push_back(scheme_.repeated(matrix.period));
      inputs.push_back(scheme_.encrypt(x.back(), kScale, kLevel));
    }
    const AlignedVector<Ciphertext> y = unwrap(transform.apply(scheme_.evaluator, inputs, keys));
    for (std::uint32_t o = 0; o < y.size(); ++o) {
      std::vector<double> expected(x[0].size());
      for (const auto& [index, entries] : matrix.values)
        for (std::size_t t = 0; index.output == o && t < expected.size(); ++t)
          expected[t] += entries[t % matrix.period] * x[index.input][(t + index.index) % expected.size()];
      EXPECT_EQ(y[o].level(), kLevel - 1);
      EXPECT_LT(distance(scheme_.decrypt(y[o]), expected), 0x1p-12) << "output " << o;
    }
  }

  test::Scheme scheme_;
};

TEST_F(ChainedTransformTest, IsTheMatrixTimesTheVectorForEverySplit) {
  for (const auto& [period, share] : {std::pair{16ul, 1.0}, {64ul, 0.4}, {4096ul, 0.002}, {1ul, 1.0}}) {
    const Matrix matrix = random_matrix(1, 1, period, share);
    for (BsgsSplit split : splits_for(period)) {
      if (scheme_.random() % (period > 16 ? 15 : 3) != 0) continue;  // a sample of them
      split.chained = true;
      expect_product(matrix, split, power_of_two_steps(scheme_.parameters.slots()));
    }
  }
}

TEST_F(ChainedTransformTest, TakesAnyStepsThatMakeUpItsRotations) {
  const Matrix matrix = random_matrix(1, 1, 64, 0.5);
  for (const std::vector<std::int64_t>& steps :
       {std::vector<std::int64_t>{1}, {-1, 8}, {1, -8, 16}, {3, 4}, {65, -64, 8}})
    for (const BsgsSplit split : {BsgsSplit{8, 0, true}, BsgsSplit{1, 0, true}, BsgsSplit{4, 16, true}})
      expect_product(matrix, split, steps);
}

TEST_F(ChainedTransformTest, MultipliesVectorsOfSeveralCiphertexts) {
  const Matrix matrix = random_matrix(3, 2, 32, 0.6);
  for (const BsgsSplit split : {BsgsSplit{8, 0, true}, BsgsSplit{8, 2, true}, BsgsSplit{1, 16, true}})
    expect_product(matrix, split, {1, 8});
}

TEST_F(ChainedTransformTest, ADenseMatrixTakesTwoKeys) {
  const Matrix matrix = random_matrix(1, 1, 64, 1);
  const auto transform = unwrap(ChainedTransform::create(scheme_.encoder, groups_of(matrix, {8, 0, true}),
                                                         kLevel, domain(64, {1, 8}), kScale));
  EXPECT_EQ(steps_of(transform), (std::set<std::int64_t>{1, 8}));
  EXPECT_EQ(transform.rotations().babies[0].rotations(), 7u);
  EXPECT_EQ(transform.rotations().giants[0].rotations(), 7u);
}

TEST_F(ChainedTransformTest, NeedsTheKeysOfItsSteps) {
  const Matrix matrix = random_matrix(1, 1, 64, 0.4);
  const BsgsSplit split{8, 16, true};
  const auto transform = unwrap(ChainedTransform::create(
      scheme_.encoder, groups_of(matrix, split), kLevel,
      domain(64, power_of_two_steps(scheme_.parameters.slots())), kScale, split.shift));
  const std::vector<KeyRequest> all = requests(steps_of(transform), split.shift);
  const Ciphertext input = scheme_.encrypt(scheme_.repeated(64), kScale, kLevel);
  ASSERT_GT(all.size(), 3u);
  for (std::size_t missing = 0; missing < all.size(); ++missing) {
    std::vector<KeyRequest> others = all;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(missing));
    const auto result = transform.apply(scheme_.evaluator, std::span(&input, 1), scheme_.make_keys(others));
    ASSERT_FALSE(result.ok()) << all[missing].element << ", seed " << kSeed;
    EXPECT_EQ(result.error().code, ErrorCode::kKeyMissing);
  }
}

TEST_F(ChainedTransformTest, RefusesWhatItCannotDo) {
  const Matrix matrix = random_matrix(2, 1, 16, 1);
  const std::vector<TransformGroup> groups = groups_of(matrix, {4, 0, true});
  const auto code = [&](const std::vector<TransformGroup>& given, const ChainDomain& where,
                        int level = kLevel, double scale = kScale) {
    const auto result = ChainedTransform::create(scheme_.encoder, given, level, where, scale);
    return result.ok() ? std::optional<ErrorCode>() : result.error().code;
  };
  EXPECT_EQ(code(groups, domain(16, {1})), std::nullopt);
  EXPECT_EQ(code(groups, domain(16, {2})), ErrorCode::kKeyMissing);
  EXPECT_EQ(code(groups, domain(16, {})), ErrorCode::kKeyMissing);
  EXPECT_EQ(code({}, domain(16, {1})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(groups, domain(16, {1}), 0), ErrorCode::kLevelMismatch);
  EXPECT_EQ(code(groups, domain(16, {1}), kLevel, 1e300), ErrorCode::kValueOutOfRange);

  const auto transform =
      unwrap(ChainedTransform::create(scheme_.encoder, groups, kLevel, domain(16, {1}), kScale));
  const EvaluationKeys keys = scheme_.make_keys(requests({1}, 0));
  AlignedVector<Ciphertext> inputs;
  for (int i = 0; i < 2; ++i) inputs.push_back(scheme_.encrypt(scheme_.repeated(16), kScale, kLevel));
  EXPECT_TRUE(transform.apply(scheme_.evaluator, inputs, keys).ok());
  EXPECT_EQ(transform.apply(scheme_.evaluator, std::span(inputs).first(1), keys).error().code,
            ErrorCode::kLevelMismatch);
  inputs[1].scale *= 1.5;
  EXPECT_EQ(transform.apply(scheme_.evaluator, inputs, keys).error().code, ErrorCode::kScaleMismatch);
  inputs[1] = unwrap(scheme_.evaluator.drop(inputs[0], 1));
  EXPECT_EQ(transform.apply(scheme_.evaluator, inputs, keys).error().code, ErrorCode::kLevelMismatch);
}

TEST(ChainedCounts, AreThoseOfWholeKeySwitches) {
  const KeyShape key{3, 1, 1};
  const ChainedShape shape{3, 1, 1, {key, key, key}, 2, 6, {}};
  const KernelCounts counts = chained_counts(shape);
  EXPECT_EQ(counts.ntt_limbs, 3 * rotate_counts(3, key).ntt_limbs + 2 * (1 + 3));
  EXPECT_EQ(counts.plain_limbs, 6u * 2 * 4);
  EXPECT_EQ(counts.hoisted_limbs, 0u);
  ChainedShape folded = shape;
  folded.conjugation = KeyShape{2, 1, 1};
  EXPECT_EQ(chained_counts(folded).ntt_limbs, counts.ntt_limbs + rotate_counts(2, {2, 1, 1}).ntt_limbs);
}

}  // namespace
}  // namespace tacit::ckks
