// SPDX-License-Identifier: Apache-2.0
#include "ckks/public_key.h"

#include "base/wiped.h"
#include "ckks/small_poly.h"

namespace tacit::ckks {

Ciphertext encrypt(const Parameters& parameters, const PublicKey& key, const Plaintext& plaintext,
                   const ring::Seed& randomness) {
  const std::size_t n = parameters.degree(), limbs = plaintext.poly.limbs();
  Wiped<std::int8_t> u(n), e0(n), e1(n);
  ring::Stream ternary(randomness, "encryption-ternary"), errors(randomness, "encryption-error");
  ring::sample_ternary(ternary, u.values);
  ring::sample_error(errors, e0.values);
  ring::sample_error(errors, e1.values);
  Ciphertext out;
  out.scale = plaintext.scale;
  out.parts.emplace_back(n, limbs);
  out.parts.emplace_back(n, limbs);
  Wiped<u64> u_values(n), error(n);
  for (std::size_t i = 0; i < limbs; ++i) {
    const ring::NttTable& table = parameters.ring().ntt(i);
    const ring::Kernels& k = ring::kernels();
    small_to_ntt(table, u.values, u_values.values.data());
    auto mask = [&](const ring::Poly& half, const Wiped<std::int8_t>& e, u64* result) {
      small_to_ntt(table, e.values, error.values.data());
      k.multiply(table.modulus, result, half.data(i), u_values.values.data(), n);
      k.add(table.modulus, result, result, error.values.data(), n);
    };
    mask(key.b, e0, out.parts[0].data(i));
    mask(key.a, e1, out.parts[1].data(i));
    k.add(table.modulus, out.parts[0].data(i), out.parts[0].data(i), plaintext.poly.data(i), n);
  }
  return out;
}

}  // namespace tacit::ckks
