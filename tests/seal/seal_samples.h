// SPDX-License-Identifier: Apache-2.0
// An object of every kind in SEAL's bytes, and how each is read and written again: for whatever alters them.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "seal/seal_format.h"
#include "support/ckks_fixture.h"

namespace tacit::seal {

// One kind of object: its bytes, and reading and writing it again.
struct Sample {
  std::string name;
  Bytes bytes;
  std::function<Result<Bytes>(const ckks::Parameters&, ByteView)> rewrite;
};

template <class Read, class Write>
auto rewriting(const Read& read, const Write& write) {
  return [=](const ckks::Parameters& parameters, ByteView bytes) -> Result<Bytes> {
    TACIT_TRY(const auto object, read(parameters, bytes));
    return write(parameters, object);
  };
}

// Of two data primes and a special one, with scales that these let through.
inline ckks::Parameters sample_parameters() { return test::make_parameters(12, 35, 30, 1, 40, 1); }

// `scheme` has sample_parameters().
inline std::vector<Sample> samples(test::Scheme& scheme) {
  const ckks::Parameters& parameters = scheme.parameters;
  const auto key = [&](std::uint32_t element) {
    return test::unwrap(scheme.holder.make_key({element, {1, 1, 1}}));
  };
  const ckks::Plaintext plaintext = test::unwrap(scheme.encoder.encode(scheme.random_vector(), 0x1p25, 1));
  const ckks::Ciphertext two = scheme.encrypt(scheme.random_vector(), 0x1p25, 1);
  ckks::Ciphertext three = two;
  three.parts.push_back(three.parts[0]);
  const std::vector galois = {key(3), key(ckks::conjugation_element(parameters))};
  KeyPair pair{ring::Poly(parameters.degree(), 3), ring::Poly(parameters.degree(), 3)};
  pair.b.clear();
  std::ranges::fill(pair.a.limb(2), parameters.ring().modulus(2).value() - 1);
  std::ranges::fill(pair.a.limb(1), 5);
  std::ranges::fill(pair.a.limb(0), 0);
  const auto ciphertexts = rewriting(read_ciphertext, write_ciphertext);
  return {
      {"parameters", write_parameters(parameters.literal()),
       [](const ckks::Parameters&, ByteView bytes) -> Result<Bytes> {
         TACIT_TRY(const auto literal, read_parameters(bytes));
         return write_parameters(literal);
       }},
      {"plaintext", write_plaintext(parameters, plaintext), rewriting(read_plaintext, write_plaintext)},
      {"ciphertext", write_ciphertext(parameters, two), ciphertexts},
      {"product", write_ciphertext(parameters, three), ciphertexts},
      {"lower ciphertext", write_ciphertext(parameters, test::unwrap(scheme.evaluator.drop(two, 0))),
       ciphertexts},
      {"secret key", write_secret_key(parameters, scheme.key), rewriting(read_secret_key, write_secret_key)},
      {"public key", write_public_key(parameters, pair), rewriting(read_public_key, write_public_key)},
      {"relinearisation keys", write_relin_keys(parameters, key(ckks::kRelinearisation)),
       rewriting(read_relin_keys, write_relin_keys)},
      {"Galois keys", write_galois_keys(parameters, galois),
       rewriting(read_galois_keys,
                 [](const ckks::Parameters& p, const auto& keys) { return write_galois_keys(p, keys); })}};
}

}  // namespace tacit::seal
