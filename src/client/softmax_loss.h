// SPDX-License-Identifier: Apache-2.0
// The loss that softmax regression minimises, and its gradient.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tacit::client {

// Over n rows x_i of d features with labels y_i below k, for weights W [d, k] and biases b [k]:
//
//   loss = -1/n sum_i log p_i[y_i] + l2/2 sum W^2,   p_i = softmax(x_i W + b)
//   dloss/dW = 1/n sum_i x_i^T (p_i - e_{y_i}) + l2 W,   dloss/db = 1/n sum_i (p_i - e_{y_i})
//
// (multinomial logistic regression: Bishop, Pattern Recognition and Machine Learning, section 4.3.4). Biases are not
// regularised. The same numbers come out whatever the number of threads.
class SoftmaxLoss {
 public:
  // `table` is row-major with `columns` features a row and outlives this; `rows` says which of its rows count, at least
  // one; `labels` has one entry for each of the table's rows, below `classes`.
  SoftmaxLoss(std::span<const float> table, std::size_t columns, std::span<const std::uint32_t> labels,
              std::size_t classes, std::vector<std::size_t> rows, double l2);

  // (d + 1) k: W row by row, then b.
  std::size_t parameters() const { return (columns_ + 1) * classes_; }
  // Writes the gradient and returns the loss. Allocates nothing; one call at a time.
  double operator()(std::span<const double> parameters, std::span<double> gradient);

 private:
  struct Block {
    std::size_t first = 0, last = 0;  // into rows_
    std::vector<double> gradient;
    double loss = 0;
  };
  void evaluate(Block& block, std::span<const double> parameters) const;

  std::span<const float> table_;
  std::size_t columns_;
  std::span<const std::uint32_t> labels_;
  std::size_t classes_;
  std::vector<std::size_t> rows_;
  double l2_;
  std::vector<Block> blocks_;
};

// scores[c] = b[c] + sum_j row[j] W[j][c]; sizes d, (d + 1) k and k.
void class_scores(std::span<const float> row, std::span<const double> parameters, std::span<double> scores);

// log sum_c exp(scores[c]), without overflow.
double log_sum_exp(std::span<const double> scores);

}  // namespace tacit::client
