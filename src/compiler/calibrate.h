// SPDX-License-Identifier: Apache-2.0
// What calibration images tell: the range of every value, and from the distribution of the activations'
// inputs what stands for them.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "compiler/degrees.h"
#include "graph/execute.h"

namespace tacit::compiler {

struct Calibration {
  std::vector<Range> ranges;  // by graph value, with the approximations in place
  Approximations approximations;
  std::vector<ActivationFit> fits;
  // The network with its polynomials against the network itself, over the calibration images.
  double relative_error = 0;  // sqrt(sum (y' - y)^2 / sum y^2)
  double agreement = 1;       // share of images with the same largest output
};

// Runs the images through the graph, value by value, chooses how activations are replaced (degrees.h), and fits each to what
// reaches it through those before it. compile.range-missing without images, compile.calibration where they have another shape or
// are not finite, compile.precision where no choice leaves the values finite, argument.invalid for options that cannot be.
Result<Calibration> calibrate(const graph::Graph& graph, std::span<const graph::Tensor> images,
                              const DegreeOptions& options);

}  // namespace tacit::compiler
