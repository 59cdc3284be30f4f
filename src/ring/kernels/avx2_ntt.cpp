// SPDX-License-Identifier: Apache-2.0
// The transforms: radix-8 passes (three stages for one load and store of every element), depth first, so that a block
// stays in the first-level cache from the pass in which it fits there; the last two stages within vectors. Between the
// passes the buffer holds doubles.
//
// Ranges, in multiples of q. A product by a root is at most r(x) = 1/2 + 2^-52 x q for a factor of magnitude x q up to
// 2^51, or r(x / 2) for one up to 2^52 if the root is centred (Lanes::multiply).
//
// Forward, x grows to x + r(x) in each stage. All inputs are below 2^51; the first pass reduces those that it adds
// first, so that its first stage leaves at most 1/2 + 1. For q < 2^47 the 16 stages then end below 12, and no factor
// exceeds 16: no other reductions. Primes of up to 50 bits have their roots centred, which takes factors up to 2^52,
// and reduce the first half of the rows of each pass: whatever up to 2.8, or below 2^51, comes in, three stages leave at
// most 2.8, and the two within vectors, which follow three others, at most 3.7 and 4.7.
//
// Inverse, sums double in each stage, but only the first row of a pass is a sum of sums throughout. For q < 2^46, let
// all inputs of a pass be at most 4: no factor exceeds 32, and only the first row ends above 4 and is reduced. Primes of
// up to 50 bits, whose roots are centred: let all inputs be at most 1. After two stages, rows 0 and 4 are at most 4 and
// reduced, all others at most 1.5; after three, the products, in the second half, are below 1, and the first half is
// reduced. The two stages within vectors, which come first, leave sums of at most 4, reduced likewise, and products of
// at most 1.
#include <optional>

#include "ring/kernels/avx2.h"

namespace tacit::ring::avx2 {
namespace {

// Where a transform reduces what it adds: as little as the primes of up to kSparse*Bits permit, or in each pass.
enum class Reduce { kSparse, kEachPass };

constexpr int kSparseForwardBits = 47, kSparseInverseBits = 46;

// The blocks of 2^kLeafLogSize words are left to a pass whose rows are single vectors and two stages within vectors.
constexpr int kLeafPassStages = 3, kLeafLogSize = kLeafPassStages + 2;
constexpr std::size_t kLeafSize = std::size_t{1} << kLeafLogSize;

// How many of the stages of a block one pass takes: three, after as many twos as it needs for the rest to be threes.
constexpr int stages_of_pass(int log_size) { return (log_size - kLeafLogSize) % 3 == 0 ? 3 : 2; }

Vector load_doubles(const u64* p) { return _mm256_load_pd(reinterpret_cast<const double*>(p)); }
void store_doubles(u64* p, Vector x) { _mm256_store_pd(reinterpret_cast<double*>(p), x); }

// --- butterflies -----------------------------------------------------------------------------------------------------

// Words of a table of roots as multipliers.
template <Reduce kReduce>
[[gnu::always_inline]] inline Factor roots_as_factors(const Lanes& lanes, Words roots) {
  return kReduce == Reduce::kEachPass ? lanes.factor_centred(to_doubles(roots))
                                      : lanes.factor(to_doubles(roots));
}

// X + wY, X - wY.
[[gnu::always_inline]] inline void forward_butterfly(const Lanes& lanes, Vector& x, Vector& y,
                                                     const Factor& w) {
  const Vector product = lanes.multiply(y, w);
  y = subtract(x, product);
  x = add(x, product);
}

// X + Y, w (X - Y).
[[gnu::always_inline]] inline void inverse_butterfly(const Lanes& lanes, Vector& x, Vector& y,
                                                     const Factor& w) {
  const Vector difference = subtract(x, y);
  x = add(x, y);
  y = lanes.multiply(difference, w);
}

// The roots of up to three stages of one block.
template <Reduce kReduce>
class PassRoots {
 public:
  [[gnu::always_inline]] PassRoots(const Lanes& lanes, const AlignedVector<u64>& roots, std::size_t root) {
    const auto pair = [&](std::size_t i) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(&roots[i]));
    };
    // Position 0 of the first four is unused, like that of the table.
    const Factor low = roots_as_factors<kReduce>(lanes, _mm256_set_m128i(pair(2 * root), pair(root - 1)));
    const Factor high = roots_as_factors<kReduce>(lanes, load(&roots[4 * root]));
    _mm256_store_pd(values_, low.value);
    _mm256_store_pd(values_ + 4, high.value);
    _mm256_store_pd(quotients_, low.quotient);
    _mm256_store_pd(quotients_ + 4, high.quotient);
  }
  // That of stage s, group i is at 2^s + i.
  [[gnu::always_inline]] Factor operator[](int i) const {
    return {_mm256_broadcast_sd(values_ + i), _mm256_broadcast_sd(quotients_ + i)};
  }

