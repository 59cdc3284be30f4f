// SPDX-License-Identifier: Apache-2.0
// The transforms: radix-8 passes (three stages for one load and store of every element), depth first, so that a block
// stays in the first-level cache from the pass in which it fits there; the last five stages within registers. Between
// the passes the buffer holds doubles.
//
// Ranges, in multiples of q. A product by a root is at most r(x) = 1/2 + 2^-52 x q for a factor of magnitude x q <= 2^51,
// or r(x / 2) for one up to 2^52 if the root is centred (Lanes::multiply).
//
// Forward, x grows to x + r(x) in each stage. All inputs are below 2^51; the first pass reduces those that it adds first,
// so that its first stage leaves at most 1/2 + 1. For q < 2^47 the 16 stages then end below 12, and no factor exceeds
// 16: no other reductions. Primes of up to 50 bits have their roots centred, which takes factors up to 4, and reduce the
// first half of the rows of each pass: whatever up to 2.8 comes in, three stages leave at most 2.8, and the two within
// the vectors of a leaf, which follow three others, at most 3.7 and 4.7.
//
// Inverse, sums double in each stage, but only the first row of a pass is a sum of sums throughout. For q < 2^46, let all
// inputs of a pass be below 4: no factor exceeds 32, and only the first row ends above 4 and is reduced. Primes of up to
// 50 bits, whose roots are centred: let all inputs be below 1. After two stages, rows 0 and 4 are at most 4 and reduced,
// all others at most 1.5; after three, the products, in the second half, are below 1 and the first half is reduced.
#include <optional>

#include "ring/kernels/avx2.h"

