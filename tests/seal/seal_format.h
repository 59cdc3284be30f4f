// SPDX-License-Identifier: Apache-2.0
// Microsoft SEAL 4.1's bytes, uncompressed, to and from our types. Readers compute every size from trusted parameters
// before they allocate, and refuse whatever SEAL would: foreign parameters, residues that are not below their prime,
// lengths that contradict each other, bytes left over.
//
// SEAL keeps its last prime for key switching: keys exist for parameters with exactly one special prime, which writers
// require (kParametersMismatch from readers). SEAL's objects name no key: tags and public seeds are zero.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "ckks/keys.h"
#include "ckks/public_key.h"
#include "secret/secret_key.h"

namespace tacit::seal {

// SEAL's name for a modulus: BLAKE2b-256 of the 64-bit words 2 (CKKS), N, the primes, 0 (no plain modulus).
Digest parms_id(std::size_t degree, std::span<const ckks::u64> primes);
// That of q_0 .. q_level, which ciphertexts and plaintexts of this level carry.
Digest data_parms_id(const ckks::Parameters& parameters, int level);
// That of q_0 .. q_L, p_0, which keys carry.
Digest key_parms_id(const ckks::Parameters& parameters);

// EncryptionParameters. The literal must have one special prime; what is read has one (the last) and is unchecked, so
// that Parameters::create remains the only gate.
Bytes write_parameters(const ckks::ParametersLiteral& literal);
Result<ckks::ParametersLiteral> read_parameters(ByteView bytes);

Bytes write_plaintext(const ckks::Parameters& parameters, const ckks::Plaintext& plaintext);
Result<ckks::Plaintext> read_plaintext(const ckks::Parameters& parameters, ByteView bytes);

// Two or three parts; one whose c_1 is a seed of SEAL's default generator is expanded.
Bytes write_ciphertext(const ckks::Parameters& parameters, const ckks::Ciphertext& ciphertext);
Result<ckks::Ciphertext> read_ciphertext(const ckks::Parameters& parameters, ByteView bytes);

// What is read must be ternary, and the same modulo every prime (kDataMalformed).
Bytes write_secret_key(const ckks::Parameters& parameters, const secret::SecretKey& key);
Result<secret::SecretKey> read_secret_key(const ckks::Parameters& parameters, ByteView bytes);

// A pair of polynomials over q_0 .. q_L, p_0 in NTT form, which is what SEAL's keys are made of.
struct KeyPair {
  ring::Poly b, a;
};
Bytes write_public_key(const ckks::Parameters& parameters, const KeyPair& key);
Result<KeyPair> read_public_key(const ckks::Parameters& parameters, ByteView bytes);
// Ours does without the special prime.
ckks::PublicKey to_public_key(const ckks::Parameters& parameters, KeyPair key);

// RelinKeys: one key, for s^2. GaloisKeys: any number, distinct, with odd elements between 1 and 2N, written in their
// order. Digits of one prime, all levels.
Bytes write_relin_keys(const ckks::Parameters& parameters, const ckks::SwitchingKey& key);
Result<ckks::SwitchingKey> read_relin_keys(const ckks::Parameters& parameters, ByteView bytes);
Bytes write_galois_keys(const ckks::Parameters& parameters, std::span<const ckks::SwitchingKey> keys);
Result<std::vector<ckks::SwitchingKey>> read_galois_keys(const ckks::Parameters& parameters, ByteView bytes);

}  // namespace tacit::seal
