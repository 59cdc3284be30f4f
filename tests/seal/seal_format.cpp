// SPDX-License-Identifier: Apache-2.0
#include "seal/seal_format.h"

#include <bit>
#include <cassert>

#include "seal/seal_objects.h"

namespace tacit::seal {

using ckks::Parameters;
using ring::Poly;

namespace {

constexpr std::uint8_t kSchemeCkks = 2;

}  // namespace

Digest parms_id(std::size_t degree, std::span<const u64> primes) {
  ByteWriter words;
  words.u64(kSchemeCkks);
  words.u64(degree);
  for (u64 prime : primes) words.u64(prime);
  words.u64(0);
  return blake2b(std::move(words).take());
}

Digest data_parms_id(const Parameters& parameters, int level) {
  return parms_id(parameters.degree(),
                  std::span(parameters.literal().primes).first(static_cast<std::size_t>(level) + 1));
}

Digest key_parms_id(const Parameters& parameters) {
  std::vector<u64> primes = parameters.literal().primes;
  primes.push_back(parameters.literal().special_primes.front());
  return parms_id(parameters.degree(), primes);
}

Bytes write_parameters(const ckks::ParametersLiteral& literal) {
  assert(literal.special_primes.size() == 1);
  const u64 count = literal.primes.size() + 1;
  ByteWriter out;
  put_header(out, kHeaderBytes + 1 + 8 + 8 + (count + 1) * kModulusBytes);
  out.u8(kSchemeCkks);
  out.u64(u64{1} << literal.log_degree);
  out.u64(count);
  for (u64 prime : literal.primes) put_modulus(out, prime);
  put_modulus(out, literal.special_primes.front());
  put_modulus(out, 0);
  return std::move(out).take();
}

Result<ckks::ParametersLiteral> read_parameters(ByteView bytes) {
  ByteReader outer(bytes, "SEAL parameters");
  TACIT_TRY(ByteReader reader, open(outer, outer.what()));
  TACIT_CHECK(outer.finish());
  TACIT_TRY(const std::uint8_t scheme, reader.u8());
  TACIT_TRY(const u64 degree, reader.u64());
  TACIT_TRY(const u64 count, reader.u64());
  if (scheme != kSchemeCkks) return malformed(reader, "are not those of the CKKS scheme");
  if (!std::has_single_bit(degree) || degree > u64{1} << ckks::kMaxLogDegree) {
    return malformed(reader, "have a ring degree that is not a power of two up to 2^16");
  }
  if (count < 2 || count > ckks::kMaxPrimes) {
    return malformed(reader, "have " + std::to_string(count) + " primes where there must be 2 to " +
                                 std::to_string(ckks::kMaxPrimes));
  }
  ckks::ParametersLiteral literal;
  literal.log_degree = std::countr_zero(degree);
  for (u64 i = 0; i < count; ++i) {
    TACIT_TRY(const u64 prime, read_modulus(reader));
    (i + 1 < count ? literal.primes : literal.special_primes).push_back(prime);
  }
  TACIT_TRY(const u64 plain_modulus, read_modulus(reader));
  if (plain_modulus != 0) return malformed(reader, "have a plain modulus, which CKKS has not");
  TACIT_CHECK(reader.finish());
  return literal;
}

Bytes write_plaintext(const Parameters& parameters, const ckks::Plaintext& plaintext) {
  ByteWriter out;
  put_plaintext(out, data_parms_id(parameters, plaintext.level()), plaintext.scale, plaintext.poly);
  return std::move(out).take();
}

Result<ckks::Plaintext> read_plaintext(const Parameters& parameters, ByteView bytes) {
  ByteReader outer(bytes, "SEAL plaintext");
  TACIT_TRY(ckks::Plaintext out, read_plaintext_object(parameters, outer, Basis::kData));
  TACIT_CHECK(outer.finish());
  return out;
}

Bytes write_ciphertext(const Parameters& parameters, const ckks::Ciphertext& ciphertext) {
  std::vector<const Poly*> parts;
  parts.reserve(ciphertext.size());
  for (const Poly& part : ciphertext.parts) parts.push_back(&part);
  ByteWriter out;
  put_ciphertext(out, data_parms_id(parameters, ciphertext.level()), ciphertext.scale, parts);
  return std::move(out).take();
}

Result<ckks::Ciphertext> read_ciphertext(const Parameters& parameters, ByteView bytes) {
  ByteReader outer(bytes, "SEAL ciphertext");
  TACIT_TRY(ckks::Ciphertext out, read_ciphertext_object(parameters, outer, Basis::kData));
  TACIT_CHECK(outer.finish());
  return out;
}

}  // namespace tacit::seal
