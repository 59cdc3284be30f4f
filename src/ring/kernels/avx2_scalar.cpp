// SPDX-License-Identifier: Apache-2.0
// The AVX2 kernel for scalar products.
#include "ring/kernels/avx2_sums.h"
#include "ring/kernels/scalar_product.h"

namespace tacit::ring::avx2 {
namespace {

// --- primes of up to 31 bits -------------------------------------------------------------------------------------------

using Narrow = std::int32_t;

inline Words load_narrow(const Narrow* p) { return _mm256_load_si256(reinterpret_cast<const Words*>(p)); }

class NarrowLanes {
 public:
  explicit NarrowLanes(const Modulus& modulus)
      : range_(modulus),
        q_(_mm256_set1_epi32(static_cast<int>(modulus.value()))),
        inverse_(broadcast(1.0 / static_cast<double>(modulus.value()))),
        middle_(broadcast(range_.middle)) {}

  std::size_t inputs_per_reduction(const Modulus& q, u64 window_sum) const {
    return range_.inputs_per_reduction(q, window_sum);
  }
  Words start(Words residue) const { return _mm256_add_epi64(middle_, residue); }
  // As a double the sum is off by one part in 2^53, so the quotient by 2^12 / q and its rounding, and the remainder is of
  // magnitude below 2^31: its low 32 bits are enough.
  Words reduce(Words sum) const {
    const Words high_bias = _mm256_castpd_si256(broadcast(0x1p84)),
                low_bias = _mm256_castpd_si256(broadcast(0x1p52));
    const Vector high = subtract(_mm256_castsi256_pd(_mm256_or_si256(_mm256_srli_epi64(sum, 32), high_bias)),
                                 broadcast(0x1p84 + 0x1p52));
    const Vector low = _mm256_castsi256_pd(_mm256_blend_epi32(sum, low_bias, 0xAA));
    const Words quotient =
        _mm256_castpd_si256(_mm256_fmadd_pd(add(high, low), inverse_, broadcast(kRoundingBias)));
    const Words remainder = _mm256_sub_epi64(sum, _mm256_mul_epu32(quotient, q_));
    const Words positive =
        _mm256_add_epi32(remainder, _mm256_and_si256(_mm256_srai_epi32(remainder, 31), q_));
    return _mm256_blend_epi32(positive, _mm256_setzero_si256(), 0xAA);
  }

 private:
  NarrowRange range_;
  Words q_;
  Vector inverse_;
  Words middle_;
};

constexpr std::size_t kPlaces = 8;  // of a panel

void pack_narrow(const Modulus& modulus, const ScalarProduct& p, std::size_t n, Narrow* packed) {
  const Words q = _mm256_set1_epi32(static_cast<int>(modulus.value()));
  const Words half = _mm256_set1_epi32(static_cast<int>(modulus.value() / 2));
  const std::size_t inputs = p.inputs;
  for (std::size_t j = 0; j < inputs; ++j) {
    const u64 *x = p.x[j] + p.first, *ahead = input_ahead(p, j);
    Narrow* out = packed + j * kPlaces;
    for (std::size_t i = 0; i < n; i += kPlaces, out += inputs * kPlaces) {
      __builtin_prefetch(ahead + i);
      const Words both = _mm256_or_si256(load(x + i), _mm256_slli_epi64(load(x + i + 4), 32));
      const Words centred = _mm256_sub_epi32(both, _mm256_and_si256(_mm256_cmpgt_epi32(both, half), q));
      _mm256_store_si256(reinterpret_cast<Words*>(out), centred);
    }
  }
}

template <std::size_t kOutputs>
void multiply_narrow(const NarrowLanes& lanes, const ScalarRun<kOutputs>& run, const Narrow* panel,
                     std::size_t place) {
  Words even[kOutputs], odd[kOutputs];
#pragma GCC unroll 8
  for (std::size_t o = 0; o < kOutputs; ++o) {
    const u64* out = run.out[o] + place;
    even[o] = lanes.start(run.first ? broadcast(run.start(o)) : load(out));
    odd[o] = lanes.start(run.first ? broadcast(run.start(o)) : load(out + 4));
  }
  const std::int64_t* weights = run.weights;
  std::size_t j = 0;
  do {
    const Words x = load_narrow(panel + kPlaces * run.input[j]);
    const Words shifted = _mm256_srli_epi64(x, 32);
#pragma GCC unroll 8
    for (std::size_t o = 0; o < kOutputs; ++o) {
      const Words weight = broadcast(static_cast<u64>(weights[o]));
      even[o] = _mm256_add_epi64(even[o], _mm256_mul_epi32(x, weight));
      odd[o] = _mm256_add_epi64(odd[o], _mm256_mul_epi32(shifted, weight));
    }
    weights += kOutputs;
  } while (++j < run.inputs);
#pragma GCC unroll 8
  for (std::size_t o = 0; o < kOutputs; ++o) {
    store(run.out[o] + place, lanes.reduce(even[o]));
    store(run.out[o] + place + 4, lanes.reduce(odd[o]));
  }
}

// --- as doubles ----------------------------------------------------------------------------------------------------------

// Sums that stay below 2^53, so that one fused multiply-add makes each exactly: for small weights, since of two factors of
// 27 bits not even two products fit. Where they do, it halves the work: these processors start as many or twice as many
// multiply-adds as products of integers, and those take an addition each.
class DoubleSums {
 public:
  static constexpr std::size_t kVectors = 2;
  struct Sum {
    Vector total;
  };

