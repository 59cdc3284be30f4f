// SPDX-License-Identifier: Apache-2.0
// AVX-512 with IFMA: eight residues at a time through the 52-bit multiply-add. lo52/hi52 name the low and high half of
// a 104-bit product.
#include <immintrin.h>

#include <cassert>

#include "ring/kernels/kernels.h"

namespace tacit::ring {
namespace {

using Vector = __m512i;

bool available() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512ifma");
}

Vector load(const u64* p) { return _mm512_load_si512(p); }
void store(u64* p, Vector v) { _mm512_store_si512(p, v); }
Vector broadcast(u64 x) { return _mm512_set1_epi64(static_cast<long long>(x)); }
Vector lo52(Vector accumulator, Vector a, Vector b) { return _mm512_madd52lo_epu64(accumulator, a, b); }
Vector hi52(Vector accumulator, Vector a, Vector b) { return _mm512_madd52hi_epu64(accumulator, a, b); }
Vector zero() { return _mm512_setzero_si512(); }

// x - m where x >= m, else x: the wrapped difference is the larger of the two as an unsigned number.
Vector subtract_if_at_least(Vector x, Vector m) { return _mm512_min_epu64(x, _mm512_sub_epi64(x, m)); }

// One prime's constants in every lane.
struct Lanes {
  explicit Lanes(const Modulus& modulus)
      : q(broadcast(modulus.value())),
        two_q(broadcast(2 * modulus.value())),
        minus_q(broadcast((u64{1} << kRadixBits) - modulus.value())),
        inverse(broadcast(modulus.inverse_mod_radix())),
        mask(broadcast(kRadixMask)) {}

  // w y mod q in [0, 2q) for y < 2^52, with w' = floor(w 2^52 / q).
  Vector multiply_shoup_lazy(Vector w, Vector w_quotient, Vector y) const {
    Vector quotient = hi52(zero(), w_quotient, y);
    return _mm512_and_si512(lo52(lo52(zero(), w, y), quotient, minus_q), mask);
  }
  Vector canonical_from_two_q(Vector x) const { return subtract_if_at_least(x, q); }
  Vector canonical_from_four_q(Vector x) const {
    return canonical_from_two_q(subtract_if_at_least(x, two_q));
  }
  // (high 2^52 + low) / 2^52 mod q in (0, 5q] for sums below 4q 2^52, where `low` may exceed 52 bits. The low halves
  // of the sum and of m q cancel exactly, so only their high halves are subtracted.
  Vector reduce_montgomery_lazy(Vector high, Vector low) const {
    Vector carry = _mm512_srli_epi64(low, kRadixBits);
    Vector m = lo52(zero(), low, inverse);
    Vector subtrahend = hi52(zero(), m, q);
    return _mm512_sub_epi64(_mm512_add_epi64(_mm512_add_epi64(high, carry), q), subtrahend);
  }
  Vector reduce_montgomery(Vector high, Vector low) const {
    Vector r = reduce_montgomery_lazy(high, low);
    return canonical_from_four_q(subtract_if_at_least(r, _mm512_add_epi64(two_q, two_q)));
  }