namespace tacit::ring::avx2 {
namespace {

// Where a transform reduces what it adds: as little as the primes of up to kSparse*Bits permit, or in each pass.
enum class Reduce { kSparse, kEachPass };

constexpr int kSparseForwardBits = 47, kSparseInverseBits = 46;

// The blocks of 2^kLeafLogSize words are transformed within registers.
constexpr int kLeafLogSize = 5;
constexpr int kLeafVectors = 8;

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

// All stages of the 32 words at `a`, whose first stage has its root at `root`, and the reduction to [0, q).
template <Reduce kReduce>
void forward_leaf(const NttTable& table, const Lanes& lanes, std::size_t root, u64* a) {
  Vector x[kLeafVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kLeafVectors; ++r) x[r] = load_doubles(a + 4 * r);
  forward_stages<3, kReduce, false>(lanes, x, PassRoots<kReduce>(lanes, table.roots, root));
#pragma GCC unroll 4
  for (std::size_t k = 0; k < kLeafVectors / 2; ++k) {
    Pair p = twos_from_natural({x[2 * k], x[2 * k + 1]});
    forward_butterfly(lanes, p.x, p.y, two_roots<kReduce>(lanes, &table.roots[8 * root + 2 * k]));
    p = ones_from_twos(p);
    forward_butterfly(lanes, p.x, p.y, four_roots<kReduce>(lanes, &table.roots[16 * root + 4 * k]));
    const Words even = lanes.canonical(lanes.reduce(p.x)), odd = lanes.canonical(lanes.reduce(p.y));
    p = natural_from_twos(twos_from_ones({_mm256_castsi256_pd(even), _mm256_castsi256_pd(odd)}));
    store_doubles(a + 8 * k, p.x);
    store_doubles(a + 8 * k + 4, p.y);
  }
}

// All stages of the 32 words at `first`. Inputs are in [0, q).
template <Reduce kReduce>
void inverse_leaf(const Inverse& t, std::size_t root, std::size_t first) {
  const Lanes& lanes = t.lanes;
  Vector x[kLeafVectors];
#pragma GCC unroll 4
  for (std::size_t k = 0; k < kLeafVectors / 2; ++k) {
    Pair p = {t.four_words(first / 8 + k, 0), t.four_words(first / 8 + k, 1)};
    p = ones_from_twos(twos_from_natural(p));
    inverse_butterfly(lanes, p.x, p.y, four_roots<kReduce>(lanes, &t.table.inverse_roots[16 * root + 4 * k]));
    p = twos_from_ones(p);
    inverse_butterfly(lanes, p.x, p.y, two_roots<kReduce>(lanes, &t.table.inverse_roots[8 * root + 2 * k]));
    // Sums are at most 4 here, products 1.
    if constexpr (kReduce == Reduce::kEachPass) p.x = lanes.reduce(p.x);
    p = natural_from_twos(p);
    x[2 * k] = p.x;
    x[2 * k + 1] = p.y;
  }
  inverse_stages<3, kReduce, false>(t, x, PassRoots<kReduce>(lanes, t.table.inverse_roots, root));
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kLeafVectors; ++r) store_doubles(t.out + first + 4 * r, x[r]);
}

// --- passes ------------------------------------------------------------------------------------------------------------

// kStages stages on the 2^kStages rows of a block, `row` words each, whose first stage has its root at `root`.
// kFirst: the first pass of a transform, whose inputs are words below kLazyLimit.
template <int kStages, Reduce kReduce, bool kFirst>
void forward_pass(const NttTable& table, const Lanes& lanes, std::size_t root, std::size_t row, u64* out,
                  const u64* in) {
  constexpr std::size_t kRows = std::size_t{1} << kStages;
  const PassRoots<kReduce> roots(lanes, table.roots, root);
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
void inverse_pass(const Inverse& t, std::size_t root, std::size_t row, u64* a) {
  constexpr std::size_t kRows = std::size_t{1} << kStages;
  const PassRoots<kReduce> roots(t.lanes, t.table.inverse_roots, root);
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

// --- transforms --------------------------------------------------------------------------------------------------------

// All stages of the block of 2^log_size words whose first stage has its root at `root`.
template <Reduce kReduce, bool kFirst>
void forward_block(const NttTable& table, const Lanes& lanes, std::size_t root, int log_size, u64* out,
                   const u64* in) {
  const int stages = stages_of_pass(log_size);
  const std::size_t parts = std::size_t{1} << stages, row = std::size_t{1} << (log_size - stages);
  if (stages == 3) {
    forward_pass<3, kReduce, kFirst>(table, lanes, root, row, out, in);
  } else {
    forward_pass<2, kReduce, kFirst>(table, lanes, root, row, out, in);
  }
  for (std::size_t j = 0; j < parts; ++j) {
    u64* part = out + j * row;
    if (log_size - stages == kLeafLogSize) {
      forward_leaf<kReduce>(table, lanes, parts * root + j, part);
    } else {
      forward_block<kReduce, false>(table, lanes, parts * root + j, log_size - stages, part, part);
    }
  }
}

// All stages of the block at `first`; kLast where it is the whole polynomial.
template <Reduce kReduce, bool kLast>
void inverse_block(const Inverse& t, std::size_t root, int log_size, std::size_t first) {
  const int stages = stages_of_pass(log_size);
  const std::size_t parts = std::size_t{1} << stages, row = std::size_t{1} << (log_size - stages);
  for (std::size_t j = 0; j < parts; ++j) {
    if (log_size - stages == kLeafLogSize) {
      inverse_leaf<kReduce>(t, parts * root + j, first + j * row);
    } else {
      inverse_block<kReduce, false>(t, parts * root + j, log_size - stages, first + j * row);
    }
  }
  if (stages == 3) {
    inverse_pass<3, kReduce, kLast>(t, root, row, t.out + first);
  } else {
    inverse_pass<2, kReduce, kLast>(t, root, row, t.out + first);
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
    forward_block<Reduce::kSparse, true>(table, lanes, 1, table.log_degree, out, in);
  } else {
    forward_block<Reduce::kEachPass, true>(table, lanes, 1, table.log_degree, out, in);
  }
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