 private:
  alignas(sizeof(Vector)) double values_[8], quotients_[8];
};

// kStages stages between 2^kStages vectors.
template <int kStages, Reduce kReduce, bool kFirst>
[[gnu::always_inline]] inline void forward_stages(const Lanes& lanes, Vector (&x)[1 << kStages],
                                                  const PassRoots<kReduce>& roots) {
  constexpr int kRows = 1 << kStages;
  if constexpr (kFirst || kReduce == Reduce::kEachPass) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows / 2; ++r) x[r] = lanes.reduce(x[r]);
  }
#pragma GCC unroll 8
  for (int stage = 0; stage < kStages; ++stage) {
    const int half = kRows >> (stage + 1);
#pragma GCC unroll 8
    for (int b = 0; b < kRows / 2; ++b) {
      const int group = b / half, r = group * 2 * half + b % half;
      forward_butterfly(lanes, x[r], x[r + half], roots[(1 << stage) + group]);
    }
  }
}

// What the blocks of one inverse transform share.
struct Inverse {
  const NttTable& table;
  const Lanes& lanes;
  Factor sum_scale, difference_scale;
  const BlockPermutation* permutation;
  u64* out;
  const u64* in;

  // Four words of the input, through the permutation if there is one.
  Vector four_words(std::size_t block, std::size_t half) const {
    return to_doubles(permutation == nullptr ? load(in + 8 * block + 4 * half)
                                             : permutation->words(in, block, half));
  }
};

// The inverse of forward_stages. kLast: the last stage multiplies by the scale, and nothing is reduced after it.
template <int kStages, Reduce kReduce, bool kLast>
[[gnu::always_inline]] inline void inverse_stages(const Inverse& t, Vector (&x)[1 << kStages],
                                                  const PassRoots<kReduce>& roots) {
  const Lanes& lanes = t.lanes;
  constexpr int kRows = 1 << kStages;
#pragma GCC unroll 8
  for (int stage = kStages - 1; stage >= 0; --stage) {
    const int half = kRows >> (stage + 1);
    if (kReduce == Reduce::kEachPass && kStages == 3 && stage == 0) {
      x[0] = lanes.reduce(x[0]);
      x[kRows / 2] = lanes.reduce(x[kRows / 2]);
    }
#pragma GCC unroll 8
    for (int b = 0; b < kRows / 2; ++b) {
      const int group = b / half, r = group * 2 * half + b % half;
      if (kLast && stage == 0) {
        const Vector sum = add(x[r], x[r + half]), difference = subtract(x[r], x[r + half]);
        x[r] = lanes.multiply(sum, t.sum_scale);
        x[r + half] = lanes.multiply(difference, t.difference_scale);
      } else {
        inverse_butterfly(lanes, x[r], x[r + half], roots[(1 << stage) + group]);
      }
    }
  }
  if constexpr (!kLast) {
#pragma GCC unroll 8
    for (int r = 0; r < (kReduce == Reduce::kEachPass ? kRows / 2 : 1); ++r) x[r] = lanes.reduce(x[r]);
  }
}

// --- stages within eight consecutive elements --------------------------------------------------------------------------

