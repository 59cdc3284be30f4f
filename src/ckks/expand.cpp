// SPDX-License-Identifier: Apache-2.0
#include "ckks/expand.h"

#include "base/parallel.h"

namespace tacit::ckks {

ring::Poly expand_ciphertext_half(const Parameters& parameters, const ring::Seed& seed, int level) {
  ring::Poly poly(parameters.degree(), static_cast<std::size_t>(level) + 1);
  parallel_for(poly.limbs(), [&](std::size_t i) {
    const ring::Modulus& q = parameters.ring().modulus(i);
    ring::Stream stream(seed, "ciphertext", {q.value()});
    ring::sample_uniform(stream, q, poly.limb(i));
  });
  return poly;
}

ring::Poly expand_key_half(const Parameters& parameters, const ring::Seed& seed, const KeyShape& shape,
                           std::size_t digit) {
  const auto limbs = static_cast<std::size_t>(shape.level) + 1;
  ring::Poly poly(parameters.degree(), limbs + static_cast<std::size_t>(shape.special_count));
  parallel_for(poly.limbs(), [&](std::size_t i) {
    const std::size_t prime = i < limbs ? i : parameters.special_index(static_cast<int>(i - limbs));
    const ring::Modulus& q = parameters.ring().modulus(prime);
    ring::Stream stream(seed, "switching-key", {digit, q.value()});
    ring::sample_uniform(stream, q, poly.limb(i));
  });
  return poly;
}

ring::Poly expand_public_key_half(const Parameters& parameters, const ring::Seed& seed) {
  ring::Poly poly(parameters.degree(), static_cast<std::size_t>(parameters.max_level()) + 1);
  parallel_for(poly.limbs(), [&](std::size_t i) {
    const ring::Modulus& q = parameters.ring().modulus(i);
    ring::Stream stream(seed, "public-key", {q.value()});
    ring::sample_uniform(stream, q, poly.limb(i));
  });
  return poly;
}

}  // namespace tacit::ckks
