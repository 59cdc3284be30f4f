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

void expand_key_limb(const ring::Modulus& q, const ring::Seed& seed, std::size_t digit, std::span<u64> out) {
  ring::Stream stream(seed, "switching-key", {digit, q.value()});
  ring::sample_uniform(stream, q, out);
}

ring::Constants expand_key_half(const Parameters& parameters, const ring::Seed& seed, const KeyShape& shape) {
  ring::Constants half(parameters.degree(), parameters.extended_moduli(shape.level, shape.special_count),
                       shape.digits());
  parallel_for(half.limbs(), [&](std::size_t i) {
    AlignedVector<u64> words(parameters.degree());
    for (std::size_t digit = 0; digit < half.rows(); ++digit) {
      expand_key_limb(half.modulus(i), seed, digit, words);
      half.store(i, digit, words.data());
    }
  });
  return half;
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
