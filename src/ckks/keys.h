// SPDX-License-Identifier: Apache-2.0
// Public key material: switching keys (relinearisation, Galois) and the set of them that a plan runs with.
#pragma once

#include <map>
#include <vector>

#include "ckks/ciphertext.h"
#include "ckks/parameters.h"
#include "ring/constants.h"

namespace tacit::ckks {

// The automorphism X -> X^g that rotates the slots left by `step` (negative: right): g = 3^step mod 2N. Generator 3 is
// SEAL's choice; step is taken modulo the slot count.
std::uint32_t rotation_element(const Parameters& parameters, std::int64_t step);
// X -> X^(2N-1): complex conjugation of every slot.
std::uint32_t conjugation_element(const Parameters& parameters);
// Stands for "s^2 to s" where a Galois element is expected: 1 is the identity and never has a key.
inline constexpr std::uint32_t kRelinearisation = 1;

// Which key: for which automorphism, in which shape. What a plan asks for and a client makes.
struct KeyRequest {
  std::uint32_t element = kRelinearisation;
  KeyShape shape;
  friend auto operator<=>(const KeyRequest&, const KeyRequest&) = default;
};

// Encryptions (b_j, a_j) of P g_j s' under s for every digit j, g_j = 1 modulo the digit's primes and 0 modulo the
// others (Han and Ki 2020, section 3). Limbs of each: q_0 .. q_level, p_0 .. p_{special_count-1}; NTT, Montgomery form.
struct SwitchingKey {
  KeyRequest request;
  KeyTag tag{};
  ring::Seed seed{};  // a_j is expanded from it
  // A row for each digit; a may be empty, and is then expanded, a limb at a time, whenever the key is used: half the
  // memory for about twice the time of reading it.
  ring::Constants b, a;
};

// Of a key of this shape the first digit whose (b_j, a_j) encrypt zero modulo q_0 .. q_level, because the digit's primes are all
// above; shape.digits() where there is none. Such a pair serves as a public key at that level.
std::size_t zero_digit(const KeyShape& shape, int level);

// How a key that is read is kept.
enum class KeyForm { kWhole, kSeeded };

// The bytes of such a key's polynomials in memory.
std::size_t key_memory_bytes(const Parameters& parameters, const KeyShape& shape, KeyForm form);

// At most one key for each automorphism.
class EvaluationKeys {
 public:
  // Replaces a key for the same automorphism.
  void insert(SwitchingKey key);
  // The key for `element` if it serves `level`; kKeyMissing otherwise.
  Result<const SwitchingKey*> find(std::uint32_t element, int level) const;
  // One that has a zero_digit at `level`, or null.
  const SwitchingKey* find_zero(int level) const;
  std::size_t count() const { return keys_.size(); }
  // The sum of key_memory_bytes.
  std::size_t memory_bytes() const;

 private:
  std::map<std::uint32_t, SwitchingKey> keys_;
};

}  // namespace tacit::ckks
