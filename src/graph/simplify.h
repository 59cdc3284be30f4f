// SPDX-License-Identifier: Apache-2.0
// Rewrites a graph into a smaller one that computes the same.
#pragma once

#include "graph/graph.h"

namespace tacit::graph {

// Applies until nothing changes:
//   x * sigmoid(x) becomes Silu, x * x becomes Square;
//   a Pad goes into the Conv or AveragePool after it;
//   affine maps per channel or element go into the Conv, Dense or affine map before them, or into one after
//   them where that is exact (a shift cannot pass into a Conv that pads with zeros); a Dense goes into a
//   Dense after it when that makes fewer products; maps that change nothing and reshapes without a purpose
//   are dropped, as is what the output does not depend on.
// Only single-use values are folded. Results differ by rounding alone: folded weights are computed in double
// precision, and a fold whose result is not finite in float32 is not made. The input must satisfy validate().
Graph simplify(Graph graph);

}  // namespace tacit::graph
