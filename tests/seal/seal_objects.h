// SPDX-License-Identifier: Apache-2.0
// What SEAL's formats are built from: headers, arrays of words, and the two bodies that all objects share. For the
// sources beside it; users take seal_format.h.
#pragma once

#include "seal/seal_format.h"

namespace tacit::seal {

using ckks::u64;

// Every object starts with the magic number, the header's size, the version, the compression, a reserved 16-bit word
// and the whole object's size, header included.
inline constexpr std::uint8_t kHeaderBytes = 16;
// A Modulus: header and value.
inline constexpr u64 kModulusBytes = kHeaderBytes + 8;
// A Ciphertext of `words` residues.
u64 ciphertext_bytes(u64 words);

void put_header(ByteWriter& out, u64 total);
void put_modulus(ByteWriter& out, u64 value);
// A Plaintext or SecretKey.
void put_plaintext(ByteWriter& out, const Digest& id, double scale, const ring::Poly& poly);
// A Ciphertext or PublicKey; at least one part.
void put_ciphertext(ByteWriter& out, const Digest& id, double scale,
                    std::span<const ring::Poly* const> parts);

// A reader of the body of the object that comes next, whose size its header must tell truly; `what` names it.
Result<ByteReader> open(ByteReader& outer, std::string_view what);
Result<Digest> read_id(ByteReader& reader);
Result<u64> read_modulus(ByteReader& outer);

// Over which primes an object stands: q_0 .. q_level for some level, or the key's, which are q_0 .. q_L, p_0.
enum class Basis { kData, kKey };

// A Plaintext, or a SecretKey, whose scale must be 1.
Result<ckks::Plaintext> read_plaintext_object(const ckks::Parameters& parameters, ByteReader& outer,
                                              Basis basis);
// A Ciphertext of two or three parts, or a PublicKey of two, whose scale must be 1; a seed is expanded.
Result<ckks::Ciphertext> read_ciphertext_object(const ckks::Parameters& parameters, ByteReader& outer,
                                                Basis basis);

// kDataMalformed: the reader's object `what`.
Error malformed(const ByteReader& reader, std::string_view what);
Error made_for_other_parameters(const ByteReader& reader);

}  // namespace tacit::seal
