// SPDX-License-Identifier: Apache-2.0
#include "seal/seal_objects.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "seal/blake2xb.h"

namespace tacit::seal {

using ckks::Parameters;
using ring::Poly;

namespace {

constexpr std::uint16_t kMagic = 0xA15E;
constexpr std::uint8_t kMajor = 4, kMinor = 1, kUncompressed = 0;
constexpr std::uint8_t kBlake2xb = 1;
constexpr u64 kSeedBytes = kHeaderBytes + 1 + 64;

// A DynArray.
u64 array_bytes(u64 words) { return kHeaderBytes + 8 + 8 * words; }

u64 word_count(std::span<const Poly* const> polys) {
  return u64{polys.size()} * polys.front()->degree() * polys.front()->limbs();
}

void put_array(ByteWriter& out, std::span<const Poly* const> polys) {
  const u64 words = word_count(polys);
  put_header(out, array_bytes(words));
  out.u64(words);
  std::uint8_t* bytes = out.extend(8 * words).data();
  for (const Poly* poly : polys) {
    for (std::size_t i = 0; i < poly->limbs(); ++i) {
      for (u64 word : poly->limb(i)) {
        for (int shift = 0; shift < 64; shift += 8) *bytes++ = static_cast<std::uint8_t>(word >> shift);
      }
    }
  }
}

// The words of the array that comes next; there must be `count` of them.
Result<ByteView> read_array(ByteReader& outer, u64 count) {
  TACIT_TRY(ByteReader reader, open(outer, "SEAL array"));
  TACIT_TRY(const u64 announced, reader.u64());
  if (announced != count) {
    return malformed(reader, "has " + std::to_string(announced) + " words where " + std::to_string(count) +
                                 " are expected");
  }
  TACIT_TRY(const ByteView words, reader.raw(8 * count));
  TACIT_CHECK(reader.finish());
  return words;
}

// The polynomial of these words; every residue below its prime.
Result<Poly> to_poly(const Parameters& parameters, ByteView words) {
  const std::size_t n = parameters.degree();
  Poly poly(n, words.size() / (8 * n));
  const std::uint8_t* bytes = words.data();
  for (std::size_t i = 0; i < poly.limbs(); ++i) {
    const u64 q = parameters.ring().modulus(i).value();
    bool below = true;
    for (u64& word : poly.limb(i)) {
      word = 0;
      for (int shift = 0; shift < 64; shift += 8) word |= u64{*bytes++} << shift;
      below &= word < q;
    }
    if (!below) {
      return Error{ErrorCode::kResidueOutOfRange,
                   "a SEAL object has a residue that is not below its prime " + std::to_string(q)};
    }
  }
  return poly;
}

Result<Blake2xbSeed> read_seed(ByteReader& outer) {
  TACIT_TRY(ByteReader reader, open(outer, "SEAL seed"));
  TACIT_TRY(const std::uint8_t generator, reader.u8());
  if (generator != kBlake2xb)
    return malformed(reader, "is for another generator than SEAL's default, BLAKE2Xb");
  TACIT_TRY(const ByteView bytes, reader.raw(64));
  TACIT_CHECK(reader.finish());
  Blake2xbSeed seed;
  std::ranges::copy(bytes, seed.begin());
  return seed;
}

// SEAL's uniform polynomial: all words at once, then, prime by prime, those above the largest multiple of the prime
// replaced by words further on in the stream.
Poly expand_seed(const Parameters& parameters, const Blake2xbSeed& seed, std::size_t limbs) {
  Poly poly(parameters.degree(), limbs);
  Blake2xbStream stream(seed);
  for (std::size_t i = 0; i < limbs; ++i) {
    for (u64& word : poly.limb(i)) word = stream.next();
  }
  for (std::size_t i = 0; i < limbs; ++i) {
    const u64 q = parameters.ring().modulus(i).value();
    const u64 limit = ~u64{0} - ~u64{0} % q - 1;
    for (u64& word : poly.limb(i)) {
      while (word >= limit) word = stream.next();
      word %= q;
    }
  }
  return poly;
}

// A positive, normal number; 1 for keys.
Result<double> read_scale(ByteReader& reader, Basis basis) {
  TACIT_TRY(const double scale, reader.f64());
  if (!std::isnormal(scale) || scale < 0 || (basis == Basis::kKey && scale != 1)) {
    return malformed(reader, "has a scale that it cannot have");
  }
  return scale;
}

// That an object over `limbs` primes with this identifier is one of these parameters'.
Status check_basis(const ByteReader& reader, const Parameters& parameters, Basis basis, u64 limbs,
                   const Digest& id) {
  const u64 primes = parameters.literal().primes.size();
  bool ours = false;
  if (basis == Basis::kKey) {
    ours = parameters.special_count() == 1 && limbs == primes + 1 && id == key_parms_id(parameters);
  } else {
    ours = limbs >= 1 && limbs <= primes && id == data_parms_id(parameters, static_cast<int>(limbs) - 1);
  }
  if (!ours) return made_for_other_parameters(reader);
  return {};
}

}  // namespace

Error malformed(const ByteReader& reader, std::string_view what) {
  return {ErrorCode::kDataMalformed, reader.what() + " " + std::string(what)};
}

Error made_for_other_parameters(const ByteReader& reader) {
  return {ErrorCode::kParametersMismatch, reader.what() + " was made for other parameters"};
}

u64 ciphertext_bytes(u64 words) { return kHeaderBytes + 32 + 1 + 3 * 8 + 8 + 8 + array_bytes(words); }

void put_header(ByteWriter& out, u64 total) {
  out.u16(kMagic);
  out.u8(kHeaderBytes);
  out.u8(kMajor);
  out.u8(kMinor);
  out.u8(kUncompressed);
  out.u16(0);
  out.u64(total);
}

void put_modulus(ByteWriter& out, u64 value) {
  put_header(out, kModulusBytes);
  out.u64(value);
}

void put_plaintext(ByteWriter& out, const Digest& id, double scale, const Poly& poly) {
  const Poly* polys[] = {&poly};
  put_header(out, kHeaderBytes + 32 + 8 + 8 + array_bytes(word_count(polys)));
  out.raw(id);
  out.u64(word_count(polys));
  out.f64(scale);
  put_array(out, polys);
}

void put_ciphertext(ByteWriter& out, const Digest& id, double scale, std::span<const Poly* const> parts) {
  put_header(out, ciphertext_bytes(word_count(parts)));
  out.raw(id);
  out.u8(1);  // NTT form
  out.u64(parts.size());
  out.u64(parts.front()->degree());
  out.u64(parts.front()->limbs());
  out.f64(scale);
  out.u64(1);  // correction factor, which only another scheme uses
  put_array(out, parts);
}

Result<ByteReader> open(ByteReader& outer, std::string_view what) {
  ByteReader header = outer;
  TACIT_TRY(const std::uint16_t magic, header.u16());
  TACIT_TRY(const std::uint8_t header_bytes, header.u8());
  TACIT_TRY(const std::uint8_t major, header.u8());
  TACIT_TRY(const std::uint8_t minor, header.u8());
  TACIT_TRY(const std::uint8_t compression, header.u8());
  TACIT_TRY(const std::uint16_t reserved, header.u16());
  TACIT_TRY(const u64 total, header.u64());
  const std::string name(what);
  if (magic != kMagic || header_bytes != kHeaderBytes || reserved != 0) {
    return Error{ErrorCode::kDataMalformed, name + " does not start with SEAL's header"};
  }
  if (major != kMajor || minor != kMinor) {
    return Error{ErrorCode::kDataVersion, name + " was written by SEAL " + std::to_string(major) + "." +
                                              std::to_string(minor) + "; only 4.1 is read"};
  }
  if (compression != kUncompressed) {
    return Error{ErrorCode::kDataMalformed, name + " is compressed; save it without compression"};
  }
  if (total < kHeaderBytes)
    return Error{ErrorCode::kDataMalformed, name + " claims to be shorter than its header"};
  TACIT_TRY(const ByteView object, outer.raw(total));
  return ByteReader(object.subspan(kHeaderBytes), what);
}

Result<Digest> read_id(ByteReader& reader) {
  TACIT_TRY(const ByteView bytes, reader.raw(32));
  Digest id;
  std::ranges::copy(bytes, id.begin());
  return id;
}

Result<u64> read_modulus(ByteReader& outer) {
  TACIT_TRY(ByteReader reader, open(outer, "SEAL modulus"));
  TACIT_TRY(const u64 value, reader.u64());
  TACIT_CHECK(reader.finish());
  return value;
}

Result<ckks::Plaintext> read_plaintext_object(const Parameters& parameters, ByteReader& outer, Basis basis) {
  TACIT_TRY(ByteReader reader, open(outer, outer.what()));
  TACIT_TRY(const Digest id, read_id(reader));
  TACIT_TRY(const u64 words, reader.u64());
  TACIT_TRY(const double scale, read_scale(reader, basis));
  if (words % parameters.degree() != 0) return made_for_other_parameters(reader);
  TACIT_CHECK(check_basis(reader, parameters, basis, words / parameters.degree(), id));
  TACIT_TRY(const ByteView array, read_array(reader, words));
  TACIT_CHECK(reader.finish());
  TACIT_TRY(Poly poly, to_poly(parameters, array));
  return ckks::Plaintext{std::move(poly), scale};
}

Result<ckks::Ciphertext> read_ciphertext_object(const Parameters& parameters, ByteReader& outer,
                                                Basis basis) {
  TACIT_TRY(ByteReader reader, open(outer, outer.what()));
  TACIT_TRY(const Digest id, read_id(reader));
  TACIT_TRY(const std::uint8_t ntt_form, reader.u8());
  TACIT_TRY(const u64 parts, reader.u64());
  TACIT_TRY(const u64 degree, reader.u64());
  TACIT_TRY(const u64 limbs, reader.u64());
  TACIT_TRY(const double scale, read_scale(reader, basis));
  TACIT_TRY(const u64 correction, reader.u64());
  if (degree != parameters.degree()) return made_for_other_parameters(reader);
  TACIT_CHECK(check_basis(reader, parameters, basis, limbs, id));
  if (ntt_form != 1 || correction != 1) return malformed(reader, "is not one of the CKKS scheme in NTT form");
  if (parts < 2 || parts > (basis == Basis::kKey ? 2 : 3)) {
    return malformed(reader, "has " + std::to_string(parts) + " parts");
  }
  const u64 words = degree * limbs;  // of one part
  const bool seeded = parts == 2 && reader.remaining() == array_bytes(words) + kSeedBytes;
  TACIT_TRY(ByteView array, read_array(reader, seeded ? words : parts * words));
  std::optional<Blake2xbSeed> seed;
  if (seeded) { TACIT_TRY(seed, read_seed(reader)); }
  TACIT_CHECK(reader.finish());
  ckks::Ciphertext out;
  out.scale = scale;
  for (; !array.empty(); array = array.subspan(8 * words)) {
    TACIT_TRY(Poly poly, to_poly(parameters, array.first(8 * words)));
    out.parts.push_back(std::move(poly));
  }
  if (seed) out.parts.push_back(expand_seed(parameters, *seed, limbs));
  return out;
}

}  // namespace tacit::seal
