// SPDX-License-Identifier: Apache-2.0
// Polynomials with integer coefficients in Z[X]/(X^N + 1), and their arithmetic by the definitions: what computations on
// residues are compared with.
#pragma once

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "ckks/ciphertext.h"
#include "ckks/parameters.h"
#include "ring/kernels/kernels.h"

namespace tacit::test {

using Integer = __int128;
using Integers = std::vector<Integer>;

inline ring::u64 residue(const ring::Modulus& q, Integer x) {
  const auto modulus = static_cast<Integer>(q.value());
  const Integer r = x % modulus;
  return static_cast<ring::u64>(r < 0 ? r + modulus : r);
}

// The integers next to zero that an NTT-form polynomial over q_0 .. q_l stands for. They are taken from as many primes as
// have a product below 2^126; all others must agree with them.
inline Integers to_integers(const ckks::Parameters& parameters, const ring::Poly& poly) {
  const std::size_t n = parameters.degree();
  ring::Poly residues(n, poly.limbs());
  for (std::size_t i = 0; i < poly.limbs(); ++i) {
    const ring::NttTable& table = parameters.ring().ntt(i);
    ring::kernels().inverse_ntt(table, table.inverse_degree, nullptr, residues.data(i), poly.data(i));
  }
  Integers out(n, 0);
  Integer weight = 1;
  std::size_t used = 0;
  double bits = 0;
  for (; used < poly.limbs(); ++used) {
    const ring::Modulus& q = parameters.ring().modulus(used);
    bits += std::log2(static_cast<double>(q.value()));
    if (bits > 125.9) break;
    const ring::u64 inverse = q.inverse(residue(q, weight));
    for (std::size_t k = 0; k < n; ++k) {  // the next digit to the mixed radix of the primes
      const ring::u64 digit = q.multiply(q.subtract(residues.data(used)[k], residue(q, out[k])), inverse);
      out[k] += weight * static_cast<Integer>(digit);
    }
    weight *= static_cast<Integer>(q.value());
  }
  for (Integer& x : out) x = x > weight / 2 ? x - weight : x;
  for (; used < poly.limbs(); ++used) {
    const ring::Modulus& q = parameters.ring().modulus(used);
    for (std::size_t k = 0; k < n; ++k) {
      if (residue(q, out[k]) == residues.data(used)[k]) continue;
      ADD_FAILURE() << "coefficient " << k << " is not small: prime " << used << " disagrees";
      return out;
    }
  }
  return out;
}

// The same as a plaintext at `level`.
inline ckks::Plaintext to_plaintext(const ckks::Parameters& parameters, const Integers& coefficients,
                                    double scale, int level) {
  ckks::Plaintext out{ring::Poly(parameters.degree(), static_cast<std::size_t>(level) + 1), scale};
  for (std::size_t i = 0; i < out.poly.limbs(); ++i) {
    const ring::NttTable& table = parameters.ring().ntt(i);
    for (std::size_t k = 0; k < coefficients.size(); ++k)
      out.poly.data(i)[k] = residue(table.modulus, coefficients[k]);
    ring::kernels().forward_ntt(table, out.poly.data(i), out.poly.data(i));
  }
  return out;
}

// Uniform in [-bound, bound].
inline Integers random_integers(std::size_t n, std::int64_t bound, std::mt19937_64& random) {
  std::uniform_int_distribution<std::int64_t> uniform(-bound, bound);
  Integers out(n);
  for (Integer& x : out) x = uniform(random);
  return out;
}

// a + factor b.
inline Integers sum(const Integers& a, const Integers& b, Integer factor = 1) {
  Integers out(a);
  for (std::size_t k = 0; k < out.size(); ++k) out[k] += factor * b[k];
  return out;
}
inline Integers difference(const Integers& a, const Integers& b) { return sum(a, b, -1); }

inline Integers multiple(Integer factor, const Integers& a) { return sum(Integers(a.size(), 0), a, factor); }

// The coefficients must be below 2^62.
inline Integers product(const Integers& a, const Integers& b) {
  const std::size_t n = a.size();
  Integers out(n, 0);
  for (std::size_t i = 0; i < n; ++i) {
    const auto x = static_cast<std::int64_t>(a[i]);
    for (std::size_t k = 0; k < n - i; ++k)
      out[i + k] += static_cast<Integer>(x) * static_cast<std::int64_t>(b[k]);
    for (std::size_t k = n - i; k < n; ++k)
      out[i + k - n] -= static_cast<Integer>(x) * static_cast<std::int64_t>(b[k]);
  }
  return out;
}

// a(X^element).
inline Integers image(const Integers& a, std::uint32_t element) {
  const std::size_t n = a.size();
  Integers out(n);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t exponent = i * element % (2 * n);
    out[exponent % n] = exponent < n ? a[i] : -a[i];
  }
  return out;
}

// The largest magnitude.
inline double infinity_norm(const Integers& a) {
  Integer largest = 0;
  for (Integer x : a) largest = std::max(largest, x < 0 ? -x : x);
  return static_cast<double>(largest);
}
// The sum of magnitudes, and of squares.
inline double one_norm(const Integers& a) {
  double total = 0;
  for (Integer x : a) total += std::abs(static_cast<double>(x));
  return total;
}
inline double square_norm(const Integers& a) {
  double total = 0;
  for (Integer x : a) total += static_cast<double>(x) * static_cast<double>(x);
  return total;
}

}  // namespace tacit::test
