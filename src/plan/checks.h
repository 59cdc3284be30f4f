// SPDX-License-Identifier: Apache-2.0
// Checks that the plan and its client half share.
#pragma once

#include "plan/plan.h"

namespace tacit::plan::detail {

inline constexpr double kMaxScale = 0x1p200;
// Of a value, and of every other text in a package.
inline constexpr std::size_t kMaxNameBytes = 256;

// Each automorphism once, ascending, an element of the ring's Galois group (or relinearisation), in a shape that the
// parameters admit.
Status check_key_requests(const ckks::Parameters& parameters, const std::vector<ckks::KeyRequest>& keys);
// A power of two from the layout's extent to the slot count; or, where the layout extends over more slots, the least one from
// its extent on.
Status check_period(const Layout& layout, std::size_t period, std::size_t slots, std::string_view what);
// The level exists, and numbers up to `bound` at `scale` stay below half the modulus there.
Status check_level_and_scale(const ckks::Parameters& parameters, int level, double scale, double bound,
                             std::string_view what);

}  // namespace tacit::plan::detail
