// SPDX-License-Identifier: Apache-2.0
// Which level each value has.
#pragma once

#include <vector>

#include "base/result.h"
#include "compiler/network.h"

namespace tacit::compiler {

// More levels no secure ring has (chain.h).
int max_depth();

// By value. What the client makes is as high as the longest way to what it reads next needs; every other value stands where
// the layer that makes it leaves it, a sum at the lower level of its operands. What only the client has is plan::kClear.
// compile.too-deep, naming the layer at which the levels run out, counted from the end.
Result<std::vector<int>> assign_levels(const Network& network);

}  // namespace tacit::compiler
