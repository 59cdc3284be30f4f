// SPDX-License-Identifier: Apache-2.0
// The AVX-512 kernels but for the transforms and the keystream.
#include "ring/kernels/avx512.h"

#include <algorithm>
#include <array>

namespace tacit::ring {
namespace avx512 {

bool available() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512ifma") && __builtin_cpu_supports("avx512vbmi");
}

namespace {

// out = f(a, b) vector by vector.
template <class F>
void map(u64* out, const u64* a, const u64* b, std::size_t n, const F& f) {
  for (std::size_t i = 0; i < n; i += 8) store(out + i, f(load(a + i), load(b + i)));
}

Vector add_modulo(Vector q, Vector a, Vector b) { return subtract_if_at_least(add(a, b), q); }

// a - b, or a - b + q where that is negative: the wrapped difference is the larger of the two.
Vector subtract_modulo(Vector q, Vector a, Vector b) {
  const Vector difference = subtract(a, b);
  return _mm512_min_epu64(difference, add(difference, q));
}

void add_limbs(const Modulus& modulus, u64* out, const u64* a, const u64* b, std::size_t n) {
  const Vector q = broadcast(modulus.value());
  map(out, a, b, n, [&](Vector x, Vector y) { return add_modulo(q, x, y); });
}

void subtract_limbs(const Modulus& modulus, u64* out, const u64* a, const u64* b, std::size_t n) {
  const Vector q = broadcast(modulus.value());
  map(out, a, b, n, [&](Vector x, Vector y) { return subtract_modulo(q, x, y); });
}

void negate(const Modulus& modulus, u64* out, const u64* a, std::size_t n) {
  const Vector q = broadcast(modulus.value());
  map(out, a, a, n, [&](Vector x, Vector) { return subtract_if_at_least(subtract(q, x), q); });
}

// a b / 2^52 in (0, 2q].
Vector product_montgomery_lazy(const Lanes& lanes, Vector a, Vector b) {
  return lanes.reduce_montgomery_lazy(hi52(zero(), a, b), lo52(zero(), a, b));
}

void multiply(const Modulus& modulus, u64* out, const u64* a, const u64* b, std::size_t n) {
  const Lanes lanes(modulus);
  const ShoupLanes radix(modulus.shoup(modulus.radix()));
  map(out, a, b, n, [&](Vector x, Vector y) {
    return lanes.canonical_from_two_q(lanes.multiply_lazy(radix, product_montgomery_lazy(lanes, x, y)));
  });
}

void multiply_constant(const Modulus& modulus, ShoupConstant constant, u64* out, const u64* a,
                       std::size_t n) {
  const Lanes lanes(modulus);
  const ShoupLanes w(constant);
  map(out, a, a, n, [&](Vector x, Vector) { return lanes.canonical_from_two_q(lanes.multiply_lazy(w, x)); });
}

void add_multiple(const Modulus& modulus, ShoupConstant constant, u64* out, const u64* a, std::size_t n) {
  const Lanes lanes(modulus);
  const ShoupLanes w(constant);
  map(out, out, a, n,
      [&](Vector sum, Vector x) { return lanes.canonical_from_four_q(add(sum, lanes.multiply_lazy(w, x))); });
}

void subtract_multiply(const Modulus& modulus, ShoupConstant constant, u64* out, const u64* a, const u64* b,
                       std::size_t n) {
  const Lanes lanes(modulus);
  const ShoupLanes w(constant);
  map(out, a, b, n, [&](Vector x, Vector y) {
    return lanes.canonical_from_two_q(lanes.multiply_lazy(w, subtract(add(x, lanes.q), y)));
  });
}

void permute(const Automorphism& automorphism, std::size_t first, u64* out, const u64* in, std::size_t n) {
  for (std::size_t i = 0; i < n; i += 8) {
    prefetch_permuted(automorphism, (first + i) / 8, &in, 1);
    store(out + i, Permuted(automorphism, (first + i) / 8).of(in));
  }
}

// --- sums of products --------------------------------------------------------------------------------------------------

// Terms that one reduction takes: the sum stays below 4q 2^52.
constexpr std::size_t kTermsPerReduction = 16;

// Terms that a shorter reduction takes: the sum stays below q 2^52, and the low halves' below 2^64.
std::size_t few_terms(const Modulus& q) {
  return std::min<std::size_t>((u64{1} << kRadixBits) / q.value(), std::size_t{1} << (64 - kRadixBits));
}

// The high and low halves of a running sum of products.
struct Sum {
  Vector low = zero(), high = zero();
  void add_product(Vector a, Vector b) {
    low = lo52(low, a, b);
    high = hi52(high, a, b);
  }
};

// The bytes of eight residues of kWidth bytes each, and where they go in eight words.
template <int kWidth>
struct Spread {
  static constexpr __mmask64 kKept = [] {
    __mmask64 mask = 0;
    for (int i = 0; i < 64; ++i) mask |= __mmask64{i % 8 < kWidth} << i;
    return mask;
  }();
  alignas(64) static constexpr std::array<std::uint8_t, 64> kOrder = [] {
    std::array<std::uint8_t, 64> order{};
    for (std::size_t i = 0; i < 64; ++i)
      order[i] = i % 8 < kWidth ? static_cast<std::uint8_t>(i / 8 * kWidth + i % 8) : 0;
    return order;
  }();
};

template <int kWidth>
Vector load_constant(const ConstantRows& rows, std::size_t place, std::size_t row) {
  const std::uint8_t* bytes = rows.at(place, row, kWidth);
  prefetch_constants(bytes);
  if constexpr (kWidth == 4) {
    return _mm512_cvtepu32_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes)));
  } else {
    const Vector order = _mm512_load_si512(Spread<kWidth>::kOrder.data());
    return _mm512_maskz_permutexvar_epi8(Spread<kWidth>::kKept, order, _mm512_loadu_si512(bytes));
  }
}

