// SPDX-License-Identifier: Apache-2.0
// How noisy what leaves the server will be: what re-randomising results has to hide.
#pragma once

#include <span>

#include "graph/execute.h"
#include "plan/package.h"

namespace tacit::compiler {

// Fills in plan::Value::noise of every stage's outputs: the root mean square of what simulated noise makes of their slots on these
// images. With client steps it is what has gathered from the input on, which is more than the stage's own. Errors of
// runtime::simulate.
Status measure_result_noise(plan::Package& package, std::span<const graph::Tensor> images);

}  // namespace tacit::compiler
