// SPDX-License-Identifier: Apache-2.0
// Vectors of numbers to message polynomials and back: the canonical embedding with SEAL's slot order.
#pragma once

#include <complex>
#include <memory>
#include <span>
#include <vector>

#include "ckks/ciphertext.h"
#include "ckks/parameters.h"
#include "ring/constants.h"

namespace tacit::ckks {

// Slot i holds m(zeta^(3^i)) / scale, zeta = exp(i pi / N). Immutable, safe to share between threads.
class Encoder {
 public:
  explicit Encoder(const Parameters& parameters);

  // Up to N/2 values; the rest are zero. A shorter vector whose length is a power of two may instead be repeated over
  // all slots (`repeat`). Coefficients are rounded half away from zero. kValueOutOfRange where a value is not finite or
  // a coefficient would exceed half the modulus (or 2^62), kLevelMismatch for a level that does not exist.
  Result<Plaintext> encode(std::span<const double> values, double scale, int level,
                           bool repeat = false) const;
  Result<Plaintext> encode(std::span<const std::complex<double>> values, double scale, int level) const;
  // A constant that ciphertexts modulo QP are multiplied with, into a row over q_0 .. q_level, p_0 .. : NTT and Montgomery
  // form. `values` are repeated over all slots. The same errors.
  Status encode_constant(std::span<const double> values, double scale, int level, ring::Constants& out,
                         std::size_t row) const;
  Status encode_constant(std::span<const std::complex<double>> values, double scale, int level,
                         ring::Constants& out, std::size_t row) const;
  // The integer coefficients of the message, before reduction modulo the primes.
  Result<std::vector<std::int64_t>> to_coefficients(std::span<const std::complex<double>> values,
                                                    double scale) const;

  // All N/2 slots.
  std::vector<std::complex<double>> decode(const Plaintext& plaintext) const;
  // The real parts.
  std::vector<double> decode_real(const Plaintext& plaintext) const;

  const Parameters& parameters() const { return parameters_; }

 private:
  template <class T>
  Status encode_constant_of(std::span<const T> values, double scale, int level, ring::Constants& out,
                            std::size_t row) const;
  // The centred coefficients of the message divided by the scale.
  AlignedVector<double> to_doubles(const Plaintext& plaintext) const;

  Parameters parameters_;
  struct Tables;
  std::shared_ptr<const Tables> tables_;
};

}  // namespace tacit::ckks
