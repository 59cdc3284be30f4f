// SPDX-License-Identifier: Apache-2.0
// The uniform halves that seeds stand for (protocol/bytes.md). Whoever makes an object and whoever reads it call these.
#pragma once

#include "ckks/parameters.h"
#include "ring/constants.h"
#include "ring/poly.h"
#include "ring/random.h"

namespace tacit::ckks {

// c_1 of a fresh ciphertext: limb i from the stream "ciphertext" with index q_i. NTT form.
ring::Poly expand_ciphertext_half(const Parameters& parameters, const ring::Seed& seed, int level);
// One limb of a_j of a switching key, from the stream "switching-key" with the digit and the prime. NTT, Montgomery form.
void expand_key_limb(const ring::Modulus& q, const ring::Seed& seed, std::size_t digit, std::span<u64> out);
// All a_j, a row each.
ring::Constants expand_key_half(const Parameters& parameters, const ring::Seed& seed, const KeyShape& shape);
// a of a public key: each limb from the stream "public-key" with index q_i. NTT form.
ring::Poly expand_public_key_half(const Parameters& parameters, const ring::Seed& seed);

}  // namespace tacit::ckks
