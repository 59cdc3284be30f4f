// SPDX-License-Identifier: Apache-2.0
// The definition of every kernel, in plain C++.
#include <cmath>

#include "ring/kernels/kernels.h"

namespace tacit::ring {
namespace {

bool available() { return true; }

// Cooley-Tukey butterflies with values in [0, 4q) (Harvey 2014, section 3), decimation in time, natural to bit-reversed.
void forward_ntt(const NttTable& table, u64* a) {
  const Modulus& modulus = table.modulus;
  const u64 q = modulus.value(), two_q = 2 * q;
  const std::size_t n = table.degree();
  for (std::size_t blocks = 1, half = n / 2; blocks < n; blocks *= 2, half /= 2) {
    for (std::size_t block = 0; block < blocks; ++block) {
      const ShoupConstant w{table.roots[blocks + block], table.root_quotients[blocks + block]};
      u64* x = a + 2 * block * half;
      u64* y = x + half;
      for (std::size_t i = 0; i < half; ++i) {
        u64 u = x[i] >= two_q ? x[i] - two_q : x[i];
        u64 v = modulus.multiply_shoup_lazy(w, y[i]);
        x[i] = u + v;
        y[i] = u + two_q - v;
      }
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    u64 r = a[i] >= two_q ? a[i] - two_q : a[i];
    a[i] = r >= q ? r - q : r;
  }
}

// Gentleman-Sande butterflies with values in [0, 2q); the last stage divides by N.
void inverse_ntt(const NttTable& table, u64* a) {
  const Modulus& modulus = table.modulus;
  const u64 q = modulus.value(), two_q = 2 * q;
  const std::size_t n = table.degree();
  for (std::size_t blocks = n / 2, half = 1; blocks > 1; blocks /= 2, half *= 2) {
    for (std::size_t block = 0; block < blocks; ++block) {
      const ShoupConstant w{table.inverse_roots[blocks + block],
                            table.inverse_root_quotients[blocks + block]};
      u64* x = a + 2 * block * half;
      u64* y = x + half;
      for (std::size_t i = 0; i < half; ++i) {
        u64 sum = x[i] + y[i];
        u64 difference = x[i] + two_q - y[i];
        x[i] = sum >= two_q ? sum - two_q : sum;
        y[i] = modulus.multiply_shoup_lazy(w, difference);
      }
    }
  }
  for (std::size_t i = 0; i < n / 2; ++i) {
    u64 sum = a[i] + a[i + n / 2];
    u64 difference = a[i] + two_q - a[i + n / 2];
    a[i] = modulus.multiply_shoup(table.inverse_degree, sum);
    a[i + n / 2] = modulus.multiply_shoup(table.inverse_degree_root, difference);
  }
}

void add(const Modulus& q, u64* out, const u64* a, const u64* b, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = q.add(a[i], b[i]);
}

void subtract(const Modulus& q, u64* out, const u64* a, const u64* b, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = q.subtract(a[i], b[i]);
}

void negate(const Modulus& q, u64* out, const u64* a, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = q.negate(a[i]);
}

void multiply(const Modulus& q, u64* out, const u64* a, const u64* b, std::size_t n) {
  const ShoupConstant radix = q.shoup(q.radix());
  for (std::size_t i = 0; i < n; ++i) {
    out[i] = q.multiply_shoup(radix, q.reduce_montgomery(u128{a[i]} * b[i]));
  }
}

void multiply_montgomery(const Modulus& q, u64* out, const u64* a, const u64* b, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = q.reduce_montgomery(u128{a[i]} * b[i]);
}

void multiply_constant(const Modulus& q, ShoupConstant w, u64* out, const u64* a, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = q.multiply_shoup(w, a[i]);
}

void subtract_multiply(const Modulus& q, ShoupConstant w, u64* out, const u64* a, const u64* b,
                       std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = q.multiply_shoup(w, a[i] + q.value() - b[i]);
}

void permute(const Automorphism& automorphism, u64* out, const u64* in, std::size_t n) {
  for (std::size_t b = 0; b < n / 8; ++b) {
    const u64* source = in + (automorphism.blocks[b] & ~7u);
    const auto& order = automorphism.order[automorphism.blocks[b] & 7];
    for (std::size_t t = 0; t < 8; ++t) out[8 * b + t] = source[order[t]];
  }
}

void inner_product(const Modulus& q, const InnerProduct& p, std::size_t n) {
  for (std::size_t b = 0; b < n / 8; ++b) {
    const std::size_t source = p.permutation ? p.permutation->blocks[b] & ~7u : 8 * b;
    for (std::size_t t = 0; t < 8; ++t) {
      const std::size_t i = 8 * b + t;
      const std::size_t from =
          p.permutation ? source + p.permutation->order[p.permutation->blocks[b] & 7][t] : i;
      // A product is below 2^100, so sixteen of them fit what reduce_montgomery takes.
      u64 result0 = p.accumulate ? p.out0[i] : 0, result1 = p.accumulate ? p.out1[i] : 0;
      for (std::size_t first = 0; first < p.terms; first += 16) {
        const std::size_t last = first + 16 < p.terms ? first + 16 : p.terms;
        u128 sum0 = 0, sum1 = 0;
        for (std::size_t j = first; j < last; ++j) {
          sum0 += u128{p.x[j][from]} * p.y0[j][i];
          sum1 += u128{p.x[j][from]} * p.y1[j][i];
        }
        result0 = q.add(result0, q.reduce_montgomery(sum0));
        result1 = q.add(result1, q.reduce_montgomery(sum1));
      }
      p.out0[i] = result0;
      p.out1[i] = result1;
    }
  }
}

void convert_base(const Modulus& q, const BaseConversion& p, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    u64 result = 0;
    for (std::size_t first = 0; first < p.terms; first += 16) {
      const std::size_t last = first + 16 < p.terms ? first + 16 : p.terms;
      u128 sum = 0;
      for (std::size_t j = first; j < last; ++j) sum += u128{p.y[j][i]} * p.factors[j];
      result = q.add(result, q.reduce_montgomery(sum));
    }
    if (p.inverses != nullptr) {
      double quotient = 0;
      for (std::size_t j = 0; j < p.terms; ++j) quotient += static_cast<double>(p.y[j][i]) * p.inverses[j];
      u64 v = static_cast<u64>(std::floor(quotient + 0.5));
      result = q.subtract(result, q.reduce_montgomery(u128{v} * p.excess));
    }
    p.out[i] = result;
  }
}

std::size_t sample_uniform(const Modulus& q, u64 threshold, u64* out, std::size_t capacity, const u64* words,
                           std::size_t n) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < n && count < capacity; ++i) {
    u128 product = u128{words[i] & kRadixMask} * q.value();
    if ((static_cast<u64>(product) & kRadixMask) >= threshold)
      out[count++] = static_cast<u64>(product >> kRadixBits);
  }
  return count;
}

}  // namespace

const Kernels kPortableKernels = {
    "portable",        available, forward_ntt,   inverse_ntt,         add,
    subtract,          negate,    multiply,      multiply_montgomery, multiply_constant,
    subtract_multiply, permute,   inner_product, convert_base,        sample_uniform,
};

}  // namespace tacit::ring
