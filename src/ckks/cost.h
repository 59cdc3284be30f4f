// SPDX-License-Identifier: Apache-2.0
// How often operations on ciphertexts call the ring's kernels, and from that how long they take. A limb is one residue
// polynomial of N words.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ckks/parameters.h"

namespace tacit::ckks {

struct KernelCounts {
  std::uint64_t ntt_limbs = 0;         // transforms, either way
  std::uint64_t key_limbs = 0;         // multiply-accumulates of digits with a key, both columns counted
  std::uint64_t hoisted_limbs = 0;     // the same where the digits are permuted while they are read
  std::uint64_t plain_limbs = 0;       // multiply-accumulates with encoded plaintexts, both columns counted
  std::uint64_t scalar_limbs = 0;      // multiply-accumulates with the numbers of a ScalarMatrix
  std::uint64_t conversion_limbs = 0;  // source limb to target limb of base conversions
  std::uint64_t pointwise_limbs = 0;   // additions, constant products, permutations

  KernelCounts& operator+=(const KernelCounts& other);
  friend bool operator==(const KernelCounts&, const KernelCounts&) = default;
};

// Pieces of key switching (ckks/key_switcher.h) for polynomials at `level`, under keys of shape `shape`, whose level is
// ignored.
KernelCounts decompose_counts(int level, const KeyShape& shape);
// KeySwitcher::multiply with a permutation.
KernelCounts multiply_counts(int level, const KeyShape& shape);
KernelCounts switch_key_counts(int level, const KeyShape& shape, bool permuted);
// KeySwitcher::mod_down of `polys` polynomials; with no special primes and `rescale`, KeySwitcher::rescale.
KernelCounts mod_down_counts(int level, int special_count, bool rescale, int polys);
// An Addend of `polys` polynomials over q_0 .. q_level.
KernelCounts raise_counts(int level, int polys);
// Evaluator::rotate (and conjugate), and Evaluator::multiply_relinearise_rescale.
KernelCounts rotate_counts(int level, const KeyShape& shape);
KernelCounts multiply_relinearise_rescale_counts(int level, const KeyShape& shape);

// The inputs of a linear transform and the keys that it finds.
struct TransformDomain {
  int level = 1;          // of the input, at least 1
  int special_count = 1;  // of the keys of all rotations
  // Of the keys; giants' may have more primes, since their noise is divided by q_level.
  int baby_digit_size = 1, giant_digit_size = 1;
};

// What LinearTransform::apply does, in numbers.
struct TransformShape {
  // A rotation of one of the inputs, or of a sum that belongs to one of the outputs.
  struct Rotation {
    std::uint32_t of = 0;
    int digit_size = 0;  // of its key; 0 where nothing is rotated
  };
  int level = 1;
  int special_count = 1;
  std::uint32_t inputs = 1, outputs = 1;
  std::vector<Rotation> babies, giants;  // one for each baby and for each group
  std::size_t products = 0;
  // Of the keys of complex folding, the shift's and the conjugation's; 0 where nothing is folded.
  int folding_digit_size = 0;
};
KernelCounts transform_counts(const TransformShape& shape);

// What ChainedTransform::apply does. Of keys the shapes count, not their levels.
struct ChainedShape {
  int level = 1;
  std::uint32_t inputs = 1, outputs = 1;
  // Of the inputs, folding's among them, and of the sums of products: all at `level`.
  std::vector<KeyShape> rotations;
  std::size_t groups = 0, products = 0;
  std::optional<KeyShape> conjugation;  // where complex folding takes one
};
KernelCounts chained_counts(const ChainedShape& shape);

// Nanoseconds for one limb of a given ring degree with all cores at work: elapsed time divided by limbs, so that an
// estimate is the elapsed time of a run that keeps all cores busy. Keys and plaintexts come from memory, since a
// model's are more than caches hold.
struct UnitCosts {
  std::size_t degree = 0;
  double ntt = 0, key_product = 0, hoisted_product = 0, plain_product = 0, conversion = 0, pointwise = 0,
         scalar_product = 0;
  // How many times longer a linear transform takes than its kernels do when each is called by itself: primes of other
  // lengths, caches that another kernel has used, calls, threads that wait for each other.
  double overhead = 1;
};

// Times the ring's kernels in use, and a transform. Takes about 0.5 s and 200 MB, at 2^16 several times as much.
UnitCosts measure_unit_costs(const Parameters& parameters);
double estimate_ms(const KernelCounts& counts, const UnitCosts& unit);

}  // namespace tacit::ckks
