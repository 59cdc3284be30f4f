// SPDX-License-Identifier: Apache-2.0
#include "client/softmax_regression.h"

#include <lbfgs.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "client/softmax_loss.h"
#include "client/stratified.h"

namespace tacit::client {
namespace {

constexpr double kDeviationFloor = 0.1;  // of the root mean square deviation
constexpr std::size_t kParts = 5;
constexpr int kMaxIterations = 1000;
constexpr int kHistory = 10;  // pairs of steps and gradient changes that L-BFGS remembers
// A minimisation ends where |gradient| < tolerance * max(1, |parameters|).
constexpr double kTolerance = 1e-6, kValidationTolerance = 1e-4;

using Rows = std::vector<std::size_t>;

Error invalid_features(std::string message) { return Error{ErrorCode::kFeaturesInvalid, std::move(message)}; }
Error invalid_labels(std::string message) { return Error{ErrorCode::kLabelsInvalid, std::move(message)}; }

Status check(const FeatureTable& table, std::span<const std::uint32_t> labels, std::size_t classes,
             std::span<const std::size_t> rows, const SoftmaxRegressionOptions& options) {
  if (options.l2 && !(*options.l2 >= 0 && *options.l2 <= kMaxL2))
    return Error{ErrorCode::kInvalidArgument,
                 "the strength of the regularisation is not a number from 0 to a million"};
  if (table.rows() == 0) return invalid_features("there are no features to learn from");
  if (table.columns > kMaxFeatures)
    return invalid_features("there are " + std::to_string(table.columns) + " features in a row; at most " +
                            std::to_string(kMaxFeatures) + " can be learnt from");
  if (labels.size() != table.rows())
    return invalid_labels("there are " + std::to_string(labels.size()) + " labels for " +
                          std::to_string(table.rows()) + " rows of features; give one for each row");
  if (classes > kMaxClasses)
    return invalid_labels("there are " + std::to_string(classes) + " different labels; at most " +
                          std::to_string(kMaxClasses) + " can be told apart");
  if (table.columns * classes > kMaxHeadWeights)
    return Error{ErrorCode::kDataTooLarge, std::to_string(classes) + " classes of " +
                                               std::to_string(table.columns) +
                                               " features have more than the " +
                                               std::to_string(kMaxHeadWeights) + " weights that are fitted"};
  std::vector<bool> seen(classes);
  for (std::size_t row : rows) seen[labels[row]] = true;
  if (std::ranges::count(seen, true) < 2)
    return invalid_labels(
        "the rows to learn from have fewer than two different labels; there is nothing to tell apart");
  for (std::size_t row : rows)
    for (float x : table.row(row))
      if (!std::isfinite(x))
        return invalid_features("row " + std::to_string(row) +
                                " has a feature that is infinite or not a number; leave the row out");
  return {};
}

// Means, and deviations with the floor; `varies` says which features have two different values.
struct Scale {
  std::vector<double> mean, deviation;
  std::vector<bool> varies;
};

Result<Scale> scale_of(const FeatureTable& table, std::span<const std::size_t> rows) {
  const std::size_t columns = table.columns;
  const double share = 1.0 / static_cast<double>(rows.size());
  Scale scale{std::vector<double>(columns), std::vector<double>(columns), std::vector<bool>(columns)};
  const std::span<const float> first = table.row(rows.front());
  for (std::size_t row : rows) {
    const std::span<const float> values = table.row(row);
    for (std::size_t j = 0; j < columns; ++j) {
      scale.mean[j] += share * values[j];
      scale.varies[j] = scale.varies[j] || values[j] != first[j];
    }
  }
  for (std::size_t row : rows) {
    const std::span<const float> values = table.row(row);
    for (std::size_t j = 0; j < columns; ++j)
      scale.deviation[j] += share * (values[j] - scale.mean[j]) * (values[j] - scale.mean[j]);
  }
  double mean_variance = 0;
  for (std::size_t j = 0; j < columns; ++j) {
    // What rounding leaves of a mean of equal numbers must not look like a difference.
    if (!scale.varies[j]) {
      scale.mean[j] = first[j];
      scale.deviation[j] = 0;
    }
    mean_variance += scale.deviation[j] / static_cast<double>(columns);
  }
  const double floor = kDeviationFloor * kDeviationFloor * mean_variance;
  if (!(floor >= std::numeric_limits<double>::min()))
    return invalid_features("the features are the same in every row; there is nothing to learn from");
  for (double& deviation : scale.deviation) deviation = std::sqrt(deviation + floor);
  return scale;
}

// The rows, one after the other, as (x - mean) / deviation.
std::vector<float> standardise(const FeatureTable& table, std::span<const std::size_t> rows,
                               const Scale& scale) {
  std::vector<float> result(rows.size() * table.columns);
  float* next = result.data();
  for (std::size_t row : rows)
    for (std::size_t j = 0; j < table.columns; ++j)
      *next++ = static_cast<float>((table.row(row)[j] - scale.mean[j]) / scale.deviation[j]);
  return result;
}

struct Free {
  void operator()(lbfgsfloatval_t* memory) const { lbfgs_free(memory); }
};
using Variables = std::unique_ptr<lbfgsfloatval_t[], Free>;

struct Minimum {
  double loss = 0;
  int iterations = 0;
  bool converged = false;
};

// From `start` to the minimum, in place.
Result<Minimum> minimise(SoftmaxLoss loss, lbfgsfloatval_t* start, double tolerance) {
  struct Run {
    SoftmaxLoss& loss;
    int iterations = 0;
  } run{loss};
  const lbfgs_evaluate_t evaluate = [](void* instance, const lbfgsfloatval_t* x, lbfgsfloatval_t* gradient,
                                       int n, lbfgsfloatval_t) -> lbfgsfloatval_t {
    const auto count = static_cast<std::size_t>(n);
    return static_cast<Run*>(instance)->loss({x, count}, {gradient, count});
  };
  const lbfgs_progress_t progress = [](void* instance, const lbfgsfloatval_t*, const lbfgsfloatval_t*,
                                       lbfgsfloatval_t, lbfgsfloatval_t, lbfgsfloatval_t, lbfgsfloatval_t,
                                       int, int iteration, int) {
    static_cast<Run*>(instance)->iterations = iteration;
    return 0;
  };
  lbfgs_parameter_t parameters;
  lbfgs_parameter_init(&parameters);
  parameters.m = kHistory;
  parameters.epsilon = tolerance;
  parameters.max_iterations = kMaxIterations;
  Minimum minimum;
  const int outcome =
      lbfgs(static_cast<int>(loss.parameters()), start, &minimum.loss, evaluate, progress, &run, &parameters);
  if (outcome == LBFGSERR_OUTOFMEMORY)
    return Error{ErrorCode::kOutOfMemory, "there is not enough memory to train on so many features"};
  minimum.iterations = run.iterations;
  minimum.converged = outcome == LBFGS_SUCCESS || outcome == LBFGS_STOP || outcome == LBFGS_ALREADY_MINIMIZED;
  // Where it ended for another reason the variables are the best ones that were found.
  return minimum;
}

class Fitter {
 public:
  Fitter(std::vector<float> table, std::size_t columns, std::vector<std::uint32_t> labels,
         std::size_t classes, const SoftmaxRegressionOptions& options)
      : table_(std::move(table)),
        columns_(columns),
        labels_(std::move(labels)),
        classes_(classes),
        options_(options) {}

