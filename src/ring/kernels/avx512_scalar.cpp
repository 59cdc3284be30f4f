// SPDX-License-Identifier: Apache-2.0
// The AVX-512 kernel for scalar products. Modulo primes of up to 31 bits a multiply-add is one 32-bit product and one
// addition; modulo longer ones it is two 52-bit multiply-adds. Either way the multiplier is what limits it: this file
// keeps it busy by holding the sums of a block's outputs in registers, over all inputs, for a panel of places.
#include "ring/kernels/avx512.h"
#include "ring/kernels/scalar_product.h"

namespace tacit::ring::avx512 {
namespace {

constexpr std::size_t kPanel = ScalarProduct::kPanel;

// --- primes of up to 31 bits -------------------------------------------------------------------------------------------

using Narrow = std::int32_t;

class NarrowLanes {
 public:
  explicit NarrowLanes(const Modulus& modulus)
      : range_(modulus),
        shift_(range_.wide ? kWideShift : 0),
        q_(broadcast(modulus.value())),
        minus_q_(broadcast((u64{1} << kRadixBits) - modulus.value())),
        quotient_(broadcast(static_cast<u64>((u128{1} << (kRadixBits + shift_)) / modulus.value()))),
        middle_(broadcast(range_.middle)),
        mask_(broadcast(kRadixMask)) {}

  std::size_t inputs_per_reduction(const Modulus& q, u64 window_sum) const {
    return range_.inputs_per_reduction(q, window_sum);
  }
  // A sum that stands for `residue` yet.
  Vector start(Vector residue) const { return add(middle_, residue); }
  // The quotient is too small by less than two: by its own fraction, and by what the bits shifted out are of q, at most
  // 2^(18-19), and the fraction of `quotient_` makes, 2^(64-18-52), or, without a shift, by that of `quotient_` alone.
  Vector reduce(Vector sum) const {
    const Vector quotient = hi52(zero(), _mm512_srli_epi64(sum, static_cast<unsigned>(shift_)), quotient_);
    return subtract_if_at_least(_mm512_and_si512(lo52(sum, quotient, minus_q_), mask_), q_);
  }

 private:
  static constexpr int kWideShift = 18;
  NarrowRange range_;
  int shift_;
  Vector q_, minus_q_, quotient_, middle_, mask_;
};

// Two vectors of residues as the representatives next to zero, in the even and the odd 32-bit lanes of one.
Vector interleave(Vector low, Vector high, Vector half, Vector q) {
  const Vector both = _mm512_or_si512(low, _mm512_slli_epi64(high, 32));
  return _mm512_mask_sub_epi32(both, _mm512_cmpgt_epi32_mask(both, half), both, q);
}

// Panel by panel, the places of all inputs one after the other.
void pack_narrow(const Modulus& modulus, const ScalarProduct& p, std::size_t n, Narrow* packed) {
  const Vector q = _mm512_set1_epi32(static_cast<int>(modulus.value()));
  const Vector half = _mm512_set1_epi32(static_cast<int>(modulus.value() / 2));
  const std::size_t inputs = p.inputs;
  for (std::size_t j = 0; j < inputs; ++j) {
    const u64 *x = p.x[j] + p.first, *ahead = input_ahead(p, j);
    Narrow* out = packed + j * kPanel;
    for (std::size_t i = 0; i < n; i += kPanel, out += inputs * kPanel) {
      for (std::size_t t = 0; t < kPanel; t += 8) __builtin_prefetch(ahead + i + t);
      _mm512_store_si512(out, interleave(load(x + i), load(x + i + 8), half, q));
      _mm512_store_si512(out + 16, interleave(load(x + i + 16), load(x + i + 24), half, q));
    }
  }
}

template <std::size_t kOutputs>
void multiply_narrow(const NarrowLanes& lanes, const ScalarRun<kOutputs>& run, const Narrow* panel,
                     std::size_t place) {
  constexpr std::size_t kVectors = 4;
  Vector sums[kOutputs][kVectors];
#pragma GCC unroll 8
  for (std::size_t o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v)
      sums[o][v] = lanes.start(run.first ? broadcast(run.start(o)) : load(run.out[o] + place + 8 * v));
  }
  const std::int64_t* weights = run.weights;
  std::size_t j = 0;
  do {
    const Narrow* x = panel + kPanel * run.input[j];
    const Vector low = _mm512_load_si512(x), high = _mm512_load_si512(x + 16);
    // A product reads the even 32-bit lanes.
    const Vector places[kVectors] = {low, _mm512_srli_epi64(low, 32), high, _mm512_srli_epi64(high, 32)};
#pragma GCC unroll 8
    for (std::size_t o = 0; o < kOutputs; ++o) {
      const Vector weight = broadcast(static_cast<u64>(weights[o]));
#pragma GCC unroll 8
      for (std::size_t v = 0; v < kVectors; ++v)
        sums[o][v] = add(sums[o][v], _mm512_mul_epi32(places[v], weight));
    }
    weights += kOutputs;
  } while (++j < run.inputs);
#pragma GCC unroll 8
  for (std::size_t o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v) store(run.out[o] + place + 8 * v, lanes.reduce(sums[o][v]));
  }
}

