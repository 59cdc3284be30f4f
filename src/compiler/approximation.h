// SPDX-License-Identifier: Apache-2.0
// What stands for an activation on ciphertexts.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "compiler/fit.h"
#include "compiler/sign.h"

namespace tacit::compiler {

using Approximation = std::variant<ChebyshevSeries, SignGate>;

inline double evaluate(const Approximation& approximation, double x) {
  return std::visit([x](const auto& f) { return f(x); }, approximation);
}

// For each node of a graph what stands for it; nothing for nodes that are computed as they are.
using Approximations = std::vector<std::optional<Approximation>>;

}  // namespace tacit::compiler
