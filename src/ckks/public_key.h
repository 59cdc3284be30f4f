// SPDX-License-Identifier: Apache-2.0
// Encryption under a public key, for those who hold no secret.
#pragma once

#include "ckks/ciphertext.h"
#include "ckks/parameters.h"

namespace tacit::ckks {

// (b, a) = (-a s + e, a) over q_0 .. q_L; NTT form; a expanded from the seed.
struct PublicKey {
  KeyTag tag{};
  ring::Seed seed{};
  ring::Poly b, a;
};

// (u b + e_0 + m, u a + e_1) with u ternary and e_i centred binomial, at the plaintext's level. `randomness` must be
// fresh for every call.
Ciphertext encrypt(const Parameters& parameters, const PublicKey& key, const Plaintext& plaintext,
                   const ring::Seed& randomness);

}  // namespace tacit::ckks
