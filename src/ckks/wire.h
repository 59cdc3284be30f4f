// SPDX-License-Identifier: Apache-2.0
// The bytes of ciphertexts and keys (protocol/bytes.md). Residues are packed to the bits of their prime. Readers compute
// the exact size from trusted parameters before they allocate, and refuse any residue that is not below its prime.
#pragma once

#include "ckks/keys.h"

namespace tacit::ckks {

// --- ciphertexts ---------------------------------------------------------------------------------------------------
// A fresh one: c_0 and the seed of c_1.
Bytes write_ciphertext(const Parameters& parameters, const SeededCiphertext& ciphertext, const KeyTag& tag);
// A computed one: c_0 and c_1.
Bytes write_ciphertext(const Parameters& parameters, const Ciphertext& ciphertext, const KeyTag& tag);
struct TaggedCiphertext {
  Ciphertext ciphertext;
  KeyTag tag{};
};
// Either form, the seed expanded. kParametersMismatch where the bytes were made for other primes.
Result<TaggedCiphertext> read_ciphertext(const Parameters& parameters, ByteView bytes);
// The exact size of a fresh ciphertext at `level`.
std::size_t seeded_ciphertext_bytes(const Parameters& parameters, int level);
std::size_t ciphertext_bytes(const Parameters& parameters, int level);

// --- switching keys ------------------------------------------------------------------------------------------------
Bytes write_key(const Parameters& parameters, const SwitchingKey& key);
std::size_t key_bytes(const Parameters& parameters, const KeyShape& shape);
// What stands before the residues.
struct KeyHeader {
  KeyRequest request;
  KeyTag tag{};
  int log_degree = 0;
  Digest basis{};  // Parameters::basis_digest of the shape
};
Result<KeyHeader> read_key_header(ByteView bytes);
// Everything that read_key checks, without expanding the seed or allocating the polynomials.
Result<KeyHeader> check_key(const Parameters& parameters, ByteView bytes);
Result<SwitchingKey> read_key(const Parameters& parameters, ByteView bytes, KeyForm form = KeyForm::kWhole);

}  // namespace tacit::ckks
