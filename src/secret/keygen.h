// SPDX-License-Identifier: Apache-2.0
// Everything that needs the secret key: making keys, encrypting, decrypting.
#pragma once

#include "ckks/encoder.h"
#include "ckks/keys.h"
#include "ckks/public_key.h"
#include "secret/secret_key.h"

namespace tacit::secret {

// A secret key together with one parameter set: holds s in NTT form for every prime. Not copyable.
class KeyHolder {
 public:
  // kParametersMismatch where the key has another ring size.
  static Result<KeyHolder> create(const ckks::Parameters& parameters, const SecretKey& key);

  // A switching key with a fresh public seed and fresh errors.
  Result<ckks::SwitchingKey> make_key(const ckks::KeyRequest& request) const;
  Result<ckks::PublicKey> make_public_key() const;

  // Symmetric, at the plaintext's level: c_1 uniform from a fresh seed, c_0 = m + e - c_1 s.
  Result<ckks::SeededCiphertext> encrypt(const ckks::Plaintext& plaintext) const;
  // c_0 + c_1 s (+ c_2 s^2), at the ciphertext's level and scale.
  Result<ckks::Plaintext> decrypt(const ckks::Ciphertext& ciphertext) const;

  const ckks::KeyTag& tag() const { return tag_; }
  const ckks::Parameters& parameters() const { return parameters_; }

 private:
  explicit KeyHolder(const ckks::Parameters& parameters) : parameters_(parameters) {}
  ckks::Parameters parameters_;
  ckks::KeyTag tag_{};
  // NTT of s modulo prime i of parameters().ring(), canonical, on a cache line.
  ring::u64* limb(std::size_t i);
  const ring::u64* limb(std::size_t i) const;

  SecureBuffer<ring::u64> secret_;  // limb after limb
};

}  // namespace tacit::secret
