// SPDX-License-Identifier: Apache-2.0
// Softmax regression against what is known of it: finite differences, the conditions of a minimum, data made to be
// separable or not. tests/e2e/transfer_test.py compares whole fits with torch's.
#include "client/softmax_regression.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "client/model_cipher.h"
#include "client/softmax_loss.h"
#include "support/seed.h"

namespace tacit::client {
namespace {

using test::kSeed;

struct Data {
  std::size_t columns = 0, classes = 0;
  std::vector<float> table;
  std::vector<std::uint32_t> labels;
  std::vector<std::size_t> rows;

  FeatureTable features() const { return {columns, table}; }
  Result<SoftmaxRegression> fit(const SoftmaxRegressionOptions& options = {}) const {
    return fit_softmax_regression(features(), labels, classes, rows, options);
  }
  ErrorCode error(const SoftmaxRegressionOptions& options = {}) const {
    const auto result = fit(options);
    EXPECT_FALSE(result.ok());
    if (result.ok()) return ErrorCode::kInternal;
    EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
    return result.error().code;
  }
};

// A normal cloud around each class's own centre, `distance` from the middle.
Data clouds(std::mt19937_64& random, std::size_t rows, std::size_t columns, std::size_t classes,
            double distance) {
  std::normal_distribution<float> normal;
  Data data{columns, classes, {}, {}, {}};
  std::vector<float> centres(classes * columns);
  for (float& x : centres)
    x = static_cast<float>(distance) * normal(random) / std::sqrt(static_cast<float>(columns));
  for (std::size_t i = 0; i < rows; ++i) {
    data.labels.push_back(static_cast<std::uint32_t>(i % classes));
    for (std::size_t j = 0; j < columns; ++j)
      data.table.push_back(centres[data.labels.back() * columns + j] + normal(random));
    data.rows.push_back(i);
  }
  return data;
}

double accuracy(const LinearClassifier& classifier, const Data& data) {
  std::size_t right = 0;
  for (std::size_t row : data.rows) {
    const auto probabilities = classifier.probabilities(data.features().row(row));
    EXPECT_TRUE(probabilities.ok());
    right += std::ranges::max_element(*probabilities) - probabilities->begin() == data.labels[row];
  }
  return static_cast<double>(right) / static_cast<double>(data.rows.size());
}

TEST(SoftmaxLoss, TheGradientIsThatOfFiniteDifferences) {
  std::mt19937_64 random(kSeed);
  std::normal_distribution<double> normal;
  for (int round = 0; round < 30; ++round) {
    SCOPED_TRACE("seed " + std::to_string(kSeed) + ", round " + std::to_string(round));
    const std::size_t columns = 1 + random() % 6, classes = 2 + random() % 5;
    // Up to more than one block, and not all rows of the table.
    Data data = clouds(random, 2 + random() % 150, columns, classes, 1);
    std::erase_if(data.rows, [&](std::size_t row) { return row > 0 && random() % 3 == 0; });
    SoftmaxLoss loss(data.table, columns, data.labels, classes, data.rows, round % 2 == 0 ? 0.3 : 0);
    std::vector<double> at(loss.parameters()), gradient(at.size()), ignored(at.size());
    for (double& x : at) x = normal(random);
    loss(at, gradient);
    for (std::size_t i = 0; i < at.size(); ++i) {
      constexpr double kStep = 1e-5;
      std::vector<double> left = at, right = at;
      left[i] -= kStep;
      right[i] += kStep;
      const double slope = (loss(right, ignored) - loss(left, ignored)) / (2 * kStep);
      EXPECT_NEAR(gradient[i], slope, 1e-7 * std::max(1.0, std::abs(slope))) << "parameter " << i;
    }
  }
}

TEST(SoftmaxLoss, OfNothingLearntIsTheLogarithmOfTheClasses) {
  std::mt19937_64 random(kSeed);
  const Data data = clouds(random, 100, 4, 7, 1);
  SoftmaxLoss loss(data.table, 4, data.labels, 7, data.rows, 1);
  const std::vector<double> zero(loss.parameters());
  std::vector<double> gradient(zero.size());
  EXPECT_NEAR(loss(zero, gradient), std::log(7.0), 1e-14);
}

TEST(SoftmaxLoss, LargeScoresDoNotOverflow) {
  const std::vector<float> table{1000, -1000};
  const std::vector<std::uint32_t> labels{0, 0};
  SoftmaxLoss loss(table, 1, labels, 2, {0, 1}, 0);
  const std::vector<double> at{5, -5, 0, 0};
  std::vector<double> gradient(4);
  EXPECT_DOUBLE_EQ(loss(at, gradient), 5000) << "one row is certain, the other off by a score of 10,000";
  for (double x : gradient) EXPECT_TRUE(std::isfinite(x));
}

TEST(SoftmaxRegression, AtTheMinimumTheGradientVanishes) {
  std::mt19937_64 random(kSeed);
  for (double l2 : {1e-3, 1e-1, 10.0}) {
    const Data data = clouds(random, 300, 8, 4, 2);
    const auto result = data.fit({l2, 1, {}});
    ASSERT_TRUE(result.ok()) << result.error().to_line();
    EXPECT_TRUE(result->converged);
    EXPECT_EQ(result->l2, l2);
    // The same from the classifier alone, without the code that trained it.
    const LinearClassifier& c = result->classifier;
    std::vector<double> gradient(4 * 9);
    for (std::size_t row : data.rows) {
      const auto p = c.probabilities(data.features().row(row));
      for (std::size_t k = 0; k < 4; ++k) {
        const double residual = ((*p)[k] - (data.labels[row] == k ? 1.0 : 0.0)) / 300;
        for (std::size_t j = 0; j < 8; ++j)
          gradient[k * 9 + j] += residual * (data.table[row * 8 + j] - c.mean[j]) / c.deviation[j];
        gradient[k * 9 + 8] += residual;
      }
    }
    for (std::size_t k = 0; k < 4; ++k)
      for (std::size_t j = 0; j < 8; ++j) gradient[k * 9 + j] += l2 * c.weights[k * 8 + j];
    for (double x : gradient) EXPECT_NEAR(x, 0, 1e-5) << "l2 " << l2 << ", seed " << kSeed;
  }
}

TEST(SoftmaxRegression, LearnsWhatCanBeSeparated) {
  std::mt19937_64 random(kSeed);
  // More features than rows too: then any labels can be separated.
  for (std::size_t columns : {3, 200}) {
    const Data data = clouds(random, 120, columns, 3, 40);
    const auto result = data.fit();
    ASSERT_TRUE(result.ok()) << result.error().to_line();
    EXPECT_EQ(accuracy(result->classifier, data), 1.0) << "seed " << kSeed;
  }
}

TEST(SoftmaxRegression, OfOverlappingCloudsIsAsGoodAsTheBestRule) {
  std::mt19937_64 random(kSeed);
  std::normal_distribution<float> normal;
  // Two normal clouds 2 deviations apart: no rule is right more often than with probability Phi(1) = 0.8413.
  const auto sample = [&](std::size_t rows) {
    Data data{2, 2, {}, {}, {}};
    for (std::size_t i = 0; i < rows; ++i) {
      data.labels.push_back(static_cast<std::uint32_t>(i % 2));
      data.table.push_back((i % 2 == 0 ? -1.0f : 1.0f) + normal(random));
      data.table.push_back(100 + 30 * normal(random));
      data.rows.push_back(i);
    }
    return data;
  };
  const Data training = sample(4000), test = sample(20000);
  const auto result = training.fit();
  ASSERT_TRUE(result.ok()) << result.error().to_line();
  EXPECT_NEAR(accuracy(result->classifier, test), 0.8413, 0.01) << "seed " << kSeed;
}

TEST(SoftmaxRegression, WhereNothingIsToBeLearntItSaysHowFrequentTheClassesAre) {
  std::mt19937_64 random(kSeed);
  Data data = clouds(random, 900, 5, 3, 0);
  for (std::size_t i = 0; i < data.labels.size(); ++i) data.labels[i] = i % 9 < 6 ? 0 : i % 9 < 8 ? 1 : 2;
  const auto result = data.fit();
  ASSERT_TRUE(result.ok()) << result.error().to_line();
  EXPECT_GE(result->l2, 0.1) << "the strongest regularisations are the best ones here";
  const auto p = result->classifier.probabilities(data.features().row(0));
  for (std::size_t k = 0; k < 3; ++k) EXPECT_NEAR((*p)[k], (std::vector{6.0, 2.0, 1.0})[k] / 9, 0.1);
}

TEST(SoftmaxRegression, UnitsOfTheFeaturesDoNotMatter) {
  std::mt19937_64 random(kSeed);
  const Data data = clouds(random, 200, 6, 3, 2);
  Data other = data;
  for (float& x : other.table) x = 1024 * x - 4096;
  const auto a = data.fit({0.01, 1, {}}), b = other.fit({0.01, 1, {}});
  ASSERT_TRUE(a.ok() && b.ok());
  for (std::size_t row : data.rows) {
    const auto p = a->classifier.probabilities(data.features().row(row));
    const auto q = b->classifier.probabilities(other.features().row(row));
    for (std::size_t k = 0; k < 3; ++k) EXPECT_NEAR((*p)[k], (*q)[k], 1e-3);
  }
}

TEST(SoftmaxRegression, OnlyTheRowsThatAreNamedCount) {
  std::mt19937_64 random(kSeed);
  const Data data = clouds(random, 100, 4, 2, 3);
  Data longer = data;
  for (int i = 0; i < 50; ++i) {
    longer.labels.push_back(0);
    longer.table.insert(longer.table.end(), 4, std::numeric_limits<float>::quiet_NaN());
  }
  const auto a = data.fit(), b = longer.fit();
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->classifier, b->classifier);
}

TEST(SoftmaxRegression, TheSameComesOutEachTime) {
  std::mt19937_64 random(kSeed);
  const Data data = clouds(random, 400, 10, 4, 1);
  EXPECT_EQ(data.fit()->classifier, data.fit()->classifier);
}

TEST(SoftmaxRegression, ConstantFeaturesHaveNoWeight) {
  std::mt19937_64 random(kSeed);
  Data data = clouds(random, 90, 3, 3, 5);
  for (std::size_t row : data.rows) data.table[row * 3 + 1] = 0.1f;
  const auto result = data.fit();
  ASSERT_TRUE(result.ok()) << result.error().to_line();
  const LinearClassifier& c = result->classifier;
  EXPECT_EQ(c.mean[1], double{0.1f});
  EXPECT_GT(c.deviation[1], 0);
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(c.weights[k * 3 + 1], 0);
    EXPECT_NE(c.weights[k * 3], 0);
  }
}

