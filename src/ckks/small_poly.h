// SPDX-License-Identifier: Apache-2.0
// Polynomials with small coefficients (errors, ternary secrets) into a limb, without a branch on their values.
#pragma once

#include <span>

#include "ring/kernels/kernels.h"

namespace tacit::ckks {

// out = NTT of the small coefficients modulo the table's prime, canonical. out has as many words as there are
// coefficients.
inline void small_to_ntt(const ring::NttTable& table, std::span<const std::int8_t> coefficients,
                         ring::u64* out) {
  const ring::u64 q = table.modulus.value();
  for (std::size_t i = 0; i < coefficients.size(); ++i) {
    const auto x = static_cast<std::int64_t>(coefficients[i]);
    out[i] = static_cast<ring::u64>(x) + (q & static_cast<ring::u64>(x >> 63));
  }
  ring::kernels().forward_ntt(table, out, out);
}

}  // namespace tacit::ckks