// The roots of one stage for eight elements, spread over the lanes: half = 2 has two roots, half = 1 four.
template <Reduce kReduce>
[[gnu::always_inline]] inline Factor two_roots(const Lanes& lanes, const u64* roots) {
  const __m128i pair = _mm_load_si128(reinterpret_cast<const __m128i*>(roots));
  return roots_as_factors<kReduce>(lanes, _mm256_permute4x64_epi64(_mm256_castsi128_si256(pair), 0x50));
}
template <Reduce kReduce>
[[gnu::always_inline]] inline Factor four_roots(const Lanes& lanes, const u64* roots) {
  return roots_as_factors<kReduce>(lanes, load(roots));
}

// Eight consecutive elements [a b], four each, as they are paired by the stages of half 2 and 1:
//   twos   [a01 b01]      [a23 b23]
//   ones   [a0 a2 b0 b2]  [a1 a3 b1 b3]
struct Pair {
  Vector x, y;
};

Pair twos_from_natural(Pair p) {
  return {_mm256_permute2f128_pd(p.x, p.y, 0x20), _mm256_permute2f128_pd(p.x, p.y, 0x31)};
}
Pair natural_from_twos(Pair p) { return twos_from_natural(p); }  // an involution

Pair ones_from_twos(Pair p) { return {_mm256_unpacklo_pd(p.x, p.y), _mm256_unpackhi_pd(p.x, p.y)}; }
Pair twos_from_ones(Pair p) { return ones_from_twos(p); }  // an involution

constexpr std::size_t kPairs = kLeafSize / 8;

// The last two stages of the leaf of words `first` .. first + 31, and the reduction to [0, q).
template <Reduce kReduce>
void forward_leaf_end(const NttTable& table, const Lanes& lanes, std::size_t first, u64* out) {
  const u64* half_two = &table.roots[(table.degree() + first) / 4];
  const u64* half_one = &table.roots[(table.degree() + first) / 2];
  u64* a = out + first;
  Pair p[kPairs];
#pragma GCC unroll 4
  for (std::size_t k = 0; k < kPairs; ++k) {
    p[k] = twos_from_natural({load_doubles(a + 8 * k), load_doubles(a + 8 * k + 4)});
    forward_butterfly(lanes, p[k].x, p[k].y, two_roots<kReduce>(lanes, half_two + 2 * k));
  }
#pragma GCC unroll 4
  for (std::size_t k = 0; k < kPairs; ++k) {
    p[k] = ones_from_twos(p[k]);
    forward_butterfly(lanes, p[k].x, p[k].y, four_roots<kReduce>(lanes, half_one + 4 * k));
  }
#pragma GCC unroll 4
  for (std::size_t k = 0; k < kPairs; ++k) {
    const Words even = lanes.canonical(lanes.reduce(p[k].x)), odd = lanes.canonical(lanes.reduce(p[k].y));
    p[k] = natural_from_twos(twos_from_ones({_mm256_castsi256_pd(even), _mm256_castsi256_pd(odd)}));
    store_doubles(a + 8 * k, p[k].x);
    store_doubles(a + 8 * k + 4, p[k].y);
  }
}

// The first two stages of an inverse transform on the leaf of words `first` .. first + 31. Inputs are in [0, q).
template <Reduce kReduce>
void inverse_leaf_start(const Inverse& t, std::size_t first) {
  const Lanes& lanes = t.lanes;
  const u64* half_two = &t.table.inverse_roots[(t.table.degree() + first) / 4];
  const u64* half_one = &t.table.inverse_roots[(t.table.degree() + first) / 2];
  u64* a = t.out + first;
  Pair p[kPairs];
#pragma GCC unroll 4
  for (std::size_t k = 0; k < kPairs; ++k) {
    const Pair natural = {t.four_words(first / 8 + k, 0), t.four_words(first / 8 + k, 1)};
    p[k] = ones_from_twos(twos_from_natural(natural));
    inverse_butterfly(lanes, p[k].x, p[k].y, four_roots<kReduce>(lanes, half_one + 4 * k));
  }
#pragma GCC unroll 4
  for (std::size_t k = 0; k < kPairs; ++k) {
    p[k] = twos_from_ones(p[k]);
    inverse_butterfly(lanes, p[k].x, p[k].y, two_roots<kReduce>(lanes, half_two + 2 * k));
    if constexpr (kReduce == Reduce::kEachPass) p[k].x = lanes.reduce(p[k].x);
    p[k] = natural_from_twos(p[k]);
    store_doubles(a + 8 * k, p[k].x);
    store_doubles(a + 8 * k + 4, p[k].y);
  }
}

