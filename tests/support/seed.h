// SPDX-License-Identifier: Apache-2.0
// Where tests begin that draw at random; they print it with what they find.
#pragma once

#include <cstdint>

namespace tacit::test {

inline constexpr std::uint64_t kSeed = 20240607;

}  // namespace tacit::test
