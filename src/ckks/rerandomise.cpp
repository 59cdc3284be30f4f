// SPDX-License-Identifier: Apache-2.0
#include "ckks/rerandomise.h"

#include "base/parallel.h"
#include "ckks/expand.h"
#include "ckks/small_poly.h"

namespace tacit::ckks {

double rerandomisation_variance(const Parameters& parameters) {
  return 2 * (2 * static_cast<double>(parameters.degree()) / 3) * (21.0 / 2);
}

Ciphertext rerandomise(const Parameters& parameters, const Ciphertext& c, const SwitchingKey& key,
                       double deviation, const ring::Seed& randomness) {
  const std::size_t n = parameters.degree();
  AlignedVector<std::int8_t> u(n), e1(n);
  AlignedVector<std::int64_t> e0(n);
  ring::Stream ternary(randomness, "result-ternary"), errors(randomness, "result-error"),
      flood(randomness, "result-flood");
  ring::sample_ternary(ternary, u);
  ring::sample_error(errors, e1);
  ring::sample_gaussian(flood, deviation, e0);

  const std::size_t digit = zero_digit(key.request.shape, c.level());
  Ciphertext out;
  out.scale = c.scale;
  for (int part = 0; part < 2; ++part) out.parts.emplace_back(n, c.parts[0].limbs());
  parallel_for(c.parts[0].limbs(), [&](std::size_t i) {
    const ring::NttTable& table = parameters.ring().ntt(i);
    const ring::Modulus& q = table.modulus;
    const ring::Kernels& k = ring::kernels();
    AlignedVector<u64> u_values(n), half(n), error(n);
    small_to_ntt(table, u, u_values.data());
    // The key's halves are in Montgomery form.
    k.multiply_constant(q, q.shoup(q.inverse(q.radix())), u_values.data(), u_values.data(), n);
    // Adds u times what stands in `half`, and what stands in `error`.
    const auto add_to = [&](std::size_t part) {
      k.multiply(q, half.data(), half.data(), u_values.data(), n);
      k.add(q, error.data(), error.data(), half.data(), n);
      k.add(q, out.parts[part].data(i), c.parts[part].data(i), error.data(), n);
    };
    key.b.load(i, digit, half.data());
    for (std::size_t j = 0; j < n; ++j) error[j] = q.reduce_signed(e0[j]);
    k.forward_ntt(table, error.data(), error.data());
    add_to(0);
    if (key.a.rows() > 0)
      key.a.load(i, digit, half.data());
    else
      expand_key_limb(q, key.seed, digit, half);
    small_to_ntt(table, e1, error.data());
    add_to(1);
  });
  return out;
}

}  // namespace tacit::ckks