// Two columns of sums at once for eight places, from residues on: columns(j, sum0, sum1) adds term j to both.
struct TwoColumns {
  explicit TwoColumns(const Modulus& q) : lanes(q), few(few_terms(q)) {}

  template <class Columns>
  [[gnu::always_inline]] void operator()(std::size_t terms, Vector result0, Vector result1, u64* out0,
                                         u64* out1, const Columns& columns) const {
    if (terms <= few) {
      Sum sum0, sum1;
      for (std::size_t j = 0; j < terms; ++j) columns(j, sum0, sum1);
      result0 = add_modulo(lanes.q, result0, lanes.reduce_montgomery_below_q(sum0.high, sum0.low));
      result1 = add_modulo(lanes.q, result1, lanes.reduce_montgomery_below_q(sum1.high, sum1.low));
    } else {
      for (std::size_t first = 0; first < terms; first += kTermsPerReduction) {
        const std::size_t last = std::min(first + kTermsPerReduction, terms);
        Sum sum0, sum1;
        for (std::size_t j = first; j < last; ++j) columns(j, sum0, sum1);
        result0 = add_modulo(lanes.q, result0, lanes.reduce_montgomery(sum0.high, sum0.low));
        result1 = add_modulo(lanes.q, result1, lanes.reduce_montgomery(sum1.high, sum1.low));
      }
    }
    store(out0, result0);
    store(out1, result1);
  }

  Lanes lanes;
  std::size_t few;
};

// What addends add to the two residues at the places of block b.
struct NoAddend {
  void operator()(const Lanes&, std::size_t, Vector&, Vector&) const {}
};

