// SPDX-License-Identifier: Apache-2.0
// Which level each value has.
#pragma once

#include <vector>

#include "base/result.h"
#include "compiler/network.h"

namespace tacit::compiler {

// More levels no secure ring has (chain.h).
int max_depth();

// By value. The input is as high as the longest way to the output needs; every other value stands where the
// layer that makes it leaves it, a sum at the lower level of its operands. compile.too-deep, naming the layer
// at which the levels run out, counted from the output.
Result<std::vector<int>> assign_levels(const Network& network);

}  // namespace tacit::compiler
