// SPDX-License-Identifier: Apache-2.0
// A matrix of numbers times ciphertexts: against the evaluator's own operations to the bit, against plain numbers, and with
// no more noise than its one division makes.
#include "ckks/scalar_matrix.h"

#include <limits>
#include <optional>

#include "support/ckks_fixture.h"
#include "support/exact.h"
#include "support/noise_bounds.h"
#include "support/seed.h"

namespace tacit::ckks {
namespace {

using namespace test;

using Row = ScalarMatrix::Row;
using MatrixDomain = ScalarMatrix::Domain;

struct Set {
  const char* name;
  int log_degree, base_bits, scale_bits;
  std::size_t levels;
  int special_bits;
};

void PrintTo(const Set& set, std::ostream* out) { *out << set.name; }

// Primes for which the kernels multiply 31-bit numbers, longer ones, and both.
constexpr Set kSets[] = {
    {"Narrow", 13, 31, 27, 5, 45}, {"Wide", 13, 45, 40, 2, 49}, {"Both", 12, 38, 26, 1, 40}};

class ScalarMatrixTest : public testing::TestWithParam<Set> {
 protected:
  static Parameters make_set(const Set& set) {
    return make_parameters(set.log_degree, set.base_bits, set.scale_bits, set.levels, set.special_bits, 1);
  }
  const Parameters& parameters() const { return scheme_.parameters; }
  double scale() const { return 0.75 * static_cast<double>(std::uint64_t{1} << GetParam().scale_bits); }
  double prime(int level) const { return static_cast<double>(parameters().prime(level).value()); }
  double uniform(double limit) {
    return std::uniform_real_distribution<double>(-limit, limit)(scheme_.random);
  }

  // Rows with about `share` of the columns, but for the last one, which has none; with weights of up to `limit`.
  std::vector<Row> random_rows(std::size_t outputs, std::size_t inputs, double share, double limit) {
    std::vector<Row> rows(outputs);
    std::bernoulli_distribution present(share);
    for (std::size_t o = 0; o + 1 < outputs; ++o) {
      for (std::uint32_t i = 0; i < inputs; ++i)
        if (present(scheme_.random)) rows[o].push_back({i, uniform(limit)});
    }
    return rows;
  }
  std::vector<double> random_bias(std::size_t outputs) {
    std::vector<double> bias(outputs);
    for (double& b : bias) b = uniform(1);
    return bias;
  }
  void make_inputs(std::size_t count, int level) {
    for (std::size_t i = 0; i < count; ++i) {
      values_.push_back(scheme_.random_vector());
      inputs_.push_back(scheme_.encrypt(values_.back(), scale(), level));
    }
  }

  // One output by the evaluator's operations.
  Ciphertext reference(const Row& row, double bias, const MatrixDomain& domain) {
    const Evaluator& e = scheme_.evaluator;
    const double weight_scale = domain.output_scale * prime(domain.level) / domain.input_scale;
    Ciphertext sum = unwrap(e.multiply_scalar(inputs_[0], 0, weight_scale));
    for (const auto& [column, value] : row)
      sum = unwrap(e.add(sum, unwrap(e.multiply_scalar(inputs_[column], value, weight_scale))));
    Ciphertext out = unwrap(e.rescale(sum));
    out.scale = domain.output_scale;
    return unwrap(e.add_scalar(out, bias));
  }

