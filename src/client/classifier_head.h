// SPDX-License-Identifier: Apache-2.0
// A linear classifier of decrypted features, trained and used by the data owner, and its file (protocol/head-file.md).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace tacit::client {

// score[c] = bias[c] + sum_j weights[c][j] (x[j] - mean[j]) / deviation[j]; probabilities are the scores' softmax.
struct LinearClassifier {
  std::vector<double> mean, deviation;  // [features]; deviations are above 0
  std::vector<double> weights;          // [classes, features], row-major
  std::vector<double> bias;             // [classes]

  std::size_t features() const { return mean.size(); }
  std::size_t classes() const { return bias.size(); }

  // One probability for each class. head.mismatch for another number of features; features.invalid for one that is not
  // finite, or so large that a score is not.
  Result<std::vector<double>> probabilities(std::span<const float> x) const;

  friend bool operator==(const LinearClassifier&, const LinearClassifier&) = default;
};

struct ClassifierHead {
  std::string model;                // whose outputs the features are; empty where they are no model's
  std::vector<std::string> labels;  // one for each class, all different, 1 to 256 bytes
  LinearClassifier classifier;

  // head.mismatch, saying both, for features of another model or of another number. Where the head or the caller names
  // no model, the number alone is compared.
  Status check_features(std::string_view of_model, std::size_t count) const;

  friend bool operator==(const ClassifierHead&, const ClassifierHead&) = default;
};

// The largest head: so many features, classes, and products of the two.
inline constexpr std::size_t kMaxFeatures = std::size_t{1} << 16;
inline constexpr std::size_t kMaxClasses = 4096;
inline constexpr std::size_t kMaxHeadWeights = std::size_t{1} << 22;
inline constexpr std::size_t kMaxLabelBytes = 256;
inline constexpr std::uint64_t kMaxHeadBytes = std::uint64_t{1} << 26;

// `head` satisfies what read_head checks.
Bytes write_head(const ClassifierHead& head);
// data.malformed, data.version, data.truncated, data.trailing, data.too-large; nothing is allocated for what is not
// there.
Result<ClassifierHead> read_head(ByteView bytes);

}  // namespace tacit::client