// --- passes ------------------------------------------------------------------------------------------------------------

// kStages stages on the 2^kStages rows of a block, `row` words each.
// kFirst: the first pass of a transform, whose inputs are words below kLazyLimit.
template <int kStages, Reduce kReduce, bool kFirst>
[[gnu::always_inline]] inline void forward_pass(const Lanes& lanes, const PassRoots<kReduce>& roots,
                                                std::size_t row, u64* out, const u64* in) {
  constexpr std::size_t kRows = std::size_t{1} << kStages;
  for (std::size_t i = 0; i < row; i += 4) {
    Vector x[kRows];
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kRows; ++r) {
      const u64* p = in + i + r * row;
      x[r] = kFirst ? to_doubles(load(p)) : load_doubles(p);
    }
    forward_stages<kStages, kReduce, kFirst>(lanes, x, roots);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kRows; ++r) store_doubles(out + i + r * row, x[r]);
  }
}

// The inverse of the same, in place. kLast: the last pass of a transform, which leaves canonical words.
template <int kStages, Reduce kReduce, bool kLast>
[[gnu::always_inline]] inline void inverse_pass(const Inverse& t, const PassRoots<kReduce>& roots,
                                                std::size_t row, u64* a) {
  constexpr std::size_t kRows = std::size_t{1} << kStages;
  for (std::size_t i = 0; i < row; i += 4) {
    Vector x[kRows];
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kRows; ++r) x[r] = load_doubles(a + i + r * row);
    inverse_stages<kStages, kReduce, kLast>(t, x, roots);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kRows; ++r) {
      u64* p = a + i + r * row;
      if constexpr (kLast) {
        store(p, t.lanes.canonical(x[r]));
      } else {
        store_doubles(p, x[r]);
      }
    }
  }
}

// pass(j, roots) for each of `count` leaves, leaf j having its root at root + j. Roots are made into factors while the
// leaf before is worked on: they pass through memory, and a leaf is too short to wait for that (5 % of a transform).
template <Reduce kReduce, class Pass>
[[gnu::always_inline]] inline void for_each_leaf(const Lanes& lanes, const AlignedVector<u64>& table,
                                                 std::size_t root, std::size_t count, const Pass& pass) {
  PassRoots<kReduce> roots[2] = {{lanes, table, root}, {lanes, table, root}};
  for (std::size_t j = 0; j < count; ++j) {
    roots[(j + 1) % 2] =
        PassRoots<kReduce>(lanes, table, root + j + 1);  // unused after the last: other stages' roots
    pass(j, roots[j % 2]);
  }
}

// All stages of the `count` leaves from word `first` on, whose roots are at `root` and after.
template <Reduce kReduce>
void forward_leaves(const NttTable& table, const Lanes& lanes, std::size_t root, std::size_t first,
                    std::size_t count, u64* out) {
  for_each_leaf<kReduce>(lanes, table.roots, root, count, [&](std::size_t j, const auto& roots) {
    u64* leaf = out + first + kLeafSize * j;
    forward_pass<kLeafPassStages, kReduce, false>(lanes, roots, 4, leaf, leaf);
  });
  for (std::size_t j = 0; j < count; ++j) forward_leaf_end<kReduce>(table, lanes, first + kLeafSize * j, out);
}

template <Reduce kReduce>
void inverse_leaves(const Inverse& t, std::size_t root, std::size_t first, std::size_t count) {
  for (std::size_t j = 0; j < count; ++j) inverse_leaf_start<kReduce>(t, first + kLeafSize * j);
  for_each_leaf<kReduce>(t.lanes, t.table.inverse_roots, root, count, [&](std::size_t j, const auto& roots) {
    inverse_pass<kLeafPassStages, kReduce, false>(t, roots, 4, t.out + first + kLeafSize * j);
  });
}

// --- transforms --------------------------------------------------------------------------------------------------------

