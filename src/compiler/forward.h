// SPDX-License-Identifier: Apache-2.0
// Calibration images on their way through a graph, value by value, while the activations that they meet are replaced: each
// approximation is fitted to what reaches it through those before it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "compiler/approximation.h"
#include "compiler/partition.h"
#include "compiler/reference.h"

namespace tacit::compiler {

// The smallest and largest number seen in a value.
struct Range {
  double low = 0;
  double high = 0;
  double largest() const;  // of |x|
};

// How an activation was replaced.
struct ActivationFit {
  std::string name, kind;
  std::size_t degree = 0;  // of the polynomial; of a composition, that of all its stages together
  double range = 0;        // fitted on [-range, range]
  double rms = 0;          // error over the calibrated distribution
  double largest = 0;      // error anywhere on the interval
  // For a picture of it: shares of the inputs in equal bins of the interval, and the function's and the approximation's values
  // at equal distances from -range to range.
  std::vector<double> histogram = {}, function = {}, polynomial = {};
  std::vector<std::size_t> stages = {};  // degrees of a composite sign; empty for a polynomial
};
inline constexpr std::size_t kPictureBins = 64, kPicturePoints = 129;

// What an activation is to be replaced by: a polynomial of a degree, fitted; or its form with a sign, put together.
struct SignChoice {
  SignForm form;
  const SignComposition* sign = nullptr;
};
using Choice = std::variant<std::size_t, SignChoice>;
int levels_of(const Choice& choice);
std::size_t products_of(const Choice& choice);

// By node: what to do with activations; nothing where they are computed as they are.
using Choices = std::vector<std::optional<Choice>>;

// One value's elements for every image.
using Batch = std::vector<Elements>;

struct Pass {
  std::vector<Range> ranges;  // by graph value
  Approximations approximations;
  std::vector<ActivationFit> fits;
  Batch outputs;
};

// `margin`: signs hold on intervals this much wider than the range seen, polynomials fit_margin of it. compile.precision, naming the node, where
// values leave the range of numbers.
Result<Pass> forward(const graph::Graph& graph, const Batch& images, double margin, const Choices& choices);

// An approximation for one activation's inputs, of which the histogram says how often each was seen.
Approximation approximate(const Activation& activation, const Histogram& histogram, const Choice& choice);
// On the interval that this choice is to hold on.
Histogram histogram_of(const Batch& inputs, double margin, const Choice& choice);

// The network's outputs beside the original's.
struct Agreement {
  double relative_error = 0;  // sqrt(sum (y' - y)^2 / sum y^2)
  double agreement = 1;       // share of images with the same largest output
};
Agreement compare(const Batch& exact, const Batch& approximate);

}  // namespace tacit::compiler
