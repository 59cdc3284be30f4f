// SPDX-License-Identifier: Apache-2.0
#include "ckks/wire.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "ckks/expand.h"

namespace tacit::ckks {

using ring::Modulus;
using ring::Poly;

namespace {

enum class Kind : std::uint8_t { kSeededCiphertext = 1, kCiphertext = 2, kSwitchingKey = 3 };

constexpr std::string_view kMagic = "TACT";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 72;
constexpr std::size_t kSeedBytes = std::tuple_size_v<ring::Seed>;

// What every object begins with; fields that a kind does not use are zero.
struct Header {
  Kind kind = Kind::kCiphertext;
  KeyTag tag{};
  int log_degree = 0;
  KeyShape shape{0, 0, 0};
  std::uint32_t element = 0;
  double scale = 0;
  Digest basis{};
};

void write_header(ByteWriter& out, const Header& header) {
  out.raw(as_bytes(kMagic));
  out.u8(static_cast<std::uint8_t>(header.kind));
  out.u8(kVersion);
  out.u16(0);
  out.raw(header.tag);
  out.u8(static_cast<std::uint8_t>(header.log_degree));
  out.u8(static_cast<std::uint8_t>(header.shape.level));
  out.u8(static_cast<std::uint8_t>(header.shape.digit_size));
  out.u8(static_cast<std::uint8_t>(header.shape.special_count));
  out.u32(header.element);
  out.f64(header.scale);
  out.raw(header.basis);
}

Result<Header> read_header(ByteReader& in) {
  auto malformed = [&](const char* why) { return Error{ErrorCode::kDataMalformed, in.what() + " " + why}; };
  Header header;
  TACIT_TRY(const ByteView magic, in.raw(kMagic.size()));
  if (as_text(magic) != kMagic)
    return malformed("does not begin with \"TACT\"; it is not one of Tacit's objects");
  TACIT_TRY(const std::uint8_t kind, in.u8());
  if (kind < 1 || kind > 3) return malformed("is of an unknown kind");
  header.kind = static_cast<Kind>(kind);
  TACIT_TRY(const std::uint8_t version, in.u8());
  if (version != kVersion) {
    return Error{ErrorCode::kDataVersion, in.what() + " has format version " + std::to_string(version) +
                                              ", this release reads version " + std::to_string(kVersion)};
  }
  TACIT_TRY(const std::uint16_t reserved, in.u16());
  if (reserved != 0) return malformed("has a reserved field that is not zero");
  TACIT_TRY(const ByteView tag, in.raw(header.tag.size()));
  std::ranges::copy(tag, header.tag.begin());
  TACIT_TRY(header.log_degree, in.u8());
  TACIT_TRY(header.shape.level, in.u8());
  TACIT_TRY(header.shape.digit_size, in.u8());
  TACIT_TRY(header.shape.special_count, in.u8());
  TACIT_TRY(header.element, in.u32());
  TACIT_TRY(header.scale, in.f64());
  TACIT_TRY(const ByteView basis, in.raw(header.basis.size()));
  std::ranges::copy(basis, header.basis.begin());
  return header;
}

// The header, checked against what the parameters allow and against the number of bytes that follow it.
Result<Header> read_checked_header(const Parameters& parameters, ByteReader& in, bool key) {
  TACIT_TRY(Header header, read_header(in));
  if ((header.kind == Kind::kSwitchingKey) != key) {
    return Error{ErrorCode::kDataMalformed, in.what() + " is another kind of object"};
  }
  const bool known_shape = key ? parameters.admits(header.shape)
                               : header.shape.level <= parameters.max_level() &&
                                     header.shape.digit_size == 0 && header.shape.special_count == 0;
  if (header.log_degree != parameters.log_degree() || !known_shape ||
      header.basis != parameters.basis_digest(header.shape.level, header.shape.special_count)) {
    return Error{ErrorCode::kParametersMismatch,
                 in.what() + " was made for other parameters; make it again for this model"};
  }
  const bool element_fits =
      key ? header.element % 2 == 1 && header.element < 2 * parameters.degree() : header.element == 0;
  // Zero itself, not -0: an object has one form.
  const bool scale_fits =
      key ? std::bit_cast<std::uint64_t>(header.scale) == 0 : std::isnormal(header.scale) && header.scale > 0;
  if (!element_fits || !scale_fits) {
    return Error{ErrorCode::kDataMalformed, in.what() + " has a field out of its range"};
  }
  const std::size_t expected =
      (key                                      ? key_bytes(parameters, header.shape)
       : header.kind == Kind::kSeededCiphertext ? seeded_ciphertext_bytes(parameters, header.shape.level)
                                                : ciphertext_bytes(parameters, header.shape.level)) -
      kHeaderBytes;
  if (in.remaining() != expected) {
    return Error{in.remaining() < expected ? ErrorCode::kDataTruncated : ErrorCode::kDataTrailing,
                 in.what() + " has " + std::to_string(in.remaining()) +
                     " bytes after its header where there must be " + std::to_string(expected)};
  }
  return header;
}

// Residues as a stream of q.bits()-bit numbers, least significant bit first; N is a multiple of 8, so whole bytes.
std::size_t packed_bytes(const Parameters& parameters, const Modulus& q) {
  return parameters.degree() / 8 * static_cast<std::size_t>(q.bits());
}

void pack(ByteWriter& out, const Parameters& parameters, const Modulus& q, const u64* limb) {
  std::uint8_t* bytes = out.extend(packed_bytes(parameters, q)).data();
  ring::u128 window = 0;
  int filled = 0;
  for (std::size_t i = 0; i < parameters.degree(); ++i) {
    window |= ring::u128{limb[i]} << filled;
    for (filled += q.bits(); filled >= 8; filled -= 8, window >>= 8)
      *bytes++ = static_cast<std::uint8_t>(window);
  }
}

// kResidueOutOfRange if one is not below q.
Status unpack(ByteReader& in, const Parameters& parameters, const Modulus& q, u64* limb) {
  TACIT_TRY(const ByteView bytes, in.raw(packed_bytes(parameters, q)));
  const u64 mask = (u64{1} << q.bits()) - 1;
  ring::u128 window = 0;
  int filled = 0;
  std::size_t next = 0;
  u64 largest = 0;
  for (std::size_t i = 0; i < parameters.degree(); ++i) {
    for (; filled < q.bits(); filled += 8) window |= ring::u128{bytes[next++]} << filled;
    limb[i] = static_cast<u64>(window) & mask;
    largest = std::max(largest, limb[i]);
    window >>= q.bits();
    filled -= q.bits();
  }
  if (largest < q.value()) return {};
  return Error{ErrorCode::kResidueOutOfRange, in.what() + " has a residue that is not below its prime"};
}

const Modulus& modulus_of(const Parameters& parameters, const KeyShape& shape, std::size_t limb) {
  return parameters.ring().modulus(parameters.limb_index(shape.level, limb));
}

std::size_t limbs_of(const KeyShape& shape) { return extended_limbs(shape.level, shape.special_count); }

std::size_t packed_poly_bytes(const Parameters& parameters, const KeyShape& shape) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < limbs_of(shape); ++i)
    bytes += packed_bytes(parameters, modulus_of(parameters, shape, i));
  return bytes;
}