TEST(SoftmaxRegression, NoiseInAFeatureThatHardlyVariesIsNotBlownUp) {
  std::mt19937_64 random(kSeed);
  std::normal_distribution<float> normal;
  Data data = clouds(random, 60, 2, 2, 6);
  for (std::size_t row : data.rows) data.table[row * 2 + 1] = 1e-4f * normal(random);
  const auto result = data.fit({1e-4, 1, {}});
  ASSERT_TRUE(result.ok()) << result.error().to_line();
  const LinearClassifier& c = result->classifier;
  EXPECT_GT(c.deviation[1], 0.01) << "the floor, not the feature's own deviation";
  EXPECT_LT(std::abs(c.weights[1]), 0.1 * std::abs(c.weights[0]));
}

TEST(SoftmaxRegression, TellsHowFarItIs) {
  std::mt19937_64 random(kSeed);
  const Data data = clouds(random, 50, 2, 2, 1);
  std::vector<std::pair<std::size_t, std::size_t>> told;
  const auto record = [&](std::size_t done, std::size_t total) { told.emplace_back(done, total); };
  ASSERT_TRUE(data.fit({{}, 1, record}).ok());
  EXPECT_EQ(told.front(), std::pair(std::size_t{0}, 5 * std::size(kL2Grid) + 1));
  EXPECT_EQ(told.back().first, told.back().second);
  EXPECT_TRUE(std::ranges::is_sorted(told));
  told.clear();
  ASSERT_TRUE(data.fit({0.1, 1, record}).ok());
  EXPECT_EQ(told.back(), std::pair(std::size_t{1}, std::size_t{1}));
}

