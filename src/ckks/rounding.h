// SPDX-License-Identifier: Apache-2.0
// Real numbers as the integers that ciphertexts are multiplied with or that are added to them.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/result.h"

namespace tacit::ckks {

// round(value), halves away from zero. kValueOutOfRange where it is not below 2^62.
inline Result<std::int64_t> round_to_integer(double value) {
  const double rounded = std::round(value);
  if (!(std::abs(rounded) < 0x1p62)) {
    return Error{ErrorCode::kValueOutOfRange, "a number times its scale is not finite or exceeds 2^62"};
  }
  return static_cast<std::int64_t>(rounded);
}

}  // namespace tacit::ckks
