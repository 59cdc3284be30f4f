// SPDX-License-Identifier: Apache-2.0
// The transforms: radix-8 passes (three stages for one load and store of every element), depth first, so that a block
// stays in the first-level cache from the pass in which it fits there; the last six stages within registers.
//
// Ranges. The multiplier takes factors below 2^52, whatever they are multiples of, and reads no more of a word than
// that: what is above need not be cleared, and numbers are kept open (see Lanes) until the last reduction. A prime
// below 2^45 leaves so much room that a forward transform is reduced at its end only: inputs below 2^51 are raised by
// a multiple of q once, so that at most 16 stages, each of which adds or subtracts less than 2q, leave them in [0,
// 2^52). Below 2^49, eight times q still fits, which is what becomes of numbers below 2q in three stages, so each pass
// reduces once, but for a first pass of two, which leaves numbers below 2^51 + 4q. An inverse transform doubles sums in each stage: below 2^46 only the first row of a pass is reduced,
// once, below 2^49 those sums that would exceed 8q. Any other prime reduces in every butterfly (Harvey 2014,
// algorithms 3 and 4), with words that are clear above.
#include "ring/kernels/avx512.h"

#include <algorithm>
#include <array>
#include <type_traits>

namespace tacit::ring::avx512 {
namespace {

// Where a transform reduces what it will multiply or add.
enum class Reduce { kNever, kEachPass, kEachStage };

constexpr int kForwardNeverBits = 45, kInverseNeverBits = 46, kEachPassBits = 49;

// The blocks of 2^kLeafLogSize words are transformed within registers.
constexpr int kLeafLogSize = 6;

// How many of the stages of a block one pass takes: three, after as many twos as it needs for the rest to be threes.
constexpr int stages_of_pass(int log_size) { return (log_size - kLeafLogSize) % 3 == 0 ? 3 : 2; }

// --- butterflies -----------------------------------------------------------------------------------------------------

// What a forward butterfly makes of X, Y and the quotient of wY by q, T = wY mod q being in [0, 2q): X + T and X - T.
// Where each pass reduces, X - T + 2q. Where each stage does, X is brought to [0, 2q) first, and both are in [0, 4q).
template <Reduce kReduce>
void add_product(const Lanes& lanes, Vector& x, Vector& y, const ShoupLanes& w, Vector quotient) {
  if constexpr (kReduce == Reduce::kEachStage) {
    const Vector product = lanes.close(lanes.multiply_add_open(zero(), w, y, quotient));
    const Vector u = subtract_if_at_least(x, lanes.two_q);
    x = add(u, product);
    y = subtract(add(u, lanes.two_q), product);
  } else {
    // X + T needs no instruction of its own, and X - T = 2X - (X + T).
    Vector twice = add(x, x);
    if constexpr (kReduce == Reduce::kEachPass) twice = add(twice, lanes.two_q);
    x = lanes.multiply_add_open(x, w, y, quotient);
    y = subtract(twice, x);
  }
}

template <Reduce kReduce>
void forward_butterfly(const Lanes& lanes, Vector& x, Vector& y, const ShoupLanes& w) {
  add_product<kReduce>(lanes, x, y, w, w.quotient_of(y));
}

// X + Y, w (X - Y). X and Y are below `bound`, the sum below twice that, the product in [0, 2q). Where each stage reduces,
// the sum is in [0, 2q) too, `bound` being 2q.
template <Reduce kReduce>
void inverse_butterfly(const Lanes& lanes, Vector& x, Vector& y, const ShoupLanes& w, Vector bound) {
  const Vector difference = subtract(add(x, bound), y);
  x = add(x, y);
  if constexpr (kReduce == Reduce::kEachStage) {
    x = subtract_if_at_least(x, lanes.two_q);
    y = lanes.multiply_lazy(w, difference);
  } else {
    y = lanes.multiply_open(w, difference);
  }
}

// The roots of kStages stages of one block, stage by stage: that of stage s, group i at 2^s - 1 + i.
template <int kStages>
struct PassRoots {
  [[gnu::always_inline]] PassRoots(const AlignedVector<u64>& roots, const AlignedVector<u64>& quotients,
                                   std::size_t root) {
#pragma GCC unroll 8
    for (int stage = 0; stage < kStages; ++stage) {
#pragma GCC unroll 8
      for (int i = 0; i < 1 << stage; ++i) {
        const std::size_t at = (root << stage) + static_cast<std::size_t>(i);
        w[(1 << stage) - 1 + i] = ShoupLanes({roots[at], quotients[at]});
      }
    }
  }
  ShoupLanes w[(1 << kStages) - 1];
};

// kStages stages between 2^kStages vectors, which must stay in registers: always inlined. Where each pass reduces, any
// numbers may come in, and those that go out are below 8q; not so in a first pass of two stages.
template <int kStages, Reduce kReduce, bool kFirst = false>
[[gnu::always_inline]] inline void forward_stages(const Lanes& lanes, Vector (&x)[1 << kStages],
                                                  const PassRoots<kStages>& roots) {
  constexpr int kRows = 1 << kStages;
  if constexpr (kReduce == Reduce::kEachPass && !(kFirst && kStages == 2)) {
    // The other half is only multiplied in the first stage, which takes any number and leaves one below 2q.
#pragma GCC unroll 8
    for (int r = 0; r < kRows / 2; ++r) x[r] = lanes.reduce_open(x[r]);
  }
#pragma GCC unroll 8
  for (int stage = 0; stage < kStages; ++stage) {
    const int half = kRows >> (stage + 1);
    // All quotients of a stage before all sums: the multiplier's latency is what there is to hide.
    Vector quotient[kRows / 2];
#pragma GCC unroll 8
    for (int b = 0; b < kRows / 2; ++b) {
      const int group = b / half, r = group * 2 * half + b % half;
      quotient[b] = roots.w[(1 << stage) - 1 + group].quotient_of(x[r + half]);
    }
#pragma GCC unroll 8
    for (int b = 0; b < kRows / 2; ++b) {
      const int group = b / half, r = group * 2 * half + b % half;
      add_product<kReduce>(lanes, x[r], x[r + half], roots.w[(1 << stage) - 1 + group], quotient[b]);
    }
  }
}

// The bounds of what enters the stages of an inverse pass.
template <int kStages, Reduce kReduce>
struct InverseBounds {
  [[gnu::always_inline]] explicit InverseBounds(const Lanes& lanes) {
    const Vector four_q = add(lanes.two_q, lanes.two_q);
    of_stage[0] = kReduce == Reduce::kNever ? add(four_q, four_q) : lanes.two_q;
#pragma GCC unroll 8
    for (int s = 1; s < kStages; ++s) {
      of_stage[s] = kReduce == Reduce::kNever      ? add(of_stage[s - 1], of_stage[s - 1])
                    : kReduce == Reduce::kEachPass ? four_q
                                                   : lanes.two_q;
    }
  }
  Vector of_stage[kStages];
};

// The inverse of the same; what comes in and goes out is below 8q where nothing reduces, else below 2q. kLast: the last
// stage multiplies by `scale` and leaves canonical residues.
template <int kStages, Reduce kReduce, bool kLast>
[[gnu::always_inline]] inline void inverse_stages(const Lanes& lanes, Vector (&x)[1 << kStages],
                                                  const PassRoots<kStages>& roots,
                                                  const InverseBounds<kStages, kReduce>& bounds,
                                                  const ShoupLanes& sum_scale,
                                                  const ShoupLanes& difference_scale) {
  constexpr int kRows = 1 << kStages;
#pragma GCC unroll 8
  for (int stage = kStages - 1; stage >= 0; --stage) {
    const int half = kRows >> (stage + 1);
    const Vector bound = bounds.of_stage[kStages - 1 - stage];
#pragma GCC unroll 8
    for (int b = 0; b < kRows / 2; ++b) {
      const int group = b / half, r = group * 2 * half + b % half;
      if (kLast && stage == 0) {
        const Vector sum = add(x[r], x[r + half]), difference = subtract(add(x[r], bound), x[r + half]);
        x[r] = lanes.canonical_from_two_q(lanes.multiply_lazy(sum_scale, sum));
        x[r + half] = lanes.canonical_from_two_q(lanes.multiply_lazy(difference_scale, difference));
      } else {
        inverse_butterfly<kReduce>(lanes, x[r], x[r + half], roots.w[(1 << stage) - 1 + group], bound);
      }
    }
    // The sums of two sums, below 8q, would exceed the multiplier's range in the next stage.
    if constexpr (kReduce == Reduce::kEachPass) {
      if (half == 2 && stage > 0) {
#pragma GCC unroll 8
        for (int r = 0; r < kRows; r += 2 * half) x[r] = lanes.reduce_open(x[r]);
      }
    }
  }
  if constexpr (kReduce != Reduce::kEachStage && !kLast) {
    // Sums of the last stage: where nothing reduces, the first has doubled in all three.
    constexpr int kReduced = kReduce == Reduce::kNever ? 1 : kRows / 2;
#pragma GCC unroll 8
    for (int r = 0; r < kReduced; ++r) x[r] = lanes.reduce_open(x[r]);
  }
}

// --- stages within sixteen consecutive elements ------------------------------------------------------------------------

// The roots of one stage for sixteen elements, spread over the lanes: half = 4 has two roots, half = 2 four, half = 1
// eight.
struct SpreadRoots {
  const u64* values;
  const u64* quotients;

