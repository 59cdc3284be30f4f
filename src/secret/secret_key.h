// SPDX-License-Identifier: Apache-2.0
// The secret key. It belongs to a ring size, not to a model: any parameter set with that N can be used with it.
#pragma once

#include <memory>
#include <span>

#include "ckks/ciphertext.h"
#include "secret/secure_memory.h"

namespace tacit::secret {

// Uniform ternary coefficients in locked memory, expanded from a seed. Movable, not copyable, not printable.
class SecretKey {
 public:
  // A new key from the operating system's randomness. log_degree 12 to 16.
  static Result<SecretKey> generate(int log_degree);
  // The key that this seed stands for; how a key file is opened. The seed is copied into locked memory.
  static Result<SecretKey> from_seed(int log_degree, std::span<const std::uint8_t, 32> seed);
  // A key somebody else made, one of -1, 0, 1 for each coefficient; it has no seed and cannot be saved.
  static Result<SecretKey> from_coefficients(std::span<const std::int8_t> coefficients);

  int log_degree() const { return log_degree_; }
  std::span<const std::int8_t> coefficients() const { return coefficients_.view(); }
  // 32 bytes, or none for a key from coefficients.
  std::span<const std::uint8_t> seed() const { return seed_.view(); }
  // Public name of the key: a keyed hash of the seed (of the coefficients where there is none).
  const ckks::KeyTag& tag() const { return tag_; }

 private:
  SecretKey() = default;
  int log_degree_ = 0;
  SecureBuffer<std::int8_t> coefficients_;
  SecureBuffer<std::uint8_t> seed_;
  ckks::KeyTag tag_{};
};

}  // namespace tacit::secret
