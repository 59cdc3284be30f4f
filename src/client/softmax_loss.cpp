// SPDX-License-Identifier: Apache-2.0
#include "client/softmax_loss.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"

namespace tacit::client {
namespace {

// Rows are summed in so many blocks at most, whose sums are then added in order: the result depends on this number and
// not on how many threads there are.
constexpr std::size_t kMaxBlocks = 8;
constexpr std::size_t kMinBlockRows = 32;

}  // namespace

void class_scores(std::span<const float> row, std::span<const double> parameters, std::span<double> scores) {
  const std::size_t classes = scores.size();
  std::ranges::copy(parameters.last(classes), scores.begin());
  // Along the classes, so that the compiler needs no reordered sum to use vectors.
  for (std::size_t j = 0; j < row.size(); ++j) {
    const double x = row[j];
    const double* weights = parameters.data() + j * classes;
    for (std::size_t c = 0; c < classes; ++c) scores[c] += x * weights[c];
  }
}

double log_sum_exp(std::span<const double> scores) {
  const double top = *std::ranges::max_element(scores);
  double sum = 0;
  for (double score : scores) sum += std::exp(score - top);
  return top + std::log(sum);
}

SoftmaxLoss::SoftmaxLoss(std::span<const float> table, std::size_t columns,
                         std::span<const std::uint32_t> labels, std::size_t classes,
                         std::vector<std::size_t> rows, double l2)
    : table_(table), columns_(columns), labels_(labels), classes_(classes), rows_(std::move(rows)), l2_(l2) {
  const std::size_t count = std::clamp<std::size_t>(rows_.size() / kMinBlockRows, 1, kMaxBlocks);
  for (std::size_t b = 0; b < count; ++b)
    blocks_.push_back({b * rows_.size() / count, (b + 1) * rows_.size() / count,
                       std::vector<double>(parameters() + classes_), 0});
}

void SoftmaxLoss::evaluate(Block& block, std::span<const double> parameters) const {
  // The scores of one row stand behind the block's gradient.
  const std::span<double> all(block.gradient);
  const std::span<double> scores = all.last(classes_), biases = all.subspan(columns_ * classes_, classes_);
  std::ranges::fill(all, 0.0);
  block.loss = 0;
  for (std::size_t i = block.first; i < block.last; ++i) {
    const std::span<const float> row = table_.subspan(rows_[i] * columns_, columns_);
    const std::uint32_t label = labels_[rows_[i]];
    class_scores(row, parameters, scores);
    const double normaliser = log_sum_exp(scores);
    block.loss += normaliser - scores[label];
    for (double& score : scores) score = std::exp(score - normaliser);
    scores[label] -= 1;
    for (std::size_t c = 0; c < classes_; ++c) biases[c] += scores[c];
    for (std::size_t j = 0; j < columns_; ++j) {
      const double x = row[j];
      double* const sum = all.data() + j * classes_;
      for (std::size_t c = 0; c < classes_; ++c) sum[c] += x * scores[c];
    }
  }
}

double SoftmaxLoss::operator()(std::span<const double> parameters, std::span<double> gradient) {
  parallel_for(blocks_.size(), [&](std::size_t b) { evaluate(blocks_[b], parameters); });
  const double share = 1.0 / static_cast<double>(rows_.size());
  const std::size_t weights = columns_ * classes_;
  double loss = 0, squares = 0;
  for (const Block& block : blocks_) loss += block.loss;
  for (std::size_t j = 0; j < this->parameters(); ++j) {
    double sum = 0;
    for (const Block& block : blocks_) sum += block.gradient[j];
    const double weight = j < weights ? parameters[j] : 0;
    gradient[j] = share * sum + l2_ * weight;
    squares += weight * weight;
  }
  return share * loss + l2_ / 2 * squares;
}

}  // namespace tacit::client