  ShoupLanes of_four(std::size_t first) const {
    const Vector order = _mm512_set_epi64(1, 1, 1, 1, 0, 0, 0, 0);
    return spread(first, [&](const u64* p) {
      return _mm512_permutexvar_epi64(
          order, _mm512_castsi128_si512(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
    });
  }
  ShoupLanes of_two(std::size_t first) const {
    const Vector order = _mm512_set_epi64(3, 3, 2, 2, 1, 1, 0, 0);
    return spread(first, [&](const u64* p) {
      return _mm512_permutexvar_epi64(
          order, _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
    });
  }
  ShoupLanes of_one(std::size_t first) const {
    return spread(first, [](const u64* p) { return _mm512_loadu_si512(p); });
  }

 private:
  template <class Load>
  ShoupLanes spread(std::size_t first, const Load& load_lanes) const {
    ShoupLanes w;
    w.value = load_lanes(values + first);
    w.quotient = load_lanes(quotients + first);
    return w;
  }
};

// Sixteen consecutive elements [a b c d], four each, as they are paired by the stages of half 4, 2 and 1:
//   fours  [a0-3 c0-3]          [b0-3 d0-3]
//   twos   [a01 b01 c01 d01]    [a23 b23 c23 d23]
//   ones   [a0 a2 b0 b2 ...]    [a1 a3 b1 b3 ...]
struct Pair {
  Vector x, y;
};

Pair fours_from_natural(Pair p) {
  return {_mm512_shuffle_i64x2(p.x, p.y, 0x44), _mm512_shuffle_i64x2(p.x, p.y, 0xEE)};
}
Pair natural_from_fours(Pair p) { return fours_from_natural(p); }  // an involution

Pair twos_from_fours(Pair p) {
  return {_mm512_permutex2var_epi64(p.x, _mm512_set_epi64(13, 12, 5, 4, 9, 8, 1, 0), p.y),
          _mm512_permutex2var_epi64(p.x, _mm512_set_epi64(15, 14, 7, 6, 11, 10, 3, 2), p.y)};
}
Pair fours_from_twos(Pair p) { return twos_from_fours(p); }  // an involution

Pair ones_from_twos(Pair p) { return {_mm512_unpacklo_epi64(p.x, p.y), _mm512_unpackhi_epi64(p.x, p.y)}; }
Pair twos_from_ones(Pair p) { return ones_from_twos(p); }  // an involution

Pair natural_from_ones(Pair p) {
  return {_mm512_permutex2var_epi64(p.x, _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0), p.y),
          _mm512_permutex2var_epi64(p.x, _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4), p.y)};
}
Pair ones_from_natural(Pair p) {
  return {_mm512_permutex2var_epi64(p.x, _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0), p.y),
          _mm512_permutex2var_epi64(p.x, _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1), p.y)};
}

constexpr int kPairs = 4;  // in a leaf

// All stages of the 64 words at `a`, whose first stage has its root at `root`, and the reduction to [0, q).
template <Reduce kReduce>
void forward_leaf(const NttTable& table, const Lanes& lanes, std::size_t root, u64* a) {
  Vector x[8];
#pragma GCC unroll 8
  for (std::size_t r = 0; r < 8; ++r) x[r] = load(a + 8 * r);
  forward_stages<3, kReduce>(lanes, x, PassRoots<3>(table.roots, table.root_quotients, root));
  const SpreadRoots roots{table.roots.data(), table.root_quotients.data()};
  Pair p[kPairs];
#pragma GCC unroll 4
  for (std::size_t k = 0; k < kPairs; ++k) {
    p[k] = fours_from_natural({x[2 * k], x[2 * k + 1]});
    if constexpr (kReduce == Reduce::kEachPass) p[k].x = lanes.reduce_open(p[k].x);
    forward_butterfly<kReduce>(lanes, p[k].x, p[k].y, roots.of_four(8 * root + 2 * k));
  }
#pragma GCC unroll 4
  for (std::size_t k = 0; k < kPairs; ++k) {
    p[k] = twos_from_fours(p[k]);
    forward_butterfly<kReduce>(lanes, p[k].x, p[k].y, roots.of_two(16 * root + 4 * k));
  }
#pragma GCC unroll 4
  for (std::size_t k = 0; k < kPairs; ++k) {
    p[k] = ones_from_twos(p[k]);
    forward_butterfly<kReduce>(lanes, p[k].x, p[k].y, roots.of_one(32 * root + 8 * k));
  }
  auto canonical = [&](Vector v) {
    return kReduce == Reduce::kEachStage ? lanes.canonical_from_four_q(v)
                                         : lanes.canonical_from_two_q(lanes.reduce_lazy(v));
  };
#pragma GCC unroll 4
  for (std::size_t k = 0; k < kPairs; ++k) {
    p[k] = natural_from_ones({canonical(p[k].x), canonical(p[k].y)});
    store(a + 16 * k, p[k].x);
    store(a + 16 * k + 8, p[k].y);
  }
}

// What the blocks of one inverse transform share.
struct Inverse {
  const NttTable& table;
  const Lanes& lanes;
  const InverseScale& scale;
  const Automorphism* permutation;
  u64* out;
  const u64* in;

