// SPDX-License-Identifier: Apache-2.0
// What calibration images tell: the range of every value, and from the distribution of the activations'
// inputs the polynomials that stand for them.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "compiler/partition.h"
#include "compiler/reference.h"
#include "graph/execute.h"

namespace tacit::compiler {

// The smallest and largest number seen in a value.
struct Range {
  double low = 0;
  double high = 0;
  double largest() const;  // of |x|
};

// How a polynomial stands for one activation.
struct ActivationFit {
  std::string name, kind;
  std::size_t degree = 0;
  double range = 0;    // fitted on [-range, range]
  double rms = 0;      // error over the calibrated distribution
  double largest = 0;  // error anywhere on the interval
  // For a picture of it: shares of the inputs in equal bins of the interval, and the function's and the polynomial's values at
  // equal distances from -range to range.
  std::vector<double> histogram = {}, function = {}, polynomial = {};
};
inline constexpr std::size_t kPictureBins = 64, kPicturePoints = 129;

struct Calibration {
  std::vector<Range> ranges;  // by graph value, with the approximations in place
  Approximations approximations;
  std::vector<ActivationFit> fits;
  // The network with its polynomials against the network itself, over the calibration images.
  double relative_error = 0;  // sqrt(sum (y' - y)^2 / sum y^2)
  double agreement = 1;       // share of images with the same largest output
};

struct CalibrationOptions {
  ClientNodes client = {};    // activations that the client computes as they are
  double margin = 1.5;        // activations are fitted on intervals this much wider than the range seen
  std::optional<int> degree;  // of every activation's polynomial; else the least deep that is good enough
};

// Runs the images through the graph, value by value, so that each activation is fitted to what reaches it
// through the polynomials before it. Without a degree, tries 2, 3, 5, 7, 15, 31 and takes the first with an
// agreement of 98% or a relative error of 1%, else the one with the best agreement. compile.range-missing
// without images, compile.calibration where they have another shape or are not finite, compile.precision
// where no degree leaves the values finite.
Result<Calibration> calibrate(const graph::Graph& graph, std::span<const graph::Tensor> images,
                              const CalibrationOptions& options);

inline constexpr int kMaxActivationDegree = 63;

}  // namespace tacit::compiler