struct WordsAddend {
  [[gnu::always_inline]] void operator()(const Lanes& lanes, std::size_t b, Vector& sum0,
                                         Vector& sum1) const {
    add_column(lanes, b, addend.c0, sum0);
    add_column(lanes, b, addend.c1, sum1);
  }
  [[gnu::always_inline]] void add_column(const Lanes& lanes, std::size_t b, const u64* words,
                                         Vector& sum) const {
    if (words == nullptr) return;
    Vector word;
    if (addend.permutation != nullptr) {
      prefetch_permuted(*addend.permutation, b, &words, 1);
      word = Permuted(*addend.permutation, b).of(words);
    } else {
      word = load(words + 8 * b);
    }
    sum = lanes.canonical_from_four_q(add(sum, lanes.multiply_lazy(factor, word)));
  }
  const KeyAddend& addend;
  ShoupLanes factor;
};

struct ProductAddend {
  [[gnu::always_inline]] void operator()(const Lanes& lanes, std::size_t b, Vector& sum0,
                                         Vector& sum1) const {
    const Vector c0 = lanes.multiply_lazy(factor, load(addend.c0 + 8 * b)),
                 c1 = lanes.multiply_lazy(factor, load(addend.c1 + 8 * b));
    const Vector b0 = load(addend.b0 + 8 * b), b1 = load(addend.b1 + 8 * b);
    Sum d0, d1;
    d0.add_product(c0, b0);
    d1.add_product(c0, b1);
    d1.add_product(c1, b0);
    sum0 = add_modulo(lanes.q, sum0, lanes.reduce_montgomery(d0.high, d0.low));
    sum1 = add_modulo(lanes.q, sum1, lanes.reduce_montgomery(d1.high, d1.low));
  }
  const KeyAddend& addend;
  ShoupLanes factor;  // in Montgomery form, which makes up for the division by 2^52 of a sum's reduction
};

template <int kWidth, class Addend>
void key_product_onto(const Addend& addend, const Modulus& modulus, const KeyProduct& p, std::size_t n) {
  const TwoColumns two_columns(modulus);
  for (std::size_t i = 0; i < n; i += 8) {
    const std::size_t block = (p.first + i) / 8;
    Vector start0 = p.accumulate ? load(p.out0 + i) : zero(),
           start1 = p.accumulate ? load(p.out1 + i) : zero();
    addend(two_columns.lanes, block, start0, start1);
    auto run = [&](const auto& word) {
      two_columns(p.terms, start0, start1, p.out0 + i, p.out1 + i, [&](std::size_t j, Sum& sum0, Sum& sum1) {
        const Vector x = word(p.x[j]);
        sum0.add_product(x, load_constant<kWidth>(p.key0, i, j));
        sum1.add_product(x, load_constant<kWidth>(p.key1, i, j));
      });
    };
    if (p.permutation != nullptr) {
      const Permuted permuted(*p.permutation, block);
      prefetch_permuted(*p.permutation, block, p.x, p.terms);
      run([&](const u64* x) { return permuted.of(x); });
    } else {
      run([&](const u64* x) { return load(x + p.first + i); });
    }
  }
}

void key_product(const Modulus& q, const KeyProduct& p, std::size_t n) {
  const KeyAddend& addend = p.addend;
  with_constant_width(q, [&](auto width) {
    if (addend.b0 != nullptr) {
      const ShoupLanes factor(q.shoup(q.to_montgomery(addend.factor.value)));
      key_product_onto<width>(ProductAddend{addend, factor}, q, p, n);
    } else if (addend.c0 != nullptr || addend.c1 != nullptr) {
      key_product_onto<width>(WordsAddend{addend, ShoupLanes(addend.factor)}, q, p, n);
    } else {
      key_product_onto<width>(NoAddend{}, q, p, n);
    }
  });
}