  // Eight words of the input, through the permutation if there is one.
  Vector eight_words(std::size_t block) const {
    if (permutation == nullptr) return load(in + 8 * block);
    prefetch_permuted(*permutation, block, &in, 1);
    return Permuted(*permutation, block).of(in);
  }
};

// All stages of the 64 words at `first`. Inputs are in [0, q), results below 8q where nothing reduces, else below 2q.
template <Reduce kReduce>
void inverse_leaf(const Inverse& t, std::size_t root, std::size_t first) {
  const Lanes& lanes = t.lanes;
  const SpreadRoots roots{t.table.inverse_roots.data(), t.table.inverse_root_quotients.data()};
  Pair p[kPairs];
#pragma GCC unroll 4
  for (std::size_t k = 0; k < kPairs; ++k) {
    p[k] = ones_from_natural({t.eight_words(first / 8 + 2 * k), t.eight_words(first / 8 + 2 * k + 1)});
    inverse_butterfly<kReduce>(lanes, p[k].x, p[k].y, roots.of_one(32 * root + 8 * k), lanes.two_q);
  }
#pragma GCC unroll 4
  for (std::size_t k = 0; k < kPairs; ++k) {
    p[k] = twos_from_ones(p[k]);
    inverse_butterfly<kReduce>(lanes, p[k].x, p[k].y, roots.of_two(16 * root + 4 * k), lanes.two_q);
  }
  const Vector bound = kReduce == Reduce::kEachStage ? lanes.two_q : add(lanes.two_q, lanes.two_q);
  Vector x[8];
#pragma GCC unroll 4
  for (std::size_t k = 0; k < kPairs; ++k) {
    p[k] = fours_from_twos(p[k]);
    inverse_butterfly<kReduce>(lanes, p[k].x, p[k].y, roots.of_four(8 * root + 2 * k), bound);
    if constexpr (kReduce == Reduce::kEachPass) p[k].x = lanes.reduce_open(p[k].x);
    p[k] = natural_from_fours(p[k]);
    x[2 * k] = p[k].x;
    x[2 * k + 1] = p[k].y;
  }
  inverse_stages<3, kReduce, false>(lanes, x,
                                    PassRoots<3>(t.table.inverse_roots, t.table.inverse_root_quotients, root),
                                    InverseBounds<3, kReduce>(lanes), {}, {});
#pragma GCC unroll 8
  for (std::size_t r = 0; r < 8; ++r) store(t.out + first + 8 * r, x[r]);
}

// --- passes ------------------------------------------------------------------------------------------------------------

// kStages stages on `columns` words of each of the 2^kStages rows of a block, `row` words apart, whose first stage has its
// root at `root`. kFirst: the first pass of a transform, whose inputs are any numbers below kLazyLimit. kPacked: of the
// inputs there are those columns only, row after row.
template <int kStages, Reduce kReduce, bool kFirst, bool kPacked = false>
void forward_pass(const NttTable& table, const Lanes& lanes, std::size_t root, std::size_t row, u64* out,
                  const u64* in, std::size_t columns) {
  // Less than 2q is subtracted in each stage.
  const Vector raise = broadcast(2 * table.modulus.value() * static_cast<u64>(table.log_degree));
  constexpr std::size_t kRows = std::size_t{1} << kStages;
  const PassRoots<kStages> roots(table.roots, table.root_quotients, root);
  for (std::size_t i = 0; i < columns; i += 8) {
    Vector x[kRows];
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kRows; ++r) {
      x[r] = load(in + i + r * (kPacked ? columns : row));
      if (kFirst && r < kRows / 2) {
        if (kReduce == Reduce::kNever) x[r] = add(x[r], raise);
        if (kReduce == Reduce::kEachStage) x[r] = lanes.reduce_lazy(x[r]);
      }
    }
    forward_stages<kStages, kReduce, kFirst>(lanes, x, roots);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kRows; ++r) store(out + i + r * row, x[r]);
  }
}

