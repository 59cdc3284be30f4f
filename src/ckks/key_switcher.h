// SPDX-License-Identifier: Apache-2.0
// Hybrid key switching (Han and Ki 2020, section 3): a polynomial that meets s' is split into digits, raised to the
// basis Q P, multiplied with the key's digits and brought down by P, after which it meets s.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <vector>

#include "ckks/keys.h"
#include "ring/automorphism.h"
#include "ring/base_converter.h"

namespace tacit::ckks {

// One polynomial's digits over q_0 .. q_level, p_0 .. p_{special_count-1}, in NTT form; what hoisting shares.
struct Digits {
  int level = 0;
  int digit_size = 1;
  int special_count = 1;
  std::vector<ring::Poly> polys;
};

// A pair of polynomials over q_0 .. q_level, p_0 .. p_{special_count-1}, in NTT form: P times a ciphertext, roughly.
struct ExtendedPair {
  int level = 0;
  int special_count = 1;
  ring::Poly c0, c1;
};

// Immutable but for its cache of constants; safe to share between threads.
class KeySwitcher {
 public:
  explicit KeySwitcher(const Parameters& parameters) : parameters_(parameters) {}

  // Digits of `poly` (NTT form, its limbs give the level) as a key of this shape takes them.
  Digits decompose(const ring::Poly& poly, const KeyShape& shape) const;
  // sum = sum_j permuted(digits_j) (b_j, a_j) modulo QP; added to what is there where `accumulate`. The key's shape must
  // have the digits' digit size and special count and at least their level. `permutation` may be null.
  void multiply(const Digits& digits, const SwitchingKey& key, const ring::Automorphism* permutation,
                ExtendedPair& sum, bool accumulate) const;
  // round(pair / P), or round(pair / (P q_level)) one level lower where `rescale`: ModDown, merged with the rescale
  // of the product that follows or precedes it.
  std::pair<ring::Poly, ring::Poly> mod_down(const ExtendedPair& pair, bool rescale) const;
  // pair.c0 += P c0, and the same for c1 where it is given: limbs below q_level only, since P = 0 modulo its own primes.
  void add_raised(ExtendedPair& pair, const ring::Poly& c0, const ring::Poly* c1) const;
  // sum += other; both of one level and special count.
  void add(ExtendedPair& sum, const ExtendedPair& other) const;
  ExtendedPair zero_pair(int level, int special_count) const;
  // round(poly / q_level), one level lower.
  ring::Poly rescale(const ring::Poly& poly) const;

  const Parameters& parameters() const { return parameters_; }
  const ring::Automorphism& automorphism(std::uint32_t element) const;

 private:
  enum class Purpose { kDigit, kModDown };
  // For kDigit: from digit `index` of shape (digit_size, special_count) to the other primes at `level`. For kModDown: from
  // the special primes, and q_level where index is 1, to the primes that stay.
  using ConverterKey = std::tuple<Purpose, int, int, int, int>;
  const ring::BaseConverter& converter(const ConverterKey& key) const;
  // Context position of limb `i` of an extended polynomial.
  std::size_t position(int level, std::size_t i) const;
  ring::Poly mod_down_one(const ring::Poly& poly, const ring::BaseConverter& converter, int level,
                          bool rescale) const;

  Parameters parameters_;
  mutable std::mutex mutex_;
  mutable std::map<ConverterKey, std::unique_ptr<const ring::BaseConverter>> converters_;
  mutable std::map<std::uint32_t, std::unique_ptr<const ring::Automorphism>> automorphisms_;
};

}  // namespace tacit::ckks