  // Inputs are the representatives next to zero.
  DoubleSums(const Modulus& q, u64 window_sum)
      : terms_per_reduction(ScalarProduct::kWindow *
                            (((u64{1} << 53) - q.value()) / (q.value() / 2) / std::max<u64>(1, window_sum))) {
  }

  Sum start() const { return {_mm256_setzero_pd()}; }
  void add_product(Sum& sum, Vector a, Vector b) const { sum.total = _mm256_fmadd_pd(a, b, sum.total); }
  Vector reduce(const Sum& sum) const { return sum.total; }

  const std::size_t terms_per_reduction;
};

// Sums of products of longer numbers.
class LongSums : public WideSums {
 public:
  static constexpr std::size_t kVectors = 1;
  LongSums(const Lanes& lanes, const Modulus& q) : WideSums(lanes, q, q.bits()) {}
};

// Residues above q/2 less `subtrahend`.
void pack_doubles(const Lanes& lanes, Vector subtrahend, const ScalarProduct& p, std::size_t n,
                  double* packed) {
  const std::size_t inputs = p.inputs;
  for (std::size_t j = 0; j < inputs; ++j) {
    const u64 *x = p.x[j] + p.first, *ahead = input_ahead(p, j);
    double* out = packed + j * kPlaces;
    for (std::size_t i = 0; i < n; i += kPlaces, out += inputs * kPlaces) {
      __builtin_prefetch(ahead + i);
      for (std::size_t t = 0; t < kPlaces; t += 4) {
        const Vector residue = to_doubles(load(x + i + t));
        const Vector above = _mm256_cmp_pd(residue, lanes.half_q, _CMP_GT_OQ);
        _mm256_store_pd(out + t, subtract(residue, _mm256_and_pd(above, subtrahend)));
      }
    }
  }
}

// `weights` are those of the run; `x` is the first of 4 kVectors places of a panel.
template <std::size_t kOutputs, class Sums>
void multiply_doubles(const Lanes& lanes, const Sums& sums, const ScalarRun<kOutputs>& run,
                      const double* weights, const double* x, std::size_t place) {
  typename Sums::Sum sum[kOutputs][Sums::kVectors];
#pragma GCC unroll 8
  for (std::size_t o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 8
    for (std::size_t v = 0; v < Sums::kVectors; ++v) sum[o][v] = sums.start();
  }
  std::size_t j = 0;
  do {
    const double* input = x + kPlaces * run.input[j];
    Vector places[Sums::kVectors];
#pragma GCC unroll 8
    for (std::size_t v = 0; v < Sums::kVectors; ++v) places[v] = _mm256_load_pd(input + 4 * v);
#pragma GCC unroll 8
    for (std::size_t o = 0; o < kOutputs; ++o) {
      const Vector weight = broadcast(weights[o]);
#pragma GCC unroll 8
      for (std::size_t v = 0; v < Sums::kVectors; ++v) sums.add_product(sum[o][v], places[v], weight);
    }
    weights += kOutputs;
  } while (++j < run.inputs);
#pragma GCC unroll 8
  for (std::size_t o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 8
    for (std::size_t v = 0; v < Sums::kVectors; ++v) {
      u64* out = run.out[o] + place + 4 * v;
      const Words before = run.first ? broadcast(run.start(o)) : load(out);
      store(out, lanes.canonical(lanes.reduce(add(to_doubles(before), sums.reduce(sum[o][v])))));
    }
  }
}

template <class Sums>
void product_of_doubles(const Lanes& lanes, const Sums& sums, Vector subtrahend, const ScalarProduct& p,
                        std::size_t n) {
  auto* packed = reinterpret_cast<double*>(p.scratch);
  double* weights = packed + n * p.inputs;
  pack_doubles(lanes, subtrahend, p, n, packed);
  for_each_run(p, sums.terms_per_reduction, [&]<std::size_t kOutputs>(const ScalarRun<kOutputs>& run) {
    for (std::size_t k = 0; k < run.inputs * kOutputs; ++k) weights[k] = static_cast<double>(run.weights[k]);
    for (std::size_t i = 0; i < n; i += kPlaces) {
      for (std::size_t t = 0; t < kPlaces; t += 4 * Sums::kVectors)
        multiply_doubles(lanes, sums, run, weights, packed + i * p.inputs + t, p.first + i + t);
    }
  });
}

}  // namespace

void scalar_product(const Modulus& modulus, const ScalarProduct& p, std::size_t n) {
  // A reduction takes about as long as five products of integers.
  constexpr std::size_t kLeastTerms = 2 * ScalarProduct::kWindow;
  const Lanes lanes(modulus);
  if (!ScalarProduct::narrow(modulus))
    return product_of_doubles(lanes, LongSums(lanes, modulus), _mm256_setzero_pd(), p, n);
  const DoubleSums sums(modulus, p.window_sum);
  if (sums.terms_per_reduction >= kLeastTerms) return product_of_doubles(lanes, sums, lanes.q, p, n);
  const NarrowLanes narrow(modulus);
  auto* packed = reinterpret_cast<Narrow*>(p.scratch);
  pack_narrow(modulus, p, n, packed);
  for_each_run(p, narrow.inputs_per_reduction(modulus, p.window_sum),
               [&]<std::size_t kOutputs>(const ScalarRun<kOutputs>& run) {
                 for (std::size_t i = 0; i < n; i += kPlaces)
                   multiply_narrow<kOutputs>(narrow, run, packed + i * p.inputs, p.first + i);
               });
}

}  // namespace tacit::ring::avx2
