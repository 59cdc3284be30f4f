// SPDX-License-Identifier: Apache-2.0
// Hybrid key switching (Han and Ki 2020, section 3): a polynomial that meets s' is split into digits, raised to the
// basis Q P, multiplied with the key's digits and brought down by P, after which it meets s. docs/key-switching.md walks
// from the formula to the kernels.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
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
  AlignedVector<ring::Poly> polys;
};

// A pair of polynomials over q_0 .. q_level, p_0 .. p_{special_count-1}, in NTT form: P times a ciphertext, roughly.
struct ExtendedPair {
  // Uninitialised.
  ExtendedPair(const Parameters& parameters, int level_in, int special_count_in);

  int level = 0;
  int special_count = 1;
  ring::Poly c0, c1;
};

// What a product with a key is added to: polynomials in NTT form, of which either may be missing, permuted as what is
// switched is; or the first two parts of (c0 + c1 s)(b0 + b1 s), all four being there, permuted by nothing.
struct Addend {
  const ring::Poly* c0 = nullptr;
  const ring::Poly* c1 = nullptr;
  // Knows P modulo q_0 .. q_level, by which polynomials over these are multiplied; without it they are over the product's
  // primes and are taken as they are.
  const ring::BaseConverter* raise = nullptr;
  const ring::Poly* b0 = nullptr;
  const ring::Poly* b1 = nullptr;
};

// The places [first, first + count) of a limb; both multiples of 8.
struct Piece {
  std::size_t limb = 0, first = 0, count = 0;
};

// A polynomial over q_0 .. q_level in NTT form, whose last limb stands apart from `rest`; used up by a rescale.
struct SplitPoly {
  ring::Poly* rest = nullptr;
  u64* last = nullptr;
};

// Whether a result replaces what is there or is added to it.
enum class Into { kFresh, kSum };

// Immutable but for its cache of constants; safe to share between threads. Permutations may be null.
class KeySwitcher {
 public:
  explicit KeySwitcher(const Parameters& parameters) : parameters_(parameters) {}

  // P times polynomials over q_0 .. q_level as an addend; they must outlive it. P = 0 modulo its own primes.
  Addend raised(const ring::Poly* c0, const ring::Poly* c1, int special_count) const;

  // sum = addend + sum_j d_j (b_j, a_j) modulo QP for the digits d_j of the permuted polynomial (NTT form; its limbs give
  // the level). The key must have at least that level.
  void switch_key(const ring::Poly& poly, const ring::Automorphism* permutation, const SwitchingKey& key,
                  const Addend& addend, ExtendedPair& sum, Into into) const;

  // The same in two steps, the first of which serves several keys of one shape: the digits of the polynomial are
  // permuted, rather than those of the permuted one taken, which makes another, equally small error.
  Digits decompose(const ring::Poly& poly, const KeyShape& shape) const;
  // A piece of the product, since that is how its callers take it. A key that is kept as a seed is expanded for each.
  void multiply(const Digits& digits, const ring::Automorphism* permutation, const SwitchingKey& key,
                const Addend& addend, const Piece& piece, u64* out0, u64* out1) const;
  // The same for the permutation that changes nothing, which needs no key: out = addend, which has both polynomials.
  void raise(const Addend& addend, const Piece& piece, u64* out0, u64* out1) const;

  // The pair that switch_key or multiply makes, divided as mod_down does: a few limbs at a time, so that the product at
  // these is used up while it is near.
  std::pair<ring::Poly, ring::Poly> switch_key_divided(const ring::Poly& poly,
                                                       const ring::Automorphism* permutation,
                                                       const SwitchingKey& key, const Addend& addend,
                                                       bool rescale) const;
  std::pair<ring::Poly, ring::Poly> multiply_divided(const Digits& digits,
                                                     const ring::Automorphism* permutation,
                                                     const SwitchingKey& key, const Addend& addend) const;

  // sum += other; both of one level and special count.
  void add(ExtendedPair& sum, const ExtendedPair& other) const;

  // round(pair / P), or round(pair / (P q_level)) one level lower where `rescale`: ModDown, merged with the rescale
  // of the product that follows or precedes it.
  std::pair<ring::Poly, ring::Poly> mod_down(const ExtendedPair& pair, bool rescale) const;
  // round(poly / P) for one polynomial of such a pair.
  ring::Poly mod_down(const ring::Poly& poly, int level) const;
  // round(poly / q_level), one level lower.
  ring::Poly rescale(const ring::Poly& poly) const;
  // The same for several polynomials whose last limbs stand apart, each in place: prime by prime, so that a transform's
  // tables serve them all. All have one level, at least 1.
  void rescale(std::span<const SplitPoly> polys) const;

  const Parameters& parameters() const { return parameters_; }
  const ring::Automorphism& automorphism(std::uint32_t element) const;

 private:
  // One converter for each digit: from its primes to the others at this level.
  const std::vector<ring::BaseConverter>& digit_converters(int level, const KeyShape& shape) const;
  // From the special primes, and q_level where `rescale`, to the primes that stay.
  const ring::BaseConverter& division(int level, int special_count, bool rescale) const;
  // The permuted polynomial's residues as the converters of its digits take them.
  ring::Poly prepare_digits(const ring::Poly& poly, const ring::Automorphism* permutation,
                            const std::vector<ring::BaseConverter>& converters) const;
  // The limb over q_0 .. q_level, p_0 .. that source `s` of a division is.
  std::size_t limb_of_source(const ring::BaseConverter& converter, int level, std::size_t s) const;
  // out_c = round(in_c / M) for the product M of the converter's sources.
  void divide(const ring::BaseConverter& converter, int level, std::span<const ring::Poly* const> in,
              std::span<ring::Poly> out) const;
  // The same for the pair of which make_run(run, out) makes some limbs.
  template <class MakeRun>
  std::pair<ring::Poly, ring::Poly> divide_made(int level, int special_count, bool rescale,
                                                const MakeRun& make_run) const;

  Parameters parameters_;
  mutable std::mutex mutex_;
  // By level, digit size and special primes; by level, special primes and whether q_level goes with P.
  mutable std::map<std::tuple<int, int, int>, std::unique_ptr<const std::vector<ring::BaseConverter>>>
      digit_converters_;
  mutable std::map<std::tuple<int, int, bool>, std::unique_ptr<const ring::BaseConverter>> divisions_;
  mutable std::map<std::uint32_t, std::unique_ptr<const ring::Automorphism>> automorphisms_;
};

}  // namespace tacit::ckks
