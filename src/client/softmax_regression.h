// SPDX-License-Identifier: Apache-2.0
// Training a linear classifier on the data owner's machine: multinomial logistic regression with L2 regularisation on
// standardised features, minimised by L-BFGS (Nocedal and Wright, Numerical Optimization, section 7.2).
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "client/classifier_head.h"

namespace tacit::client {

// `columns` features a row, row-major.
struct FeatureTable {
  std::size_t columns = 0;
  std::span<const float> data;

  std::size_t rows() const { return columns == 0 ? 0 : data.size() / columns; }
  std::span<const float> row(std::size_t i) const { return data.subspan(i * columns, columns); }
};

struct SoftmaxRegressionOptions {
  // Strength of the regularisation, the l2 of SoftmaxLoss, 0 to kMaxL2; chosen where it is not given.
  std::optional<double> l2;
  std::uint64_t seed = 1;  // of the parts on which it is chosen
  // `done` of `total` minimisations; may be empty.
  std::function<void(std::size_t done, std::size_t total)> progress;
};

struct SoftmaxRegression {
  LinearClassifier classifier;
  double l2 = 0;
  double loss = 0;         // of the rows that it was trained on, regularisation included
  int iterations = 0;      // of L-BFGS
  bool converged = false;  // the gradient vanished before the iterations ran out
};

// Trains on `rows` of the table. `labels` has one entry for each of the table's rows, below `classes`.
//
// A feature's mean and variance are those of the rows; its deviation is sqrt(variance + (0.1 s)^2), s^2 the mean
// variance of all features, so that the noise in a feature that hardly varies is not blown up to the size of the
// others. A feature that does not vary at all gets weights of 0.
//
// Where l2 is not given it is that of kL2Grid with the least mean log-loss on rows left out: the rows are dealt into
// five parts with the classes in proportion, and one part after the other is left out of the training until at least
// kEnoughValidated rows were, or all five.
//
// features.invalid: no features, more than kMaxFeatures, one that is not finite, or none that varies.
// labels.invalid: fewer than two classes among the rows, another number of labels than rows, or more than kMaxClasses.
// data.too-large: more than kMaxHeadWeights weights. argument.invalid: l2 out of its range.
Result<SoftmaxRegression> fit_softmax_regression(const FeatureTable& table,
                                                 std::span<const std::uint32_t> labels, std::size_t classes,
                                                 std::span<const std::size_t> rows,
                                                 const SoftmaxRegressionOptions& options = {});

inline constexpr double kMaxL2 = 1e6;
inline constexpr double kL2Grid[] = {10, 1, 1e-1, 1e-2, 1e-3, 1e-4};
inline constexpr std::size_t kEnoughValidated = 2000;

}  // namespace tacit::client
