// SPDX-License-Identifier: Apache-2.0
// What each activation is replaced by: polynomials of the degrees that take the fewest levels for the accuracy wanted, and
// composite signs where they are asked for or polynomials do not suffice.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "compiler/forward.h"

namespace tacit::compiler {

// How Relu, LeakyRelu and |x| (which maxima are made of) are computed: by a polynomial, by x (1 + sign(x)) / 2 with a composite
// sign, or by polynomials unless these miss the agreement that is wanted and signs do not.
enum class ReluMode { kAutomatic, kPolynomial, kSign };

// Told of each step that may take long, in words, when it begins.
using Progress = std::function<void(const std::string& step)>;

struct DegreeOptions {
  ClientNodes client = {};
  double margin = 1.5;
  double agreement = 0.99;
  std::optional<int> degree;  // of every polynomial, then used without looking for better; else chosen
  ReluMode relu = ReluMode::kAutomatic;
  Progress progress = [](const std::string&) {};
};

// Chooses so that is_enough; where nothing is, as much as there is. Each activation's effect on the outputs is measured for each of its choices, alone. From the dearest choices on, the
// one is lowered that adds least to the sum of the squared effects for the levels that it saves; the cheapest network on
// this way that is good enough, when run with all its approximations, is taken, and lowered further where that changes nothing.
// `exact`: the outputs of the network as it is. compile.precision where every choice leads out of the range of numbers.
Result<Choices> choose_degrees(const graph::Graph& graph, const Batch& images, const Batch& exact,
                               const DegreeOptions& options);

// Whether outputs are close enough for labels to agree as often as asked on images that were not seen: a relative error of
// kEnoughError, or at most half of the disagreement allowed, both as seen on these images and as expected of others with the
// same margins and the same errors. Half, since choices made on these images suit these better than others.
bool is_enough(const Batch& exact, const Batch& approximate, double agreement);
inline constexpr double kEnoughError = 0.01;
inline constexpr int kMaxActivationDegree = 63;

}  // namespace tacit::compiler
