// SPDX-License-Identifier: Apache-2.0
// Permutations of elements before and after other operations.
#pragma once

#include <optional>

#include "graph/graph.h"

namespace tacit::graph {

// Whether every element stays in its place, so that only the shape may change.
bool keeps_order(const Permute& permute);

// `first` followed by `second` as one permutation.
Permute compose(const Permute& first, const Permute& second);

// An operation that gives before the permutation what `operation`, which works element by element, gives
// after it; nothing for other operations.
std::optional<Operation> before_permute(const Operation& operation, const Permute& permute);

// The layer on the elements as they are before the permutation that stood before it.
Dense permute_columns(const Dense& dense, const Permute& permute);
// Has the layer's outputs in the order that the permutation after it would bring them to.
void permute_rows(Dense& dense, const Permute& permute);

}  // namespace tacit::graph