// The inverse of the same, in place.
template <int kStages, Reduce kReduce, bool kLast>
void inverse_pass(const Inverse& t, std::size_t root, std::size_t row, u64* a) {
  constexpr std::size_t kRows = std::size_t{1} << kStages;
  const PassRoots<kStages> roots(t.table.inverse_roots, t.table.inverse_root_quotients, root);
  const InverseBounds<kStages, kReduce> bounds(t.lanes);
  const ShoupLanes sum_scale(t.scale.sum), difference_scale(t.scale.difference);
  for (std::size_t i = 0; i < row; i += 8) {
    Vector x[kRows];
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kRows; ++r) x[r] = load(a + i + r * row);
    inverse_stages<kStages, kReduce, kLast>(t.lanes, x, roots, bounds, sum_scale, difference_scale);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kRows; ++r) store(a + i + r * row, x[r]);
  }
}

// --- transforms --------------------------------------------------------------------------------------------------------

// All stages of the block of 2^log_size words whose first stage has its root at `root`.
template <Reduce kReduce, bool kFirst>
void forward_block(const NttTable& table, const Lanes& lanes, std::size_t root, int log_size, u64* out,
                   const u64* in);

// What follows a block's first pass; done(first, count) after each part of it.
template <Reduce kReduce, class Done>
void forward_parts(const NttTable& table, const Lanes& lanes, std::size_t root, int log_size, u64* out,
                   const Done& done) {
  const int stages = stages_of_pass(log_size);
  const std::size_t parts = std::size_t{1} << stages, row = std::size_t{1} << (log_size - stages);
  for (std::size_t j = 0; j < parts; ++j) {
    u64* part = out + j * row;
    if (log_size - stages == kLeafLogSize) {
      forward_leaf<kReduce>(table, lanes, parts * root + j, part);
    } else {
      forward_block<kReduce, false>(table, lanes, parts * root + j, log_size - stages, part, part);
    }
    done(j * row, row);
  }
}

