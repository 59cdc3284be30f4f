// SPDX-License-Identifier: Apache-2.0
#include "runtime/flooding.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ckks/rerandomise.h"
#include "runtime/noise.h"

namespace tacit::runtime {

Flooding flooding_of(const ckks::Parameters& parameters, const plan::Value& value, bool inner,
                     const FloodingOptions& options) {
  const auto n = static_cast<double>(parameters.degree());
  // What one coefficient's deviation makes in a slot of the value.
  const double slot = std::sqrt(n / 2) / value.scale;
  // Of the computation at least the rounding of its last division.
  const double own = std::max(value.noise, NoiseModel(parameters).division() / value.scale) / slot;
  Flooding flooding;
  flooding.precision_before = std::log2(value.bound / (own * slot));
  flooding.precision_after = flooding.precision_before;
  flooding.leak_bits = n / 2 * std::log2(2 * std::numbers::pi * std::numbers::e * own * own);
  if (options.bits <= 0) return flooding;

  const double hidden = std::sqrt(own * own + ckks::rerandomisation_variance(parameters));
  const int floor_bits = options.precision_bits + (inner ? kInnerPrecisionBits : 0);
  const double most = std::ldexp(value.bound, -floor_bits) / slot;
  const double allowed = std::sqrt(std::max(most * most - hidden * hidden, 0.0));
  flooding.deviation = std::max(hidden, std::min(std::ldexp(hidden, options.bits), allowed));
  flooding.strength_bits = std::log2(flooding.deviation / hidden);
  flooding.precision_after = std::log2(value.bound / (std::hypot(hidden, flooding.deviation) * slot));
  flooding.leak_bits = n / 2 * std::log2(1 + std::exp2(-2 * flooding.strength_bits));
  return flooding;
}

std::optional<double> precision_left(std::span<const Flooding> results) {
  std::optional<double> least;
  for (const Flooding& flooding : results)
    if (flooding.deviation > 0)
      least = std::min(least.value_or(flooding.precision_after), flooding.precision_after);
  return least;
}

}  // namespace tacit::runtime
