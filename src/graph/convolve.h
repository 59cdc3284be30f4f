// SPDX-License-Identifier: Apache-2.0
// The convolution of the reference execution: direct, with sums in double precision.
#pragma once

#include <vector>

#include "graph/graph.h"

namespace tacit::graph {

// The weights rearranged for convolve(): blocks of output channels, within a block [input channel, row,
// column, output channel of the block], so that the innermost loop runs over contiguous numbers.
std::vector<double> prepare_weights(const Conv& conv);

// `in` has the shape `input`, `out` has room for `output` = infer_shape(conv, {input}).
void convolve(const Conv& conv, const std::vector<double>& prepared, const Shape& input, const float* in,
              const Shape& output, float* out);

}  // namespace tacit::graph