Header ciphertext_header(const Parameters& parameters, Kind kind, int level, double scale,
                         const KeyTag& tag) {
  Header header;
  header.kind = kind;
  header.tag = tag;
  header.log_degree = parameters.log_degree();
  header.shape.level = level;
  header.scale = scale;
  header.basis = parameters.basis_digest(level, 0);
  return header;
}

void pack_poly(ByteWriter& out, const Parameters& parameters, const KeyShape& shape, const Poly& poly) {
  for (std::size_t i = 0; i < poly.limbs(); ++i)
    pack(out, parameters, modulus_of(parameters, shape, i), poly.data(i));
}

Result<Poly> unpack_poly(ByteReader& in, const Parameters& parameters, const KeyShape& shape) {
  Poly poly(parameters.degree(), limbs_of(shape));
  for (std::size_t i = 0; i < poly.limbs(); ++i) {
    TACIT_CHECK(unpack(in, parameters, modulus_of(parameters, shape, i), poly.data(i)));
  }
  return poly;
}

Result<ring::Seed> read_seed(ByteReader& in) {
  TACIT_TRY(const ByteView bytes, in.raw(kSeedBytes));
  ring::Seed seed;
  std::ranges::copy(bytes, seed.begin());
  return seed;
}

KeyHeader public_header(const Header& header) {
  return {{header.element, header.shape}, header.tag, header.log_degree, header.basis};
}

}  // namespace

std::size_t seeded_ciphertext_bytes(const Parameters& parameters, int level) {
  return kHeaderBytes + kSeedBytes + packed_poly_bytes(parameters, {level, 0, 0});
}

std::size_t ciphertext_bytes(const Parameters& parameters, int level) {
  return kHeaderBytes + 2 * packed_poly_bytes(parameters, {level, 0, 0});
}

std::size_t key_bytes(const Parameters& parameters, const KeyShape& shape) {
  return kHeaderBytes + kSeedBytes + shape.digits() * packed_poly_bytes(parameters, shape);
}

Bytes write_ciphertext(const Parameters& parameters, const SeededCiphertext& ciphertext, const KeyTag& tag) {
  ByteWriter out;
  const int level = ciphertext.level();
  write_header(out, ciphertext_header(parameters, Kind::kSeededCiphertext, level, ciphertext.scale, tag));
  out.raw(ciphertext.seed);
  pack_poly(out, parameters, {level, 0, 0}, ciphertext.c0);
  return std::move(out).take();
}