template <int kWidth>
void plain_product_of_width(const Modulus& modulus, const PlainProduct& p, std::size_t n) {
  const TwoColumns two_columns(modulus);
  constexpr std::size_t kPair = PlainProduct::kScratchWords, kAhead = 16;
  for (std::size_t i = 0; i < n; i += 8) {
    // The factors at these places side by side, where one address finds both halves.
    for (std::size_t f = 0; f < p.factors; ++f) {
      store(p.scratch + kPair * f, load(p.x0[f] + i));
      store(p.scratch + kPair * f + 8, load(p.x1[f] + i));
    }
    std::size_t first = 0;
    std::size_t asked = 0;
    for (std::size_t g = 0; g < p.groups; ++g) {
      // Those at later places, a few with every group: the caches do not take many requests at once.
      for (; asked * p.groups < (g + 1) * p.factors; ++asked) {
        __builtin_prefetch(p.x0[asked] + i + kAhead, /*rw=*/0, /*locality=*/2);
        __builtin_prefetch(p.x1[asked] + i + kAhead, /*rw=*/0, /*locality=*/2);
      }
      two_columns(p.ends[g] - first, zero(), zero(), p.out0[g] + i, p.out1[g] + i,
                  [&](std::size_t j, Sum& sum0, Sum& sum1) {
                    const Vector plain = load_constant<kWidth>(p.plain, i, first + j);
                    const u64* x = p.scratch + kPair * p.factor[first + j];
                    sum0.add_product(plain, load(x));
                    sum1.add_product(plain, load(x + 8));
                  });
      first = p.ends[g];
    }
  }
}

void plain_product(const Modulus& q, const PlainProduct& p, std::size_t n) {
  with_constant_width(q, [&](auto width) { plain_product_of_width<width>(q, p, n); });
}

void tensor_product(const Modulus& modulus, const TensorProduct& p, std::size_t n) {
  const Lanes lanes(modulus);
  const ShoupLanes radix(modulus.shoup(modulus.radix()));
  for (std::size_t i = 0; i < n; i += 8) {
    // One factor in Montgomery form, in [0, 2q), makes up for the division by 2^52 of what follows.
    const Vector a0 = lanes.multiply_lazy(radix, load(p.a0 + i)),
                 a1 = lanes.multiply_lazy(radix, load(p.a1 + i));
    const Vector b0 = load(p.b0 + i), b1 = load(p.b1 + i);
    Sum d0, d1, d2;
    d0.add_product(a0, b0);
    d1.add_product(a0, b1);
    d1.add_product(a1, b0);
    d2.add_product(a1, b1);
    store(p.d0 + i, lanes.canonical_from_four_q(lanes.reduce_montgomery_lazy(d0.high, d0.low)));
    store(p.d1 + i, lanes.canonical_from_four_q(lanes.reduce_montgomery_lazy(d1.high, d1.low)));
    store(p.d2 + i, lanes.canonical_from_four_q(lanes.reduce_montgomery_lazy(d2.high, d2.low)));
  }
}

// --- between primes ------------------------------------------------------------------------------------------------------

// Up to five terms, which key switching nearly always has, the fifth being a small one. Of numbers below 2^50 by numbers
// below q, four together are below 2^52 q, five below 4q 2^52.
template <std::size_t kTerms>
void convert_few(const Modulus& modulus, const BaseConversion& p, std::size_t n) {
  static_assert(kTerms <= 5);
  const Lanes lanes(modulus);
  const u64* y[kTerms];
  Vector factors[kTerms];
  for (std::size_t j = 0; j < kTerms; ++j) {
    y[j] = p.y[j] + p.first;
    factors[j] = broadcast(p.factors[j]);
  }
  for (std::size_t i = 0; i < n; i += 8) {
    Sum sum;
    for (std::size_t j = 0; j < kTerms; ++j) sum.add_product(load(y[j] + i), factors[j]);
    store(p.out + i, kTerms <= 4 ? lanes.reduce_montgomery_below_q(sum.high, sum.low)
                                 : lanes.reduce_montgomery(sum.high, sum.low));
  }
}