template <Reduce kReduce, bool kFirst>
void forward_block(const NttTable& table, const Lanes& lanes, std::size_t root, int log_size, u64* out,
                   const u64* in) {
  const int stages = stages_of_pass(log_size);
  const std::size_t row = std::size_t{1} << (log_size - stages);
  if (stages == 3) {
    forward_pass<3, kReduce, kFirst>(table, lanes, root, row, out, in, row);
  } else {
    forward_pass<2, kReduce, kFirst>(table, lanes, root, row, out, in, row);
  }
  forward_parts<kReduce>(table, lanes, root, log_size, out, [](std::size_t, std::size_t) {});
}

// Calls run(how a forward transform for this prime reduces, as a type).
template <class Run>
void with_forward_reduce(const Modulus& modulus, const Run& run) {
  if (modulus.bits() <= kForwardNeverBits) {
    run(std::integral_constant<Reduce, Reduce::kNever>{});
  } else if (modulus.bits() <= kEachPassBits) {
    run(std::integral_constant<Reduce, Reduce::kEachPass>{});
  } else {
    run(std::integral_constant<Reduce, Reduce::kEachStage>{});
  }
}

// The first passes of transforms whose inputs are made on the way, some columns at a time, which stay in the first-level
// cache.
template <int kStages>
void forward_first_passes(std::span<const StreamedNtt> transforms, const NttStream& stream) {
  constexpr std::size_t kRows = std::size_t{1} << kStages, kMaxColumns = 128;
  const std::size_t row = transforms.front().table->degree() / kRows, count = std::min(row, kMaxColumns);
  alignas(kCacheLine) std::array<u64, kRows * kMaxColumns> made;
  for (std::size_t first = 0; first < row; first += count) {
    for (std::size_t i = 0; i < transforms.size(); ++i) {
      const NttTable& table = *transforms[i].table;
      for (std::size_t r = 0; r < kRows; ++r) stream.make(i, r * row + first, made.data() + r * count, count);
      const Lanes lanes(table.modulus);
      with_forward_reduce(table.modulus, [&](auto reduce) {
        forward_pass<kStages, reduce, true, true>(table, lanes, 1, row, transforms[i].out + first,
                                                  made.data(), count);
      });
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

// Smaller ones leave no whole passes above the leaves; the portable kernels do.
constexpr int kMinLogDegree = 10;

}  // namespace

void forward_ntt(const NttTable& table, u64* out, const u64* in) {
  if (table.log_degree < kMinLogDegree) return kPortableKernels.forward_ntt(table, out, in);
  const Lanes lanes(table.modulus);
  with_forward_reduce(table.modulus, [&](auto reduce) {
    forward_block<reduce, true>(table, lanes, 1, table.log_degree, out, in);
  });
}

void forward_ntt_streamed(std::span<const StreamedNtt> transforms, const NttStream& stream) {
  const int log_degree = transforms.front().table->log_degree;
  if (log_degree < kMinLogDegree) return kPortableKernels.forward_ntt_streamed(transforms, stream);
  if (stages_of_pass(log_degree) == 3) {
    forward_first_passes<3>(transforms, stream);
  } else {
    forward_first_passes<2>(transforms, stream);
  }
  for (std::size_t i = 0; i < transforms.size(); ++i) {
    const NttTable& table = *transforms[i].table;
    const Lanes lanes(table.modulus);
    with_forward_reduce(table.modulus, [&](auto reduce) {
      forward_parts<reduce>(table, lanes, 1, log_degree, transforms[i].out,
                            [&](std::size_t first, std::size_t count) { stream.finish(i, first, count); });
    });
  }
}

void inverse_ntt(const NttTable& table, const InverseScale& scale, const Automorphism* permutation, u64* out,
                 const u64* in) {
  if (table.log_degree < kMinLogDegree)
    return kPortableKernels.inverse_ntt(table, scale, permutation, out, in);
  const Lanes lanes(table.modulus);
  const Inverse transform{table, lanes, scale, permutation, out, in};
  const int bits = table.modulus.bits();
  if (bits <= kInverseNeverBits) {
    inverse_block<Reduce::kNever, true>(transform, 1, table.log_degree, 0);
  } else if (bits <= kEachPassBits) {
    inverse_block<Reduce::kEachPass, true>(transform, 1, table.log_degree, 0);
  } else {
    inverse_block<Reduce::kEachStage, true>(transform, 1, table.log_degree, 0);
  }
}

}  // namespace tacit::ring::avx512
