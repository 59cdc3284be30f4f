// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cassert>
#include <optional>

#include "ring/kernels/kernels.h"
#include "seal/seal_objects.h"

namespace tacit::seal {

using ckks::Parameters;
using ring::Poly;

namespace {

// Our keys are in Montgomery form, 2^52 times the residue.
void from_seal(const Parameters& parameters, const Poly& poly, ring::Constants& out, std::size_t row) {
  AlignedVector<u64> words(poly.degree());
  for (std::size_t i = 0; i < poly.limbs(); ++i) {
    const ring::Modulus& q = parameters.ring().modulus(i);
    ring::kernels().multiply_constant(q, q.shoup(q.radix()), words.data(), poly.data(i), poly.degree());
    out.store(i, row, words.data());
  }
}

Poly to_seal(const Parameters& parameters, const ring::Constants& constants, std::size_t row) {
  Poly out(parameters.degree(), constants.limbs());
  for (std::size_t i = 0; i < out.limbs(); ++i) {
    const ring::Modulus& q = constants.modulus(i);
    constants.load(i, row, out.data(i));
    ring::kernels().multiply_constant(q, q.shoup(q.inverse(q.radix())), out.data(i), out.data(i),
                                      out.degree());
  }
  return out;
}

// The key of one element: a pair for each prime of q_0 .. q_L, or none.
Result<std::optional<ckks::SwitchingKey>> read_switching_key(const Parameters& parameters, ByteReader& reader,
                                                             std::uint32_t element) {
  TACIT_TRY(const u64 digits, reader.u64());
  if (digits == 0) return std::optional<ckks::SwitchingKey>();
  ckks::SwitchingKey key;
  key.request = {element, {parameters.max_level(), 1, 1}};
  if (digits != key.request.shape.digits()) {
    return malformed(reader, "has a key of " + std::to_string(digits) + " digits where there must be " +
                                 std::to_string(key.request.shape.digits()));
  }
  const auto moduli = parameters.extended_moduli(parameters.max_level(), 1);
  key.b = ring::Constants(parameters.degree(), moduli, digits);
  key.a = ring::Constants(parameters.degree(), moduli, digits);
  for (u64 j = 0; j < digits; ++j) {
    TACIT_TRY(const ckks::Ciphertext pair, read_ciphertext_object(parameters, reader, Basis::kKey));
    from_seal(parameters, pair.parts[0], key.b, j);
    from_seal(parameters, pair.parts[1], key.a, j);
  }
  return std::optional(std::move(key));
}

// A KSwitchKeys has a place for each Galois element 2 place + 1, or a single one, for s^2; kRelinearisation being 1, the
// same formula serves both.
std::uint32_t element_at(u64 place) { return static_cast<std::uint32_t>(2 * place + 1); }

// Every key of a KSwitchKeys with `dimension` places.
Result<std::vector<ckks::SwitchingKey>> read_switching_keys(const Parameters& parameters, ByteView bytes,
                                                            u64 dimension) {
  ByteReader outer(bytes, "SEAL switching keys");
  TACIT_TRY(ByteReader reader, open(outer, outer.what()));
  TACIT_CHECK(outer.finish());
  TACIT_TRY(const Digest id, read_id(reader));
  if (parameters.special_count() != 1 || id != key_parms_id(parameters))
    return made_for_other_parameters(reader);
  TACIT_TRY(const u64 places, reader.u64());
  if (places != dimension) {
    return malformed(reader, "have room for " + std::to_string(places) + " keys where there must be " +
                                 std::to_string(dimension));
  }
  std::vector<ckks::SwitchingKey> keys;
  for (u64 place = 0; place < places; ++place) {
    TACIT_TRY(auto key, read_switching_key(parameters, reader, element_at(place)));
    if (key) keys.push_back(std::move(*key));
  }
  TACIT_CHECK(reader.finish());
  return keys;
}

Bytes write_switching_keys(const Parameters& parameters, std::span<const ckks::SwitchingKey> unordered,
                           u64 dimension) {
  assert(parameters.special_count() == 1);
  std::vector<const ckks::SwitchingKey*> keys;
  for (const ckks::SwitchingKey& key : unordered) keys.push_back(&key);
  std::ranges::sort(keys, {}, [](const ckks::SwitchingKey* key) { return key->request.element; });
  u64 total = kHeaderBytes + 32 + 8 + 8 * dimension;
  for (const ckks::SwitchingKey* key : keys) {
    total += key->b.rows() * ciphertext_bytes(2 * u64{parameters.degree()} * parameters.ring().count());
  }
  ByteWriter out;
  put_header(out, total);
  const Digest id = key_parms_id(parameters);
  out.raw(id);
  out.u64(dimension);
  auto next = keys.begin();
  for (u64 place = 0; place < dimension; ++place) {
    if (next == keys.end() || (*next)->request.element != element_at(place)) {
      out.u64(0);
      continue;
    }
    const ckks::SwitchingKey& key = **next++;
    assert(key.request.shape == (ckks::KeyShape{parameters.max_level(), 1, 1}));
    out.u64(key.b.rows());
    for (std::size_t j = 0; j < key.b.rows(); ++j) {
      const Poly b = to_seal(parameters, key.b, j), a = to_seal(parameters, key.a, j);
      const Poly* parts[] = {&b, &a};
      put_ciphertext(out, id, 1, parts);
    }
  }
  assert(next == keys.end() && out.size() == total);
  return std::move(out).take();
}

}  // namespace

Bytes write_secret_key(const Parameters& parameters, const secret::SecretKey& key) {
  assert(parameters.special_count() == 1 && key.log_degree() == parameters.log_degree());
  Poly poly(parameters.degree(), parameters.ring().count());
  for (std::size_t i = 0; i < poly.limbs(); ++i) {
    const ring::Modulus& q = parameters.ring().modulus(i);
    std::ranges::transform(key.coefficients(), poly.data(i),
                           [&](std::int8_t x) { return q.reduce_signed(x); });
    ring::kernels().forward_ntt(parameters.ring().ntt(i), poly.data(i), poly.data(i));
  }
  ByteWriter out;
  put_plaintext(out, key_parms_id(parameters), 1, poly);
  return std::move(out).take();
}

Result<secret::SecretKey> read_secret_key(const Parameters& parameters, ByteView bytes) {
  ByteReader outer(bytes, "SEAL secret key");
  TACIT_TRY(ckks::Plaintext body, read_plaintext_object(parameters, outer, Basis::kKey));
  TACIT_CHECK(outer.finish());
  std::vector<std::int8_t> coefficients(parameters.degree());
  for (std::size_t i = 0; i < body.poly.limbs(); ++i) {
    const ring::Modulus& q = parameters.ring().modulus(i);
    const ring::NttTable& table = parameters.ring().ntt(i);
    ring::kernels().inverse_ntt(table, table.inverse_degree, nullptr, body.poly.data(i), body.poly.data(i));
    for (std::size_t k = 0; k < coefficients.size(); ++k) {
      const std::int64_t x = q.centred(body.poly.data(i)[k]);
      if (x < -1 || x > 1 || (i > 0 && x != coefficients[k])) {
        return Error{ErrorCode::kDataMalformed,
                     "a SEAL secret key is not the same ternary polynomial modulo every prime"};
      }
      coefficients[k] = static_cast<std::int8_t>(x);
    }
  }
  return secret::SecretKey::from_coefficients(coefficients);
}

Bytes write_public_key(const Parameters& parameters, const KeyPair& key) {
  assert(parameters.special_count() == 1 && key.b.limbs() == parameters.ring().count());
  const Poly* parts[] = {&key.b, &key.a};
  ByteWriter out;
  put_ciphertext(out, key_parms_id(parameters), 1, parts);
  return std::move(out).take();
}

Result<KeyPair> read_public_key(const Parameters& parameters, ByteView bytes) {
  ByteReader outer(bytes, "SEAL public key");
  TACIT_TRY(ckks::Ciphertext pair, read_ciphertext_object(parameters, outer, Basis::kKey));
  TACIT_CHECK(outer.finish());
  return KeyPair{std::move(pair.parts[0]), std::move(pair.parts[1])};
}

ckks::PublicKey to_public_key(const Parameters& parameters, KeyPair key) {
  ckks::PublicKey out;
  out.b = std::move(key.b);
  out.a = std::move(key.a);
  out.b = out.b.prefix(parameters.literal().primes.size());
  out.a = out.a.prefix(parameters.literal().primes.size());
  return out;
}

Bytes write_relin_keys(const Parameters& parameters, const ckks::SwitchingKey& key) {
  return write_switching_keys(parameters, {&key, 1}, 1);
}

Result<ckks::SwitchingKey> read_relin_keys(const Parameters& parameters, ByteView bytes) {
  TACIT_TRY(std::vector<ckks::SwitchingKey> keys, read_switching_keys(parameters, bytes, 1));
  if (keys.empty()) return Error{ErrorCode::kKeyMissing, "SEAL relinearisation keys hold no key for s^2"};
  return std::move(keys.front());
}

Bytes write_galois_keys(const Parameters& parameters, std::span<const ckks::SwitchingKey> keys) {
  return write_switching_keys(parameters, keys, parameters.degree());
}

Result<std::vector<ckks::SwitchingKey>> read_galois_keys(const Parameters& parameters, ByteView bytes) {
  TACIT_TRY(std::vector<ckks::SwitchingKey> keys,
            read_switching_keys(parameters, bytes, parameters.degree()));
  if (!keys.empty() && keys.front().request.element == element_at(0)) {
    return Error{ErrorCode::kDataMalformed, "SEAL Galois keys hold a key for the identity"};
  }
  return keys;
}

}  // namespace tacit::seal