void convert_base(const Modulus& modulus, const BaseConversion& p, std::size_t n) {
  if (p.terms == 1) return convert_few<1>(modulus, p, n);
  if (p.terms == 2) return convert_few<2>(modulus, p, n);
  if (p.terms == 3) return convert_few<3>(modulus, p, n);
  if (p.terms == 4) return convert_few<4>(modulus, p, n);
  if (p.terms == 5) return convert_few<5>(modulus, p, n);
  const Lanes lanes(modulus);
  for (std::size_t i = 0; i < n; i += 8) {
    Vector result = zero();
    for (std::size_t first = 0; first < p.terms; first += kTermsPerReduction) {
      const std::size_t last = std::min(first + kTermsPerReduction, p.terms);
      Sum sum;
      for (std::size_t j = first; j < last; ++j)
        sum.add_product(load(p.y[j] + p.first + i), broadcast(p.factors[j]));
      result = add_modulo(lanes.q, result, lanes.reduce_montgomery(sum.high, sum.low));
    }
    store(p.out + i, result);
  }
}

void rounded_quotient(const RoundedQuotient& p, std::size_t n) {
  for (std::size_t i = 0; i < n; i += 8) {
    // Not fused, term after term: the sum must be the portable kernel's to the last bit.
    __m512d quotient = _mm512_setzero_pd();
    for (std::size_t j = 0; j < p.terms; ++j) {
      const __m512d y = _mm512_cvtepu64_pd(load(p.y[j] + i));
      quotient = _mm512_add_pd(quotient, _mm512_mul_pd(y, _mm512_set1_pd(p.inverses[j])));
    }
    // Truncation is the floor of what is never negative.
    store(p.out + i, _mm512_cvttpd_epu64(_mm512_add_pd(quotient, _mm512_set1_pd(0.5))));
  }
}

void lift_centred(u64 m, u64 offset, u64* out, const u64* a, std::size_t n) {
  const Vector half = broadcast(m / 2), low = broadcast(offset), high = broadcast(offset - m);
  map(out, a, a, n, [&](Vector x, Vector) {
    return add(x, _mm512_mask_mov_epi64(low, _mm512_cmpgt_epu64_mask(x, half), high));
  });
}

std::size_t sample_uniform(const Modulus& modulus, u64 threshold, u64* out, std::size_t capacity,
                           const u64* words, std::size_t n) {
  const Vector q = broadcast(modulus.value()), limit = broadcast(threshold);
  std::size_t count = 0, i = 0;
  for (; i < n && count + 8 <= capacity; i += 8) {
    const Vector word = _mm512_loadu_si512(words + i);  // the multiplier reads the low 52 bits only
    const __mmask8 accepted = _mm512_cmpge_epu64_mask(lo52(zero(), word, q), limit);
    // Compressed in a register: compressing into memory is microcode on Zen 4. What is stored too much is overwritten.
    _mm512_storeu_si512(out + count, _mm512_maskz_compress_epi64(accepted, hi52(zero(), word, q)));
    count += static_cast<std::size_t>(__builtin_popcount(accepted));
  }
  return count +
         kPortableKernels.sample_uniform(modulus, threshold, out + count, capacity - count, words + i, n - i);
}

}  // namespace
}  // namespace avx512

const Kernels kAvx512Kernels = {
    "avx512",
    avx512::available,
    avx512::forward_ntt,
    avx512::forward_ntt_streamed,
    avx512::inverse_ntt,
    avx512::add_limbs,
    avx512::subtract_limbs,
    avx512::negate,
    avx512::multiply,
    avx512::multiply_constant,
    avx512::add_multiple,
    avx512::subtract_multiply,
    avx512::permute,
    avx512::key_product,
    avx512::plain_product,
    avx512::scalar_product,
    avx512::tensor_product,
    avx512::convert_base,
    avx512::rounded_quotient,
    avx512::lift_centred,
    avx512::sample_uniform,
    avx512::keystream,
};

}  // namespace tacit::ring