TEST(SoftmaxRegression, RefusesWhatCannotBeLearntFrom) {
  std::mt19937_64 random(kSeed);
  const Data good = clouds(random, 40, 3, 2, 2);
  ASSERT_TRUE(good.fit().ok());

  Data one_class = good;
  std::ranges::fill(one_class.labels, 1);
  EXPECT_EQ(one_class.error(), ErrorCode::kLabelsInvalid);
  Data one_row = good;
  one_row.rows = {3};
  EXPECT_EQ(one_row.error(), ErrorCode::kLabelsInvalid);
  Data no_rows = good;
  no_rows.rows.clear();
  EXPECT_EQ(no_rows.error(), ErrorCode::kLabelsInvalid);
  Data few_labels = good;
  few_labels.labels.pop_back();
  EXPECT_EQ(few_labels.error(), ErrorCode::kLabelsInvalid);
  EXPECT_EQ((Data{3, 2, {}, {}, {}}).error(), ErrorCode::kFeaturesInvalid);
  EXPECT_EQ((Data{0, 2, {}, {}, {}}).error(), ErrorCode::kFeaturesInvalid);
  Data constant = good;
  std::ranges::fill(constant.table, 0.3f);
  EXPECT_EQ(constant.error(), ErrorCode::kFeaturesInvalid);
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Data damaged = good;
    damaged.table[70] = bad;
    EXPECT_EQ(damaged.error(), ErrorCode::kFeaturesInvalid);
  }
  Data many_classes = good;
  many_classes.classes = kMaxClasses + 1;
  EXPECT_EQ(many_classes.error(), ErrorCode::kLabelsInvalid);
  Data wide{kMaxFeatures + 1, 2, std::vector<float>(2 * (kMaxFeatures + 1)), {0, 1}, {0, 1}};
  EXPECT_EQ(wide.error(), ErrorCode::kFeaturesInvalid);
  Data large{kMaxFeatures, 65, std::vector<float>(2 * kMaxFeatures), {0, 1}, {0, 1}};
  EXPECT_EQ(large.error(), ErrorCode::kDataTooLarge);
  for (double l2 : {-1.0, 2e6, std::numeric_limits<double>::quiet_NaN()})
    EXPECT_EQ(good.error({l2, 1, {}}), ErrorCode::kInvalidArgument);
}

TEST(SoftmaxRegression, LearnsFromExtremesToo) {
  // Two rows, a class that has one row only, the largest and the smallest numbers there are.
  const Data two{1, 2, {-3e38f, 3e38f}, {0, 1}, {0, 1}};
  const auto far = two.fit();
  ASSERT_TRUE(far.ok()) << far.error().to_line();
  EXPECT_EQ(accuracy(far->classifier, two), 1.0);
  const Data near{1, 2, {0, 1e-44f}, {0, 1}, {0, 1}};
  const auto close = near.fit();
  ASSERT_TRUE(close.ok()) << close.error().to_line();
  EXPECT_EQ(accuracy(close->classifier, near), 1.0);
  const Data rare{1, 3, {0, 0.1f, 0.2f, 5, 5.1f, 9}, {0, 0, 0, 1, 1, 2}, {0, 1, 2, 3, 4, 5}};
  ASSERT_TRUE(rare.fit().ok());
  // Without regularisation what can be separated has no minimum; it must end all the same.
  const auto endless = rare.fit({0.0, 1, {}});
  ASSERT_TRUE(endless.ok());
  EXPECT_EQ(accuracy(endless->classifier, rare), 1.0);
}

}  // namespace
}  // namespace tacit::client