  Vector q, two_q, minus_q, inverse, mask;
};

// X, Y in [0, 4q) to X + wY, X - wY in [0, 4q) (Harvey 2014, algorithm 4).
void forward_butterfly(const Lanes& lanes, Vector& x, Vector& y, Vector w, Vector w_quotient) {
  Vector u = subtract_if_at_least(x, lanes.two_q);
  Vector v = lanes.multiply_shoup_lazy(w, w_quotient, y);
  x = _mm512_add_epi64(u, v);
  y = _mm512_sub_epi64(_mm512_add_epi64(u, lanes.two_q), v);
}

// X, Y in [0, 2q) to X + Y, w (X - Y) in [0, 2q).
void inverse_butterfly(const Lanes& lanes, Vector& x, Vector& y, Vector w, Vector w_quotient) {
  Vector difference = _mm512_sub_epi64(_mm512_add_epi64(x, lanes.two_q), y);
  x = subtract_if_at_least(_mm512_add_epi64(x, y), lanes.two_q);
  y = lanes.multiply_shoup_lazy(w, w_quotient, difference);
}

// The roots of one stage for sixteen consecutive elements, spread over the lanes as the last stages need them.
struct Roots {
  Vector w, quotient;
};

// half = 4: two roots, four lanes each.
Roots roots_of_four(const u64* roots, const u64* quotients) {
  const Vector order = _mm512_set_epi64(1, 1, 1, 1, 0, 0, 0, 0);
  auto spread = [&](const u64* p) {
    return _mm512_permutexvar_epi64(
        order, _mm512_castsi128_si512(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  };
  return {spread(roots), spread(quotients)};
}

// half = 2: four roots, two lanes each.
Roots roots_of_two(const u64* roots, const u64* quotients) {
  const Vector order = _mm512_set_epi64(3, 3, 2, 2, 1, 1, 0, 0);
  auto spread = [&](const u64* p) {
    return _mm512_permutexvar_epi64(
        order, _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
  };
  return {spread(roots), spread(quotients)};
}

Roots roots_of_one(const u64* roots, const u64* quotients) {
  return {_mm512_loadu_si512(roots), _mm512_loadu_si512(quotients)};
}

// Sixteen consecutive elements [a b c d], four each, as they are paired by the stages of half 4, 2 and 1:
//   fours  [a0-3 c0-3]          [b0-3 d0-3]
//   twos   [a01 b01 c01 d01]    [a23 b23 c23 d23]
//   ones   [a0 a2 b0 b2 ...]    [a1 a3 b1 b3 ...]
struct Pair {
  Vector x, y;
};

Pair fours_from_natural(Vector low, Vector high) {
  return {_mm512_shuffle_i64x2(low, high, 0x44), _mm512_shuffle_i64x2(low, high, 0xEE)};
}
Pair natural_from_fours(Pair p) { return fours_from_natural(p.x, p.y); }  // an involution

Pair twos_from_fours(Pair p) {
  return {_mm512_permutex2var_epi64(p.x, _mm512_set_epi64(13, 12, 5, 4, 9, 8, 1, 0), p.y),
          _mm512_permutex2var_epi64(p.x, _mm512_set_epi64(15, 14, 7, 6, 11, 10, 3, 2), p.y)};
}
Pair fours_from_twos(Pair p) { return twos_from_fours(p); }  // an involution

Pair ones_from_twos(Pair p) { return {_mm512_unpacklo_epi64(p.x, p.y), _mm512_unpackhi_epi64(p.x, p.y)}; }
Pair twos_from_ones(Pair p) { return ones_from_twos(p); }  // an involution

// Stages of half h and h/2 together on every block: four rows of h/2 elements each.
void forward_two_stages(const NttTable& table, const Lanes& lanes, u64* a, std::size_t blocks,
                        std::size_t half) {
  const std::size_t row = half / 2;
  for (std::size_t block = 0; block < blocks; ++block) {
    const std::size_t first = blocks + block, second = 2 * first;
    const Vector w = broadcast(table.roots[first]), wq = broadcast(table.root_quotients[first]);
    const Vector v0 = broadcast(table.roots[second]), v0q = broadcast(table.root_quotients[second]);
    const Vector v1 = broadcast(table.roots[second + 1]), v1q = broadcast(table.root_quotients[second + 1]);
    u64* p = a + 2 * block * half;
    for (std::size_t i = 0; i < row; i += 8) {
      Vector x0 = load(p + i), x1 = load(p + i + row), x2 = load(p + i + 2 * row), x3 = load(p + i + 3 * row);
      forward_butterfly(lanes, x0, x2, w, wq);
      forward_butterfly(lanes, x1, x3, w, wq);
      forward_butterfly(lanes, x0, x1, v0, v0q);
      forward_butterfly(lanes, x2, x3, v1, v1q);
      store(p + i, x0);
      store(p + i + row, x1);
      store(p + i + 2 * row, x2);
      store(p + i + 3 * row, x3);
    }
  }
}

void forward_ntt(const NttTable& table, u64* a) {
  const std::size_t n = table.degree();
  if (n < 32) return kPortableKernels.forward_ntt(table, a);
  const Lanes lanes(table.modulus);
  std::size_t blocks = 1, half = n / 2;
  if (table.log_degree % 2 == 0) {  // an odd number of stages before the last three
    const Vector w = broadcast(table.roots[1]), wq = broadcast(table.root_quotients[1]);
    for (std::size_t i = 0; i < half; i += 8) {
      Vector x = load(a + i), y = load(a + half + i);
      forward_butterfly(lanes, x, y, w, wq);
      store(a + i, x);
      store(a + half + i, y);
    }
    blocks *= 2;
    half /= 2;
  }
  for (; half >= 16; blocks *= 4, half /= 4) forward_two_stages(table, lanes, a, blocks, half);
  assert(half == 4);
  for (std::size_t k = 0; k < n / 16; ++k) {
    Pair p = fours_from_natural(load(a + 16 * k), load(a + 16 * k + 8));
    Roots r = roots_of_four(&table.roots[n / 8 + 2 * k], &table.root_quotients[n / 8 + 2 * k]);
    forward_butterfly(lanes, p.x, p.y, r.w, r.quotient);
    p = twos_from_fours(p);
    r = roots_of_two(&table.roots[n / 4 + 4 * k], &table.root_quotients[n / 4 + 4 * k]);
    forward_butterfly(lanes, p.x, p.y, r.w, r.quotient);
    p = ones_from_twos(p);
    r = roots_of_one(&table.roots[n / 2 + 8 * k], &table.root_quotients[n / 2 + 8 * k]);
    forward_butterfly(lanes, p.x, p.y, r.w, r.quotient);
    p = {lanes.canonical_from_four_q(p.x), lanes.canonical_from_four_q(p.y)};
    p = natural_from_fours(fours_from_twos(twos_from_ones(p)));
    store(a + 16 * k, p.x);
    store(a + 16 * k + 8, p.y);
  }
}

// Stages of half h/2 and h together on every block of the latter.
void inverse_two_stages(const NttTable& table, const Lanes& lanes, u64* a, std::size_t blocks,
                        std::size_t half) {
  const std::size_t row = half / 2;
  for (std::size_t block = 0; block < blocks; ++block) {
    const std::size_t second = blocks + block, first = 2 * second;
    const Vector v0 = broadcast(table.inverse_roots[first]),
                 v0q = broadcast(table.inverse_root_quotients[first]);
    const Vector v1 = broadcast(table.inverse_roots[first + 1]),
                 v1q = broadcast(table.inverse_root_quotients[first + 1]);
    const Vector w = broadcast(table.inverse_roots[second]),
                 wq = broadcast(table.inverse_root_quotients[second]);
    u64* p = a + 2 * block * half;
    for (std::size_t i = 0; i < row; i += 8) {
      Vector x0 = load(p + i), x1 = load(p + i + row), x2 = load(p + i + 2 * row), x3 = load(p + i + 3 * row);
      inverse_butterfly(lanes, x0, x1, v0, v0q);
      inverse_butterfly(lanes, x2, x3, v1, v1q);
      inverse_butterfly(lanes, x0, x2, w, wq);
      inverse_butterfly(lanes, x1, x3, w, wq);
      store(p + i, x0);
      store(p + i + row, x1);
      store(p + i + 2 * row, x2);
      store(p + i + 3 * row, x3);
    }
  }
}

void inverse_ntt(const NttTable& table, u64* a) {
  const std::size_t n = table.degree();
  if (n < 32) return kPortableKernels.inverse_ntt(table, a);
  const Lanes lanes(table.modulus);
  for (std::size_t k = 0; k < n / 16; ++k) {
    Pair p = ones_from_twos(twos_from_fours(fours_from_natural(load(a + 16 * k), load(a + 16 * k + 8))));
    Roots r = roots_of_one(&table.inverse_roots[n / 2 + 8 * k], &table.inverse_root_quotients[n / 2 + 8 * k]);
    inverse_butterfly(lanes, p.x, p.y, r.w, r.quotient);
    p = twos_from_ones(p);
    r = roots_of_two(&table.inverse_roots[n / 4 + 4 * k], &table.inverse_root_quotients[n / 4 + 4 * k]);
    inverse_butterfly(lanes, p.x, p.y, r.w, r.quotient);
    p = fours_from_twos(p);
    r = roots_of_four(&table.inverse_roots[n / 8 + 2 * k], &table.inverse_root_quotients[n / 8 + 2 * k]);
    inverse_butterfly(lanes, p.x, p.y, r.w, r.quotient);
    p = natural_from_fours(p);
    store(a + 16 * k, p.x);
    store(a + 16 * k + 8, p.y);
  }
  // All but the last of the remaining stages in pairs; where their number is odd, the first one alone.
  std::size_t half = 8;
  if (table.log_degree % 2 != 0) {
    const std::size_t blocks = n / 16;
    for (std::size_t block = 0; block < blocks; ++block) {
      const Vector w = broadcast(table.inverse_roots[blocks + block]);
      const Vector wq = broadcast(table.inverse_root_quotients[blocks + block]);
      u64* p = a + 16 * block;
      Vector x = load(p), y = load(p + 8);
      inverse_butterfly(lanes, x, y, w, wq);
      store(p, x);
      store(p + 8, y);
    }
    half = 16;
  }
  for (half *= 2; half < n / 2; half *= 4) inverse_two_stages(table, lanes, a, n / (2 * half), half);
  assert(half == n);
  const ShoupConstant one = table.inverse_degree, root = table.inverse_degree_root;
  const Vector w = broadcast(one.value), wq = broadcast(one.quotient);
  const Vector v = broadcast(root.value), vq = broadcast(root.quotient);
  for (std::size_t i = 0; i < n / 2; i += 8) {
    Vector x = load(a + i), y = load(a + n / 2 + i);
    Vector sum = _mm512_add_epi64(x, y);
    Vector difference = _mm512_sub_epi64(_mm512_add_epi64(x, lanes.two_q), y);
    store(a + i, lanes.canonical_from_two_q(lanes.multiply_shoup_lazy(w, wq, sum)));
    store(a + n / 2 + i, lanes.canonical_from_two_q(lanes.multiply_shoup_lazy(v, vq, difference)));
  }
}

void add(const Modulus& modulus, u64* out, const u64* a, const u64* b, std::size_t n) {
  const Vector q = broadcast(modulus.value());
  for (std::size_t i = 0; i < n; i += 8) {
    store(out + i, subtract_if_at_least(_mm512_add_epi64(load(a + i), load(b + i)), q));
  }
}

void subtract(const Modulus& modulus, u64* out, const u64* a, const u64* b, std::size_t n) {
  const Vector q = broadcast(modulus.value());
  for (std::size_t i = 0; i < n; i += 8) {
    Vector difference = _mm512_sub_epi64(load(a + i), load(b + i));
    store(out + i, _mm512_min_epu64(difference, _mm512_add_epi64(difference, q)));
  }
}

void negate(const Modulus& modulus, u64* out, const u64* a, std::size_t n) {
  const Vector q = broadcast(modulus.value());
  for (std::size_t i = 0; i < n; i += 8) {
    store(out + i, subtract_if_at_least(_mm512_sub_epi64(q, load(a + i)), q));
  }
}

// a b / 2^52 in (0, 2q].
Vector product_montgomery_lazy(const Lanes& lanes, Vector a, Vector b) {
  return lanes.reduce_montgomery_lazy(hi52(zero(), a, b), lo52(zero(), a, b));
}

void multiply(const Modulus& modulus, u64* out, const u64* a, const u64* b, std::size_t n) {
  const Lanes lanes(modulus);
  const ShoupConstant radix = modulus.shoup(modulus.radix());
  const Vector w = broadcast(radix.value), wq = broadcast(radix.quotient);
  for (std::size_t i = 0; i < n; i += 8) {
    Vector product = product_montgomery_lazy(lanes, load(a + i), load(b + i));
    store(out + i, lanes.canonical_from_two_q(lanes.multiply_shoup_lazy(w, wq, product)));
  }
}

void multiply_montgomery(const Modulus& modulus, u64* out, const u64* a, const u64* b, std::size_t n) {
  const Lanes lanes(modulus);
  for (std::size_t i = 0; i < n; i += 8) {
    store(out + i, lanes.canonical_from_four_q(product_montgomery_lazy(lanes, load(a + i), load(b + i))));
  }
}

void multiply_constant(const Modulus& modulus, ShoupConstant constant, u64* out, const u64* a,
                       std::size_t n) {
  const Lanes lanes(modulus);
  const Vector w = broadcast(constant.value), wq = broadcast(constant.quotient);
  for (std::size_t i = 0; i < n; i += 8) {
    store(out + i, lanes.canonical_from_two_q(lanes.multiply_shoup_lazy(w, wq, load(a + i))));
  }
}

void subtract_multiply(const Modulus& modulus, ShoupConstant constant, u64* out, const u64* a, const u64* b,
                       std::size_t n) {
  const Lanes lanes(modulus);
  const Vector w = broadcast(constant.value), wq = broadcast(constant.quotient);
  for (std::size_t i = 0; i < n; i += 8) {
    Vector difference = _mm512_sub_epi64(_mm512_add_epi64(load(a + i), lanes.q), load(b + i));
    store(out + i, lanes.canonical_from_two_q(lanes.multiply_shoup_lazy(w, wq, difference)));
  }
}

void permute(const Automorphism& automorphism, u64* out, const u64* in, std::size_t n) {
  for (std::size_t b = 0; b < n / 8; ++b) {
    const std::uint32_t source = automorphism.blocks[b];
    Vector order = load(automorphism.order[source & 7].data());
    store(out + 8 * b, _mm512_permutexvar_epi64(order, load(in + (source & ~7u))));
  }
}

// Terms that one reduction takes: the sum stays below 4q 2^52.
constexpr std::size_t kTermsPerReduction = 16;

void inner_product(const Modulus& modulus, const InnerProduct& p, std::size_t n) {
  const Lanes lanes(modulus);
  for (std::size_t i = 0; i < n; i += 8) {
    std::size_t from = i;
    Vector order = zero();
    if (p.permutation != nullptr) {
      const std::uint32_t source = p.permutation->blocks[i / 8];
      from = source & ~7u;
      order = load(p.permutation->order[source & 7].data());
    }
    Vector result0 = p.accumulate ? load(p.out0 + i) : zero();
    Vector result1 = p.accumulate ? load(p.out1 + i) : zero();
    for (std::size_t first = 0; first < p.terms; first += kTermsPerReduction) {
      const std::size_t last = first + kTermsPerReduction < p.terms ? first + kTermsPerReduction : p.terms;
      Vector low0 = zero(), high0 = zero(), low1 = zero(), high1 = zero();
      for (std::size_t j = first; j < last; ++j) {
        Vector x = load(p.x[j] + from);
        if (p.permutation != nullptr) x = _mm512_permutexvar_epi64(order, x);
        const Vector y0 = load(p.y0[j] + i), y1 = load(p.y1[j] + i);
        low0 = lo52(low0, x, y0);
        high0 = hi52(high0, x, y0);
        low1 = lo52(low1, x, y1);
        high1 = hi52(high1, x, y1);
      }
      result0 =
          subtract_if_at_least(_mm512_add_epi64(result0, lanes.reduce_montgomery(high0, low0)), lanes.q);
      result1 =
          subtract_if_at_least(_mm512_add_epi64(result1, lanes.reduce_montgomery(high1, low1)), lanes.q);
    }
    store(p.out0 + i, result0);
    store(p.out1 + i, result1);
  }
}

void convert_base(const Modulus& modulus, const BaseConversion& p, std::size_t n) {
  const Lanes lanes(modulus);
  const Vector excess = broadcast(p.excess);
  for (std::size_t i = 0; i < n; i += 8) {
    Vector result = zero();
    for (std::size_t first = 0; first < p.terms; first += kTermsPerReduction) {
      const std::size_t last = first + kTermsPerReduction < p.terms ? first + kTermsPerReduction : p.terms;
      Vector low = zero(), high = zero();
      for (std::size_t j = first; j < last; ++j) {
        const Vector y = load(p.y[j] + i), factor = broadcast(p.factors[j]);
        low = lo52(low, y, factor);
        high = hi52(high, y, factor);
      }
      result = subtract_if_at_least(_mm512_add_epi64(result, lanes.reduce_montgomery(high, low)), lanes.q);
    }
    if (p.inverses != nullptr) {
      __m512d quotient = _mm512_setzero_pd();
      for (std::size_t j = 0; j < p.terms; ++j) {
        const __m512d y = _mm512_cvtepu64_pd(load(p.y[j] + i));
        quotient = _mm512_add_pd(quotient, _mm512_mul_pd(y, _mm512_set1_pd(p.inverses[j])));
      }
      // cvtt truncates, which for what is never negative is the floor.
      const Vector v = _mm512_cvttpd_epu64(_mm512_add_pd(quotient, _mm512_set1_pd(0.5)));
      const Vector product = lanes.canonical_from_four_q(product_montgomery_lazy(lanes, v, excess));
      const Vector difference = _mm512_sub_epi64(result, product);
      result = _mm512_min_epu64(difference, _mm512_add_epi64(difference, lanes.q));
    }
    store(p.out + i, result);
  }
}

std::size_t sample_uniform(const Modulus& modulus, u64 threshold, u64* out, std::size_t capacity,
                           const u64* words, std::size_t n) {
  const Vector q = broadcast(modulus.value()), limit = broadcast(threshold);
  std::size_t count = 0, i = 0;
  for (; i < n && count + 8 <= capacity; i += 8) {
    const Vector word = _mm512_loadu_si512(words + i);  // the multiplier reads the low 52 bits only
    const __mmask8 accepted = _mm512_cmpge_epu64_mask(lo52(zero(), word, q), limit);
    _mm512_mask_compressstoreu_epi64(out + count, accepted, hi52(zero(), word, q));
    count += static_cast<std::size_t>(__builtin_popcount(accepted));
  }
  return count +
         kPortableKernels.sample_uniform(modulus, threshold, out + count, capacity - count, words + i, n - i);
}

}  // namespace

const Kernels kAvx512Kernels = {
    "avx512",          available, forward_ntt,   inverse_ntt,         add,
    subtract,          negate,    multiply,      multiply_montgomery, multiply_constant,
    subtract_multiply, permute,   inner_product, convert_base,        sample_uniform,
};

}  // namespace tacit::ring