// All stages of the block of 2^log_size words from word `first` on, whose first stage has its root at `root`.
template <Reduce kReduce, bool kFirst>
void forward_block(const NttTable& table, const Lanes& lanes, std::size_t root, int log_size,
                   std::size_t first, u64* out, const u64* in) {
  const int stages = stages_of_pass(log_size), part_log_size = log_size - stages;
  const std::size_t parts = std::size_t{1} << stages, row = std::size_t{1} << part_log_size;
  const PassRoots<kReduce> roots(lanes, table.roots, root);
  if (stages == 3) {
    forward_pass<3, kReduce, kFirst>(lanes, roots, row, out + first, in + first);
  } else {
    forward_pass<2, kReduce, kFirst>(lanes, roots, row, out + first, in + first);
  }
  if (part_log_size == kLeafLogSize) {
    forward_leaves<kReduce>(table, lanes, parts * root, first, parts, out);
  } else {
    for (std::size_t j = 0; j < parts; ++j)
      forward_block<kReduce, false>(table, lanes, parts * root + j, part_log_size, first + j * row, out, out);
  }
}

// The same of an inverse transform; kLast where it is the whole polynomial.
template <Reduce kReduce, bool kLast>
void inverse_block(const Inverse& t, std::size_t root, int log_size, std::size_t first) {
  const int stages = stages_of_pass(log_size), part_log_size = log_size - stages;
  const std::size_t parts = std::size_t{1} << stages, row = std::size_t{1} << part_log_size;
  if (part_log_size == kLeafLogSize) {
    inverse_leaves<kReduce>(t, parts * root, first, parts);
  } else {
    for (std::size_t j = 0; j < parts; ++j)
      inverse_block<kReduce, false>(t, parts * root + j, part_log_size, first + j * row);
  }
  const PassRoots<kReduce> roots(t.lanes, t.table.inverse_roots, root);
  if (stages == 3) {
    inverse_pass<3, kReduce, kLast>(t, roots, row, t.out + first);
  } else {
    inverse_pass<2, kReduce, kLast>(t, roots, row, t.out + first);
  }
}

// Smaller ones leave no whole pass above the leaves; the portable kernels do. Above, the bounds no longer hold.
constexpr int kMinLogDegree = kLeafLogSize + 2, kMaxLogDegree = 16;

bool has_passes(const NttTable& table) {
  return table.log_degree >= kMinLogDegree && table.log_degree <= kMaxLogDegree;
}

}  // namespace

void forward_ntt(const NttTable& table, u64* out, const u64* in) {
  if (!has_passes(table)) return kPortableKernels.forward_ntt(table, out, in);
  const Lanes lanes(table.modulus);
  if (table.modulus.bits() <= kSparseForwardBits) {
    forward_block<Reduce::kSparse, true>(table, lanes, 1, table.log_degree, 0, out, in);
  } else {
    forward_block<Reduce::kEachPass, true>(table, lanes, 1, table.log_degree, 0, out, in);
  }
}

void forward_ntt_streamed(std::span<const StreamedNtt> transforms, const NttStream& stream) {
  forward_ntt_in_one_piece(forward_ntt, transforms, stream);
}

void inverse_ntt(const NttTable& table, const InverseScale& scale, const Automorphism* permutation, u64* out,
                 const u64* in) {
  if (!has_passes(table)) return kPortableKernels.inverse_ntt(table, scale, permutation, out, in);
  const Lanes lanes(table.modulus);
  std::optional<BlockPermutation> blocks;
  if (permutation != nullptr) blocks.emplace(*permutation);
  const Inverse transform{table,
                          lanes,
                          lanes.factor_centred(scale.sum.value),
                          lanes.factor_centred(scale.difference.value),
                          blocks ? &*blocks : nullptr,
                          out,
                          in};
  if (table.modulus.bits() <= kSparseInverseBits) {
    inverse_block<Reduce::kSparse, true>(transform, 1, table.log_degree, 0);
  } else {
    inverse_block<Reduce::kEachPass, true>(transform, 1, table.log_degree, 0);
  }
}

}  // namespace tacit::ring::avx2
