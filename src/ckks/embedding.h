// SPDX-License-Identifier: Apache-2.0
// The canonical embedding of CKKS over the doubles: real polynomials to their values at roots of unity, and back
// (Cheon, Kim, Kim and Song 2017, section 3.2; evaluated as in Cheon, Han, Kim, Kim and Song 2018, section 4).
#pragma once

#include <complex>
#include <memory>
#include <span>

#include "ckks/kernels/encoding.h"

namespace tacit::ckks {

// The encoding kernels that go with ring::kernels(), so that TACIT_KERNEL chooses both.
const EncodingKernels& encoding_kernels();
// Every implementation that was compiled in, the portable one first.
std::span<const EncodingKernels* const> all_encoding_kernels();

// A real polynomial m of degree below N = 2n is determined by its n slots
//     z_i = m(zeta^(3^i)),  i = 0 ... n - 1,  zeta = exp(pi i / N), a primitive 2N-th root of unity,
// as the powers of 3 and their negatives are all odd numbers modulo 2N. The order of the slots is SEAL's, in which a
// rotation of the slots is the automorphism X -> X^(3^k).
//
// All functions also take fewer slots, p = 2^k from kMinPoints to n: z_{i + p} = z_i for all i holds exactly if m is a
// polynomial in X^(n/p), since 3^p generates the numbers that are 1 modulo 4p. m(X) = m'(X^(n/p)), and m' of degree
// below 2p has these p slots for the ring of degree 2p. What p slots give is the same to the bit as what they give when
// repeated n/p times, the coefficients between being zero: their transform meets equal numbers only, x + x and x - x.
//
// An error of 2^-53 relative to the largest magnitude arises in each of about log2 p stages; see the tests for the
// bounds. Immutable, safe to share between threads.
class Embedding {
 public:
  // A tile of the lowest stages. A shorter period has its slots repeated up to it.
  static constexpr std::size_t kMinPoints = 64;

  // `points` is n, a power of two, at least kMinPoints.
  explicit Embedding(std::size_t points);

  std::size_t points() const;

  // The 2p coefficients of p m' from its p slots. The coefficients are aligned to a cache line.
  void inverse(std::span<const std::complex<double>> slots, std::span<double> coefficients,
               const EncodingKernels& kernels = encoding_kernels()) const;
  // The same for slots whose imaginary parts are zero.
  void inverse(std::span<const double> slots, std::span<double> coefficients,
               const EncodingKernels& kernels = encoding_kernels()) const;
  // The p slots from the 2p coefficients of m', which are overwritten.
  void forward(std::span<double> coefficients, std::span<std::complex<double>> slots,
               const EncodingKernels& kernels = encoding_kernels()) const;
  // Their real parts.
  void forward(std::span<double> coefficients, std::span<double> slots,
               const EncodingKernels& kernels = encoding_kernels()) const;

 private:
  struct Tables;
  std::shared_ptr<const Tables> tables_;
};

}  // namespace tacit::ckks
