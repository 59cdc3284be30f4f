// SPDX-License-Identifier: Apache-2.0
// Arithmetic on sizes that come from outside: the answer is nothing where the true one does not fit.
#pragma once

#include <cstdint>
#include <optional>

namespace tacit {

inline std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) {
  std::uint64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

inline std::optional<std::uint64_t> checked_multiply(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

}  // namespace tacit
