// SPDX-License-Identifier: Apache-2.0
// The AVX2 kernels but for the transforms.
#include "ring/kernels/avx2_sums.h"

#include <algorithm>
#include <array>
#include <optional>

namespace tacit::ring {
namespace avx2 {
namespace {

bool available() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

// out = f(a, b) vector by vector, on words.
template <class F>
void map(u64* out, const u64* a, const u64* b, std::size_t n, const F& f) {
  for (std::size_t i = 0; i < n; i += 4) store(out + i, f(load(a + i), load(b + i)));
}

// x where it is not negative, else y: chosen by the sign.
Words unless_negative(Words x, Words y) {
  const Vector sign = _mm256_castsi256_pd(x);
  return _mm256_castpd_si256(_mm256_blendv_pd(sign, _mm256_castsi256_pd(y), sign));
}

void add_limbs(const Modulus& modulus, u64* out, const u64* a, const u64* b, std::size_t n) {
  const Words q = broadcast(modulus.value());
  map(out, a, b, n, [&](Words x, Words y) {
    const Words sum = _mm256_add_epi64(x, y);
    return unless_negative(_mm256_sub_epi64(sum, q), sum);
  });
}

void subtract_limbs(const Modulus& modulus, u64* out, const u64* a, const u64* b, std::size_t n) {
  const Words q = broadcast(modulus.value());
  map(out, a, b, n, [&](Words x, Words y) {
    const Words difference = _mm256_sub_epi64(x, y);
    return unless_negative(difference, _mm256_add_epi64(difference, q));
  });
}

void negate(const Modulus& modulus, u64* out, const u64* a, std::size_t n) {
  const Words q = broadcast(modulus.value());
  map(out, a, a, n, [&](Words x, Words) {
    return _mm256_andnot_si256(_mm256_cmpeq_epi64(x, _mm256_setzero_si256()), _mm256_sub_epi64(q, x));
  });
}

void multiply(const Modulus& modulus, u64* out, const u64* a, const u64* b, std::size_t n) {
  const Lanes lanes(modulus);
  map(out, a, b, n,
      [&](Words x, Words y) { return lanes.canonical(lanes.multiply(to_doubles(x), to_doubles(y))); });
}

void multiply_constant(const Modulus& modulus, ShoupConstant constant, u64* out, const u64* a,
                       std::size_t n) {
  const Lanes lanes(modulus);
  const Factor w = lanes.factor_centred(constant.value);
  map(out, a, a, n, [&](Words x, Words) { return lanes.canonical(lanes.multiply(to_doubles(x), w)); });
}

void add_multiple(const Modulus& modulus, ShoupConstant constant, u64* out, const u64* a, std::size_t n) {
  const Lanes lanes(modulus);
  const Factor w = lanes.factor_centred(constant.value);
  map(out, out, a, n, [&](Words sum, Words x) {
    return lanes.canonical(lanes.reduce(add(to_doubles(sum), lanes.multiply(to_doubles(x), w))));
  });
}

void subtract_multiply(const Modulus& modulus, ShoupConstant constant, u64* out, const u64* a, const u64* b,
                       std::size_t n) {
  const Lanes lanes(modulus);
  const Factor w = lanes.factor_centred(constant.value);
  map(out, a, b, n, [&](Words x, Words y) {
    return lanes.canonical(lanes.multiply(subtract(to_doubles(x), to_doubles(y)), w));
  });
}

void permute(const Automorphism& automorphism, std::size_t first, u64* out, const u64* in, std::size_t n) {
  const BlockPermutation permutation(automorphism);
  for (std::size_t i = 0; i < n; i += 8) {
    store(out + i, permutation.words(in, (first + i) / 8, 0));
    store(out + i + 4, permutation.words(in, (first + i) / 8, 1));
  }
}

// --- sums of products --------------------------------------------------------------------------------------------------

// Four residues of kWidth bytes each: two in either half of the vector, from where they are shifted into words.
template <int kWidth>
Words load_constant(const ConstantRows& rows, std::size_t place, std::size_t row) {
  const std::uint8_t* bytes = rows.at(place, row, kWidth);
  prefetch_constants(bytes);
  if constexpr (kWidth == 4) {
    return _mm256_cvtepu32_epi64(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
  } else {
    alignas(32) static constexpr auto kOrder = [] {
      std::array<std::uint8_t, 32> order{};
      for (std::size_t i = 0; i < 32; ++i)
        order[i] = static_cast<std::uint8_t>(i % 8 < kWidth ? i % 16 / 8 * kWidth + i % 8 : 0x80);
      return order;
    }();
    const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
    const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + std::size_t{2} * kWidth));
    return _mm256_shuffle_epi8(_mm256_set_m128i(high, low),
                               _mm256_load_si256(reinterpret_cast<const __m256i*>(kOrder.data())));
  }
}

// Two columns of sums at once for eight places: start(c, half) is what that of column c starts from at four of them, of
// magnitude below 3q, and add_term(j, half, sum0, sum1) adds term j to both.
template <class Sums, class Start, class AddTerm>
void two_columns(const Lanes& lanes, const Sums& sums, std::size_t terms, u64* out0, u64* out1,
                 const Start& start, const AddTerm& add_term) {
  u64* const out[2] = {out0, out1};
  Vector result[2][2];  // column, half
  for (std::size_t c = 0; c < 2; ++c) {
    for (std::size_t half = 0; half < 2; ++half) result[c][half] = start(c, half);
  }
  for (std::size_t first = 0; first < terms; first += sums.terms_per_reduction) {
    const std::size_t last = std::min(first + sums.terms_per_reduction, terms);
    typename Sums::Sum sum[2][2] = {{sums.start(), sums.start()}, {sums.start(), sums.start()}};
    for (std::size_t j = first; j < last; ++j) {
      add_term(j, std::size_t{0}, sum[0][0], sum[1][0]);
      add_term(j, std::size_t{1}, sum[0][1], sum[1][1]);
    }
    for (std::size_t c = 0; c < 2; ++c) {
      for (std::size_t half = 0; half < 2; ++half)
        result[c][half] = lanes.reduce(add(result[c][half], sums.reduce_montgomery(sum[c][half])));
    }
  }
  for (std::size_t c = 0; c < 2; ++c) {
    for (std::size_t half = 0; half < 2; ++half) store(out[c] + 4 * half, lanes.canonical(result[c][half]));
  }
}

// Calls run(lanes, sums, the width of constants as a type) with the sums that are fastest for the prime.
template <class Run>
void with_sums(const Modulus& modulus, const Run& run) {
  const Lanes lanes(modulus);
  if (modulus.bits() <= NarrowSums::kMaxBits) {
    return run(lanes, NarrowSums(lanes, modulus), std::integral_constant<int, 4>{});
  }
  const WideSums sums(lanes, modulus, modulus.bits());
  with_constant_width(modulus, [&](auto width) { run(lanes, sums, width); });
}

void key_product(const Modulus& modulus, const KeyProduct& p, std::size_t n) {
  std::optional<BlockPermutation> permutation, addend_permutation;
  if (p.permutation != nullptr) permutation.emplace(*p.permutation);
  if (p.addend.permutation != nullptr) addend_permutation.emplace(*p.addend.permutation);
  const u64 *const outs[2] = {p.out0, p.out1}, *const addends[2] = {p.addend.c0, p.addend.c1};
  with_sums(modulus, [&](const Lanes& lanes, const auto& sums, auto width) {
    const Factor factor = lanes.factor_centred(p.addend.factor.value);
    const auto run = [&](const auto& words, const auto& addend) {
      for (std::size_t i = 0; i < n; i += 8) {
        two_columns(
            lanes, sums, p.terms, p.out0 + i, p.out1 + i,
            [&](std::size_t c, std::size_t half) {
              const Vector old =
                  p.accumulate ? to_doubles(load(outs[c] + i + 4 * half)) : _mm256_setzero_pd();
              return add(old, addend(c, i, half));
            },
            [&](std::size_t j, std::size_t half, auto& sum0, auto& sum1) {
              const auto x = sums.operand(words(p.x[j], i, half));
              const std::size_t at = i + 4 * half;
              sums.add_product(sum0, x, sums.operand(load_constant<width>(p.key0, at, j)));
              sums.add_product(sum1, x, sums.operand(load_constant<width>(p.key1, at, j)));
            });
      }
    };
    const auto run_onto = [&](const auto& addend) {
      if (permutation) {
        run([&](const u64* x, std::size_t i,
                std::size_t half) { return permutation->words(x, (p.first + i) / 8, half); },
            addend);
      } else {
        run([&](const u64* x, std::size_t i, std::size_t half) { return load(x + p.first + i + 4 * half); },
            addend);
      }
    };
    if (p.addend.b0 != nullptr) {
      run_onto([&](std::size_t c, std::size_t i, std::size_t half) {
        const std::size_t at = p.first + i + 4 * half;
        const auto product = [&](const u64* x, const u64* y) {
          return lanes.multiply(lanes.multiply(to_doubles(load(x + at)), factor), to_doubles(load(y + at)));
        };
        return c == 0 ? product(p.addend.c0, p.addend.b0)
                      : add(product(p.addend.c0, p.addend.b1), product(p.addend.c1, p.addend.b0));
      });
    } else if (p.addend.c0 != nullptr || p.addend.c1 != nullptr) {
      run_onto([&](std::size_t c, std::size_t i, std::size_t half) {
        if (addends[c] == nullptr) return _mm256_setzero_pd();
        const Words words = addend_permutation
                                ? addend_permutation->words(addends[c], (p.first + i) / 8, half)
                                : load(addends[c] + p.first + i + 4 * half);
        return lanes.multiply(to_doubles(words), factor);
      });
    } else {
      run_onto([](std::size_t, std::size_t, std::size_t) { return _mm256_setzero_pd(); });
    }
  });
}

void plain_product(const Modulus& modulus, const PlainProduct& p, std::size_t n) {
  with_sums(modulus, [&](const Lanes& lanes, const auto& sums, auto width) {
    for (std::size_t i = 0; i < n; i += 8) {
      std::size_t first = 0;
      for (std::size_t g = 0; g < p.groups; ++g) {
        two_columns(
            lanes, sums, p.ends[g] - first, p.out0[g] + i, p.out1[g] + i,
            [](std::size_t, std::size_t) { return _mm256_setzero_pd(); },
            [&](std::size_t j, std::size_t half, auto& sum0, auto& sum1) {
              const std::size_t at = i + 4 * half, term = first + j;
              const auto plain = sums.operand(load_constant<width>(p.plain, at, term));
              sums.add_product(sum0, sums.operand(load(p.x0[p.factor[term]] + at)), plain);
              sums.add_product(sum1, sums.operand(load(p.x1[p.factor[term]] + at)), plain);
            });
        first = p.ends[g];
      }
    }
  });
}

void tensor_product(const Modulus& modulus, const TensorProduct& p, std::size_t n) {
  const Lanes lanes(modulus);
  for (std::size_t i = 0; i < n; i += 4) {
    const Vector a0 = to_doubles(load(p.a0 + i)), a1 = to_doubles(load(p.a1 + i));
    const Vector b0 = to_doubles(load(p.b0 + i)), b1 = to_doubles(load(p.b1 + i));
    store(p.d0 + i, lanes.canonical(lanes.multiply(a0, b0)));
    store(p.d1 + i, lanes.canonical(lanes.reduce(add(lanes.multiply(a0, b1), lanes.multiply(a1, b0)))));
    store(p.d2 + i, lanes.canonical(lanes.multiply(a1, b1)));
  }
}

// --- between primes ------------------------------------------------------------------------------------------------------

void convert_base(const Modulus& modulus, const BaseConversion& p, std::size_t n) {
  const Lanes lanes(modulus);
  const WideSums sums(lanes, modulus, kMaxPrimeBits);
  for (std::size_t i = 0; i < n; i += 8) {
    Vector result[2] = {_mm256_setzero_pd(), _mm256_setzero_pd()};
    for (std::size_t first = 0; first < p.terms; first += sums.terms_per_reduction) {
      const std::size_t last = std::min(first + sums.terms_per_reduction, p.terms);
      WideSums::Sum sum[2] = {sums.start(), sums.start()};
      for (std::size_t j = first; j < last; ++j) {
        const Vector factor = to_doubles(broadcast(p.factors[j]));
        for (std::size_t half = 0; half < 2; ++half)
          sums.add_product(sum[half], to_doubles(load(p.y[j] + p.first + i + 4 * half)), factor);
      }
      for (std::size_t half = 0; half < 2; ++half)
        result[half] = lanes.reduce(add(result[half], sums.reduce_montgomery(sum[half])));
    }
    for (std::size_t half = 0; half < 2; ++half) store(p.out + i + 4 * half, lanes.canonical(result[half]));
  }
}

void rounded_quotient(const RoundedQuotient& p, std::size_t n) {
  for (std::size_t i = 0; i < n; i += 4) {
    // Not fused, term after term: the sum must be the portable kernel's to the last bit.
    Vector quotient = _mm256_setzero_pd();
    for (std::size_t j = 0; j < p.terms; ++j)
      quotient = add(quotient, _mm256_mul_pd(to_doubles(load(p.y[j] + i)), broadcast(p.inverses[j])));
    const Vector bias = broadcast(kIntegerBias), rounded = _mm256_floor_pd(add(quotient, broadcast(0.5)));
    store(p.out + i, _mm256_xor_si256(_mm256_castpd_si256(add(rounded, bias)), _mm256_castpd_si256(bias)));
  }
}

void lift_centred(u64 m, u64 offset, u64* out, const u64* a, std::size_t n) {
  const Words half = broadcast(m / 2), low = broadcast(offset), all = broadcast(m);
  map(out, a, a, n, [&](Words x, Words) {
    return _mm256_sub_epi64(_mm256_add_epi64(x, low), _mm256_and_si256(_mm256_cmpgt_epi64(x, half), all));
  });
}

// For each set of lanes, as a bit mask, the order that moves their words to the front, as 32-bit halves.
constexpr auto kCompressions = [] {
  std::array<std::array<std::uint32_t, 8>, 16> orders{};
  for (std::uint32_t mask = 0; mask < 16; ++mask) {
    std::size_t front = 0;
    for (std::uint32_t lane = 0; lane < 4; ++lane) {
      if ((mask >> lane & 1) == 0) continue;
      orders[mask][2 * front] = 2 * lane;
      orders[mask][2 * front++ + 1] = 2 * lane + 1;
    }
  }
  return orders;
}();

std::size_t sample_uniform(const Modulus& modulus, u64 threshold, u64* out, std::size_t capacity,
                           const u64* words, std::size_t n) {
  const Vector q = broadcast(static_cast<double>(modulus.value()));
  const Vector limit = broadcast(static_cast<double>(threshold));
  // Added to a product below 2^102, it leaves the product's multiple of 2^52, rounded, in the low bits.
  const Vector bias = broadcast(0x1p104);
  const Words mask = broadcast(kRadixMask);
  std::size_t count = 0, i = 0;
  for (; i < n && count + 4 <= capacity; i += 4) {
    const Vector r = to_doubles(_mm256_and_si256(load(words + i), mask));
    const Vector high = _mm256_fmadd_pd(r, q, bias);
    Vector low = _mm256_fmsub_pd(r, q, subtract(high, bias));
    // Rounded up where the rest is negative.
    const Vector negative = _mm256_cmp_pd(low, _mm256_setzero_pd(), _CMP_LT_OQ);
    low = add(low, _mm256_and_pd(negative, broadcast(0x1p52)));
    const Words quotient =
        _mm256_add_epi64(_mm256_and_si256(_mm256_castpd_si256(high), mask), _mm256_castpd_si256(negative));
    const auto accepted = static_cast<unsigned>(_mm256_movemask_pd(_mm256_cmp_pd(low, limit, _CMP_GE_OQ)));
    const Words order = _mm256_loadu_si256(reinterpret_cast<const Words*>(kCompressions[accepted].data()));
    _mm256_storeu_si256(reinterpret_cast<Words*>(out + count), _mm256_permutevar8x32_epi32(quotient, order));
    count += static_cast<std::size_t>(__builtin_popcount(accepted));
  }
  return count +
         kPortableKernels.sample_uniform(modulus, threshold, out + count, capacity - count, words + i, n - i);
}

// libsodium's own has an AVX2 form.
void keystream(const std::uint8_t key[32], u64 first, std::uint8_t* out, std::size_t count) {
  kPortableKernels.keystream(key, first, out, count);
}

}  // namespace
}  // namespace avx2

const Kernels kAvx2Kernels = {
    "avx2",
    avx2::available,
    avx2::forward_ntt,
    avx2::forward_ntt_streamed,
    avx2::inverse_ntt,
    avx2::add_limbs,
    avx2::subtract_limbs,
    avx2::negate,
    avx2::multiply,
    avx2::multiply_constant,
    avx2::add_multiple,
    avx2::subtract_multiply,
    avx2::permute,
    avx2::key_product,
    avx2::plain_product,
    avx2::scalar_product,
    avx2::tensor_product,
    avx2::convert_base,
    avx2::rounded_quotient,
    avx2::lift_centred,
    avx2::sample_uniform,
    avx2::keystream,
};

}  // namespace tacit::ring