  Result<SoftmaxRegression> fit() {
    double l2 = options_.l2.value_or(0);
    if (!options_.l2) { TACIT_TRY(l2, choose_l2()); }
    tell();
    Rows all(labels_.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
    TACIT_TRY(Variables variables, zeros());
    TACIT_TRY(const Minimum minimum, minimise(loss(std::move(all), l2), variables.get(), kTolerance));
    done_ = total_;
    tell();
    SoftmaxRegression result;
    for (std::size_t c = 0; c < classes_; ++c)
      for (std::size_t j = 0; j < columns_; ++j)
        result.classifier.weights.push_back(variables[j * classes_ + c]);
    result.classifier.bias.assign(&variables[columns_ * classes_], &variables[(columns_ + 1) * classes_]);
    result.l2 = l2;
    result.loss = minimum.loss;
    result.iterations = minimum.iterations;
    result.converged = minimum.converged;
    return result;
  }

 private:
  SoftmaxLoss loss(Rows rows, double l2) const {
    return {table_, columns_, labels_, classes_, std::move(rows), l2};
  }

  Result<Variables> zeros() const {
    // What L-BFGS allocates is zeroed.
    Variables variables(lbfgs_malloc(static_cast<int>((columns_ + 1) * classes_)));
    if (!variables)
      return Error{ErrorCode::kOutOfMemory, "there is not enough memory to train on so many features"};
    return variables;
  }

  void tell() const {
    if (options_.progress) options_.progress(done_, total_);
  }

  Result<double> choose_l2() {
    const std::vector<std::size_t> parts = stratified_parts(labels_, classes_, kParts, options_.seed);
    const std::size_t in_part = std::max<std::size_t>(labels_.size() / kParts, 1);
    const std::size_t used = std::clamp<std::size_t>((kEnoughValidated + in_part - 1) / in_part, 1, kParts);
    total_ = used * std::size(kL2Grid) + 1;
    std::vector<double> losses(std::size(kL2Grid));
    for (std::size_t part = 0; part < used; ++part) {
      Rows training, validation;
      for (std::size_t i = 0; i < parts.size(); ++i) (parts[i] == part ? validation : training).push_back(i);
      if (training.empty() || validation.empty()) continue;
      // From the strongest to the weakest, each beginning where the one before it ended.
      TACIT_TRY(Variables variables, zeros());
      for (std::size_t k = 0; k < losses.size(); ++k) {
        tell();
        TACIT_CHECK(minimise(loss(training, kL2Grid[k]), variables.get(), kValidationTolerance));
        losses[k] += log_loss(validation, variables.get());
        ++done_;
      }
    }
    return kL2Grid[std::ranges::min_element(losses) - losses.begin()];
  }

  double log_loss(const Rows& rows, const double* variables) const {
    std::vector<double> scores(classes_);
    double sum = 0;
    for (std::size_t row : rows) {
      class_scores(std::span(table_).subspan(row * columns_, columns_),
                   {variables, (columns_ + 1) * classes_}, scores);
      sum += log_sum_exp(scores) - scores[labels_[row]];
    }
    return sum;
  }

  std::vector<float> table_;
  std::size_t columns_;
  std::vector<std::uint32_t> labels_;
  std::size_t classes_;
  const SoftmaxRegressionOptions& options_;
  std::size_t done_ = 0, total_ = 1;
};

}  // namespace

Result<SoftmaxRegression> fit_softmax_regression(const FeatureTable& table,
                                                 std::span<const std::uint32_t> labels, std::size_t classes,
                                                 std::span<const std::size_t> rows,
                                                 const SoftmaxRegressionOptions& options) {
  TACIT_CHECK(check(table, labels, classes, rows, options));
  TACIT_TRY(Scale scale, scale_of(table, rows));
  std::vector<std::uint32_t> of_rows;
  for (std::size_t row : rows) of_rows.push_back(labels[row]);
  Fitter fitter(standardise(table, rows, scale), table.columns, std::move(of_rows), classes, options);
  TACIT_TRY(SoftmaxRegression result, fitter.fit());
  result.classifier.mean = std::move(scale.mean);
  result.classifier.deviation = std::move(scale.deviation);
  return result;
}

}  // namespace tacit::client
