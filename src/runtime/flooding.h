// SPDX-License-Identifier: Apache-2.0
// How much noise is added to what leaves the server, so that the noise of the computation, which depends on the weights, does not
// tell of them (docs/decisions/0001-model-privacy.md). Unit of noise: the standard deviation of a coefficient.
#pragma once

#include <optional>
#include <span>

#include "ckks/parameters.h"
#include "plan/plan.h"

namespace tacit::runtime {

struct FloodingOptions {
  // The noise is 2^bits times what it hides, where the precision allows it; 0: results leave as they were computed.
  int bits = 0;
  // log2 of the largest calibrated output beside the deviation that its error may have at the end, added noise included.
  int precision_bits = 10;
};
inline constexpr int kMaxFloodingBits = 40;
inline constexpr int kDefaultFloodingBits = 20;
inline constexpr int kMaxPrecisionBits = 40;
// What goes on through the network is kept so much more precise than what comes out of it.
inline constexpr int kInnerPrecisionBits = 1;

// Of one result.
struct Flooding {
  double deviation = 0;         // of the noise to add, in coefficients; 0: none
  double strength_bits = 0;     // log2 of it beside the noise that it hides; never below 0 where there is any
  double precision_before = 0;  // log2 of the largest calibrated number beside the error's deviation, without
  double precision_after = 0;   // and with it
  // A ciphertext tells at most so many bits of the noise that is hidden: N/2 log2(1 + 4^-strength), the capacity of N Gaussian
  // channels (Shannon 1949, section 25); without added noise, about the entropy of that noise.
  double leak_bits = 0;
};

// The precision_after of the least precise of them; nothing where no noise is added to any.
std::optional<double> precision_left(std::span<const Flooding> results);

// Where the precision does not allow for 2^0, the noise that is hidden is added once more all the same: without that nothing would
// be hidden. `inner`: the client goes on with it (kInnerPrecisionBits).
Flooding flooding_of(const ckks::Parameters& parameters, const plan::Value& value, bool inner,
                     const FloodingOptions& options);

}  // namespace tacit::runtime