// --- longer primes -----------------------------------------------------------------------------------------------------

class WideLanes {
 public:
  explicit WideLanes(const Modulus& modulus)
      : inputs_per_reduction(
            std::min<std::size_t>(std::size_t{1} << (64 - kRadixBits),
                                  std::size_t{1} << std::min(63, 2 * (kRadixBits - modulus.bits())))),
        lanes_(modulus),
        radix_(modulus.shoup(modulus.radix())) {}

  // high 2^52 + low modulo q, for the halves of inputs_per_reduction products: their sum is below 2^104, so that the
  // high halves with the carry from the low ones are below 2^52.
  Vector reduce(Vector high, Vector low) const {
    const Vector upper = add(high, _mm512_srli_epi64(low, kRadixBits));
    const Vector sum = lanes_.multiply_add_open(lanes_.reduce_open(lanes_.close(low)), radix_, upper,
                                                radix_.quotient_of(upper));
    return lanes_.canonical_from_four_q(lanes_.close(sum));
  }
  Vector add_modulo(Vector a, Vector b) const { return subtract_if_at_least(add(a, b), lanes_.q); }

  const std::size_t inputs_per_reduction;

 private:
  Lanes lanes_;
  ShoupLanes radix_;
};

void pack_wide(const ScalarProduct& p, std::size_t n, u64* packed) {
  const std::size_t inputs = p.inputs;
  for (std::size_t j = 0; j < inputs; ++j) {
    const u64 *x = p.x[j] + p.first, *ahead = input_ahead(p, j);
    u64* out = packed + j * kPanel;
    for (std::size_t i = 0; i < n; i += kPanel, out += inputs * kPanel) {
      for (std::size_t t = 0; t < kPanel; t += 8) {
        __builtin_prefetch(ahead + i + t);
        store(out + t, load(x + i + t));
      }
    }
  }
}

// `x` is the first of sixteen places of a panel.
template <std::size_t kOutputs>
void multiply_wide(const WideLanes& lanes, const ScalarRun<kOutputs>& run, const u64* x, std::size_t place) {
  constexpr std::size_t kVectors = 2;
  Vector low[kOutputs][kVectors], high[kOutputs][kVectors];
#pragma GCC unroll 8
  for (std::size_t o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v) low[o][v] = high[o][v] = zero();
  }
  const std::int64_t* weights = run.weights;
  std::size_t j = 0;
  do {
    const u64* input = x + kPanel * run.input[j];
    const Vector places[kVectors] = {load(input), load(input + 8)};
#pragma GCC unroll 8
    for (std::size_t o = 0; o < kOutputs; ++o) {
      const Vector weight = broadcast(static_cast<u64>(weights[o]));
#pragma GCC unroll 8
      for (std::size_t v = 0; v < kVectors; ++v) {
        low[o][v] = lo52(low[o][v], places[v], weight);
        high[o][v] = hi52(high[o][v], places[v], weight);
      }
    }
    weights += kOutputs;
  } while (++j < run.inputs);
#pragma GCC unroll 8
  for (std::size_t o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v) {
      u64* out = run.out[o] + place + 8 * v;
      const Vector before = run.first ? broadcast(run.start(o)) : load(out);
      store(out, lanes.add_modulo(before, lanes.reduce(high[o][v], low[o][v])));
    }
  }
}

}  // namespace

void scalar_product(const Modulus& modulus, const ScalarProduct& p, std::size_t n) {
  if (ScalarProduct::narrow(modulus)) {
    const NarrowLanes lanes(modulus);
    auto* packed = reinterpret_cast<Narrow*>(p.scratch);
    pack_narrow(modulus, p, n, packed);
    for_each_run(p, lanes.inputs_per_reduction(modulus, p.window_sum),
                 [&]<std::size_t kOutputs>(const ScalarRun<kOutputs>& run) {
                   for (std::size_t i = 0; i < n; i += kPanel)
                     multiply_narrow<kOutputs>(lanes, run, packed + i * p.inputs, p.first + i);
                 });
    return;
  }
  const WideLanes lanes(modulus);
  pack_wide(p, n, p.scratch);
  for_each_run(p, lanes.inputs_per_reduction, [&]<std::size_t kOutputs>(const ScalarRun<kOutputs>& run) {
    for (std::size_t i = 0; i < n; i += kPanel) {
      for (std::size_t half = 0; half < kPanel; half += 16)
        multiply_wide<kOutputs>(lanes, run, p.scratch + i * p.inputs + half, p.first + i + half);
    }
  });
}

}  // namespace tacit::ring::avx512