Bytes write_ciphertext(const Parameters& parameters, const Ciphertext& ciphertext, const KeyTag& tag) {
  ByteWriter out;
  const int level = ciphertext.level();
  write_header(out, ciphertext_header(parameters, Kind::kCiphertext, level, ciphertext.scale, tag));
  pack_poly(out, parameters, {level, 0, 0}, ciphertext.parts[0]);
  pack_poly(out, parameters, {level, 0, 0}, ciphertext.parts[1]);
  return std::move(out).take();
}

Result<TaggedCiphertext> read_ciphertext(const Parameters& parameters, ByteView bytes) {
  ByteReader in(bytes, "the ciphertext");
  TACIT_TRY(const Header header, read_checked_header(parameters, in, false));
  const KeyShape shape{header.shape.level, 0, 0};
  TaggedCiphertext out;
  out.tag = header.tag;
  out.ciphertext.scale = header.scale;
  if (header.kind == Kind::kSeededCiphertext) {
    TACIT_TRY(const ring::Seed seed, read_seed(in));
    TACIT_TRY(Poly c0, unpack_poly(in, parameters, shape));
    out.ciphertext.parts.push_back(std::move(c0));
    out.ciphertext.parts.push_back(expand_ciphertext_half(parameters, seed, shape.level));
  } else {
    for (int part = 0; part < 2; ++part) {
      TACIT_TRY(Poly poly, unpack_poly(in, parameters, shape));
      out.ciphertext.parts.push_back(std::move(poly));
    }
  }
  TACIT_CHECK(in.finish());
  return out;
}

Bytes write_key(const Parameters& parameters, const SwitchingKey& key) {
  ByteWriter out;
  const KeyShape& shape = key.request.shape;
  Header header;
  header.kind = Kind::kSwitchingKey;
  header.tag = key.tag;
  header.log_degree = parameters.log_degree();
  header.shape = shape;
  header.element = key.request.element;
  header.basis = parameters.basis_digest(shape.level, shape.special_count);
  write_header(out, header);
  out.raw(key.seed);
  AlignedVector<u64> words(parameters.degree());
  for (std::size_t digit = 0; digit < key.b.rows(); ++digit) {
    for (std::size_t i = 0; i < key.b.limbs(); ++i) {
      key.b.load(i, digit, words.data());
      pack(out, parameters, key.b.modulus(i), words.data());
    }
  }
  return std::move(out).take();
}

Result<KeyHeader> read_key_header(ByteView bytes) {
  ByteReader in(bytes.first(std::min(bytes.size(), kHeaderBytes)), "the evaluation key");
  TACIT_TRY(const Header header, read_header(in));
  if (header.kind != Kind::kSwitchingKey) {
    return Error{ErrorCode::kDataMalformed, "the bytes are a ciphertext where an evaluation key is expected"};
  }
  return public_header(header);
}

Result<KeyHeader> check_key(const Parameters& parameters, ByteView bytes) {
  ByteReader in(bytes, "the evaluation key");
  TACIT_TRY(const Header header, read_checked_header(parameters, in, true));
  TACIT_TRY([[maybe_unused]] const ByteView seed, in.raw(kSeedBytes));
  AlignedVector<u64> limb(parameters.degree());
  for (std::size_t digit = 0; digit < header.shape.digits(); ++digit) {
    for (std::size_t i = 0; i < limbs_of(header.shape); ++i) {
      TACIT_CHECK(unpack(in, parameters, modulus_of(parameters, header.shape, i), limb.data()));
    }
  }
  TACIT_CHECK(in.finish());
  return public_header(header);
}

Result<SwitchingKey> read_key(const Parameters& parameters, ByteView bytes, KeyForm form) {
  ByteReader in(bytes, "the evaluation key");
  TACIT_TRY(const Header header, read_checked_header(parameters, in, true));
  SwitchingKey key;
  key.request = {header.element, header.shape};
  key.tag = header.tag;
  TACIT_TRY(key.seed, read_seed(in));
  const KeyShape& shape = header.shape;
  key.b = ring::Constants(parameters.degree(), parameters.extended_moduli(shape.level, shape.special_count),
                          shape.digits());
  AlignedVector<u64> words(parameters.degree());
  for (std::size_t digit = 0; digit < key.b.rows(); ++digit) {
    for (std::size_t i = 0; i < key.b.limbs(); ++i) {
      TACIT_CHECK(unpack(in, parameters, key.b.modulus(i), words.data()));
      key.b.store(i, digit, words.data());
    }
  }
  if (form == KeyForm::kWhole) key.a = expand_key_half(parameters, key.seed, shape);
  TACIT_CHECK(in.finish());
  return key;
}

}  // namespace tacit::ckks