  Scheme scheme_{make_set(GetParam()), kSeed};
  std::vector<std::vector<double>> values_;
  std::vector<Ciphertext> inputs_;
};

TEST_P(ScalarMatrixTest, IsTheEvaluatorsOperationsToTheBit) {
  constexpr std::size_t kInputs = 30, kOutputs = 20;
  for (int level = 1; level <= parameters().max_level(); level += 2) {
    inputs_.clear();
    values_.clear();
    make_inputs(kInputs, level);
    for (double share : {0.1, 0.5, 1.0}) {
      // Weights up to far beyond the primes.
      for (double limit : {1.0, 1000.0}) {
        SCOPED_TRACE("level " + std::to_string(level) + ", share " + std::to_string(share) + ", weights to " +
                     std::to_string(limit) + ", seed " + std::to_string(kSeed));
        const MatrixDomain domain{level, scale(), 1.1 * scale()};
        const auto rows = random_rows(kOutputs, kInputs, share, limit);
        const auto bias = random_bias(kOutputs);
        const auto matrix = unwrap(ScalarMatrix::create(parameters(), kInputs, rows, bias, domain));
        ASSERT_EQ(matrix.inputs(), kInputs);
        ASSERT_EQ(matrix.outputs(), kOutputs);
        const auto outputs = unwrap(matrix.apply(scheme_.evaluator, inputs_));
        ASSERT_EQ(outputs.size(), kOutputs);
        for (std::size_t o = 0; o < kOutputs; ++o) {
          EXPECT_EQ(outputs[o].scale, domain.output_scale);
          ASSERT_EQ(outputs[o].level(), level - 1);
          ASSERT_EQ(outputs[o].parts, reference(rows[o], bias[o], domain).parts) << "output " << o;
        }
      }
    }
  }
}

TEST_P(ScalarMatrixTest, IsTheMatrixTimesTheVector) {
  constexpr std::size_t kInputs = 12, kOutputs = 9;
  const int level = parameters().max_level();
  make_inputs(kInputs, level);
  const auto rows = random_rows(kOutputs, kInputs, 0.7, 1);
  const auto bias = random_bias(kOutputs);
  const MatrixDomain domain{level, scale(), scale()};
  const auto matrix = unwrap(ScalarMatrix::create(parameters(), kInputs, rows, bias, domain));
  const auto outputs = unwrap(matrix.apply(scheme_.evaluator, inputs_));
  // The noise of encryption is a few thousand beside the scale in every input, and weights add up to less than 12.
  const double tolerance = 12 * 0x1p13 / scale();
  for (std::size_t o = 0; o < kOutputs; ++o) {
    std::vector<double> expected(parameters().slots(), bias[o]);
    for (const auto& [column, value] : rows[o])
      for (std::size_t t = 0; t < expected.size(); ++t) expected[t] += value * values_[column][t];
    EXPECT_LT(distance(scheme_.decrypt(outputs[o]), expected), tolerance)
        << "output " << o << ", seed " << kSeed;
  }
}

// Coefficient by coefficient: q_level times an output is the sum of the inputs, each times its integer, and of the bias, but
// for the rounding of the division.
TEST_P(ScalarMatrixTest, AddsTheNoiseOfOneDivision) {
  constexpr std::size_t kInputs = 8, kOutputs = 4;
  const int level = 1;
  make_inputs(kInputs, level);
  const auto rows = random_rows(kOutputs, kInputs, 1, 0.5);
  const auto bias = random_bias(kOutputs);
  const MatrixDomain domain{level, scale(), scale()};
  const auto matrix = unwrap(ScalarMatrix::create(parameters(), kInputs, rows, bias, domain));
  const auto outputs = unwrap(matrix.apply(scheme_.evaluator, inputs_));
  const auto decrypted = [&](const Ciphertext& c) {
    return to_integers(parameters(), unwrap(scheme_.holder.decrypt(c)).poly);
  };
  std::vector<Integers> messages;
  for (const Ciphertext& input : inputs_) messages.push_back(decrypted(input));
  const Integers secret(scheme_.key.coefficients().begin(), scheme_.key.coefficients().end());
  const NoiseBounds bounds(parameters(), static_cast<std::size_t>(one_norm(secret)));
  const auto divisor = static_cast<Integer>(parameters().prime(level).value());
  for (std::size_t o = 0; o < kOutputs; ++o) {
    Integers exact(parameters().degree(), 0);
    exact[0] = divisor * static_cast<Integer>(std::llround(bias[o] * domain.output_scale));
    for (const auto& [column, value] : rows[o]) {
      const double weight = value * (domain.output_scale * prime(level) / domain.input_scale);
      exact = sum(exact, messages[column], static_cast<Integer>(std::llround(weight)));
    }
    const double error =
        infinity_norm(difference(multiple(divisor, decrypted(outputs[o])), exact)) / prime(level);
    EXPECT_LE(error, rows[o].empty() ? 0 : bounds.division()) << "output " << o << ", seed " << kSeed;
  }
}

TEST_P(ScalarMatrixTest, ReportsEveryLimbAndStopsWhenTold) {
  const int level = parameters().max_level();
  make_inputs(2, level);
  const std::vector<double> bias = {0};
  const auto matrix =
      unwrap(ScalarMatrix::create(parameters(), 2, {{{0, 1}, {1, -1}}}, bias, {level, scale(), scale()}));
  std::vector<std::size_t> seen;
  const auto limbs = static_cast<std::size_t>(level) + 1;
  unwrap(matrix.apply(scheme_.evaluator, inputs_, [&](std::size_t done, std::size_t total) {
    EXPECT_EQ(total, limbs);
    seen.push_back(done);
    return true;
  }));
  ASSERT_EQ(seen.size(), limbs + 1);
  for (std::size_t i = 0; i <= limbs; ++i) EXPECT_EQ(seen[i], i);
  for (std::size_t stop = 0; stop <= limbs; ++stop) {
    const auto result =
        matrix.apply(scheme_.evaluator, inputs_, [&](std::size_t done, std::size_t) { return done != stop; });
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, ScalarMatrixTest, testing::ValuesIn(kSets),
                         [](const auto& instance) { return instance.param.name; });

class SmallScalarMatrix : public testing::Test {
 protected:
  static constexpr double kScale = 0x1p27;

  template <class T>
  static std::optional<ErrorCode> code(const Result<T>& result) {
    return result.ok() ? std::optional<ErrorCode>() : result.error().code;
  }
  Result<ScalarMatrix> create(const std::vector<Row>& rows, std::size_t inputs = 3,
                              const MatrixDomain& domain = {1, kScale, kScale}) {
    return ScalarMatrix::create(scheme_.parameters, inputs, rows, std::vector<double>(rows.size()), domain);
  }

  Scheme scheme_{make_parameters(12, 31, 27, 2, 20, 1), kSeed};
};

TEST_F(SmallScalarMatrix, RefusesWhatIsNoMatrix) {
  EXPECT_EQ(code(create({{{0, 1}, {2, 1}}, {}})), std::nullopt);
  const double nan = std::numeric_limits<double>::quiet_NaN(),
               infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(code(create({})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(create({{}}, 0)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(create({{{3, 1}}})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(create({{{1, 1}, {1, 1}}})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(create({{{1, 1}, {0, 1}}})), ErrorCode::kInvalidArgument);
  for (double scale : {0.0, -1.0, nan, infinity}) {
    EXPECT_EQ(code(create({{{0, 1}}}, 3, {1, scale, kScale})), ErrorCode::kInvalidArgument);
    EXPECT_EQ(code(create({{{0, 1}}}, 3, {1, kScale, scale})), ErrorCode::kInvalidArgument);
  }
  for (int level : {-1, 0, 3, 1000})
    EXPECT_EQ(code(create({{{0, 1}}}, 3, {level, kScale, kScale})), ErrorCode::kLevelMismatch);
  for (double value : {nan, infinity, -infinity, 1e300, 0x1p36, -0x1p36}) {
    EXPECT_EQ(code(create({{{0, value}}})), ErrorCode::kValueOutOfRange);
    const std::vector<double> bias = {value};
    EXPECT_EQ(code(ScalarMatrix::create(scheme_.parameters, 1, {{}}, bias, {1, kScale, kScale})),
              ErrorCode::kValueOutOfRange);
  }
  const std::vector<double> two = {0, 0};
  EXPECT_EQ(code(ScalarMatrix::create(scheme_.parameters, 1, {{}}, two, {1, kScale, kScale})),
            ErrorCode::kInvalidArgument);
}

TEST_F(SmallScalarMatrix, RefusesOtherInputs) {
  const auto matrix = unwrap(create({{{0, 1}, {1, 2}}}, 2));
  const Ciphertext good = scheme_.encrypt(scheme_.random_vector(), kScale, 1);
  const auto with = [&](const std::vector<Ciphertext>& inputs) {
    return code(matrix.apply(scheme_.evaluator, inputs));
  };
  EXPECT_EQ(with({good, good}), std::nullopt);
  EXPECT_EQ(with({}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(with({good}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(with({good, good, good}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(with({good, Ciphertext{}}), ErrorCode::kDataMalformed);
  EXPECT_EQ(with({unwrap(scheme_.evaluator.square(good)), good}), ErrorCode::kDataMalformed);
  EXPECT_EQ(with({good, scheme_.encrypt(scheme_.random_vector(), kScale, 2)}), ErrorCode::kLevelMismatch);
  EXPECT_EQ(with({good, unwrap(scheme_.evaluator.drop(good, 0))}), ErrorCode::kLevelMismatch);
  Ciphertext other = good;
  other.scale *= 1 + 0x1p-30;
  EXPECT_EQ(with({good, other}), ErrorCode::kScaleMismatch);
  other = good;
  other.parts[1] = ring::Poly(scheme_.parameters.degree() / 2, 2);
  EXPECT_EQ(with({good, other}), ErrorCode::kLevelMismatch);
  const Evaluator elsewhere(make_parameters(12, 31, 27, 1, 20, 1));
  EXPECT_EQ(code(matrix.apply(elsewhere, std::vector<Ciphertext>{good, good})),
            ErrorCode::kParametersMismatch);
}

TEST_F(SmallScalarMatrix, CountsWhatTheKernelsDo) {
  // A block of three rows over three columns and one of a row by itself; input 3 is in no row.
  const auto matrix =
      unwrap(create({{{0, 1}, {1, 1}, {2, 1}}, {{0, 1}, {1, 1}, {2, 1}}, {{0, 1}, {2, 1}}, {{4, 2}}}, 5));
  const KernelCounts counts = matrix.counts();
  EXPECT_EQ(counts.scalar_limbs, 2u * 2 * (3 * 3 + 1));
  KernelCounts expected;
  for (int o = 0; o < 4; ++o) expected += mod_down_counts(1, 0, true, 2);
  EXPECT_EQ(counts.ntt_limbs, expected.ntt_limbs);
  EXPECT_EQ(counts.conversion_limbs, expected.conversion_limbs);
  EXPECT_EQ(counts.pointwise_limbs, expected.pointwise_limbs + 2u * 2 * 4);
  EXPECT_GE(matrix.memory_bytes(), 2u * (3 * 3 + 1) * sizeof(std::int64_t));
  EXPECT_LT(matrix.memory_bytes(), 1000u);
}

}  // namespace
}  // namespace tacit::ckks
