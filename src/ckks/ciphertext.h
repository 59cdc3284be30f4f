// SPDX-License-Identifier: Apache-2.0
// The objects that CKKS computes with. All polynomials are in NTT form with canonical residues.
#pragma once

#include <array>
#include <vector>

#include "ckks/parameters.h"
#include "ring/poly.h"
#include "ring/random.h"

namespace tacit::ckks {

// Names the secret key that an object belongs to, without telling anything of it; lets a mix-up be refused by name.
using KeyTag = std::array<std::uint8_t, 16>;

// A message polynomial over q_0 .. q_level; the slots hold message / scale.
struct Plaintext {
  ring::Poly poly;
  double scale = 1;

  int level() const { return static_cast<int>(poly.limbs()) - 1; }
};

// (c_0, c_1) or, after a product, (c_0, c_1, c_2) over q_0 .. q_level: sum c_i s^i = message + error.
struct Ciphertext {
  AlignedVector<ring::Poly> parts;
  double scale = 1;

  int level() const { return static_cast<int>(parts.front().limbs()) - 1; }
  std::size_t size() const { return parts.size(); }
};

// A fresh symmetric ciphertext as it travels: c_1 is expanded from the seed.
struct SeededCiphertext {
  ring::Poly c0;
  ring::Seed seed{};
  double scale = 1;

  int level() const { return static_cast<int>(c0.limbs()) - 1; }
};

// The bytes of a ciphertext's polynomials in memory, `parts` of them at `level`, one word for each residue. A plaintext has
// those of one part, a public key those of two at the highest level.
inline std::size_t ciphertext_memory_bytes(const Parameters& parameters, int level, std::size_t parts = 2) {
  return parts * (static_cast<std::size_t>(level) + 1) * parameters.degree() * sizeof(u64);
}

}  // namespace tacit::ckks
