// SPDX-License-Identifier: Apache-2.0
#include "secret/keygen.h"

#include <algorithm>

#include "base/parallel.h"
#include "base/wiped.h"
#include "ckks/expand.h"
#include "ckks/small_poly.h"

namespace tacit::secret {

using ring::kernels;
using ring::Poly;
using ring::u64;

namespace {

// A polynomial of centred binomial errors from the operating system's randomness.
Status sample_fresh_error(std::span<std::int8_t> out) {
  TACIT_TRY(ring::Seed seed, ring::fresh_seed());
  {
    ring::Stream stream(seed, "error");
    ring::sample_error(stream, out);
  }
  wipe(seed.data(), seed.size());
  return {};
}

}  // namespace

Result<KeyHolder> KeyHolder::create(const ckks::Parameters& parameters, const SecretKey& key) {
  if (key.log_degree() != parameters.log_degree()) {
    return Error{ErrorCode::kParametersMismatch,
                 "the secret key is for ring degree 2^" + std::to_string(key.log_degree()) +
                     ", the model needs 2^" + std::to_string(parameters.log_degree()) +
                     "; make a key of that size"};
  }
  const std::size_t n = parameters.degree(), primes = parameters.ring().count();
  KeyHolder holder(parameters);
  holder.tag_ = key.tag();
  // Room to start on a cache line, which the guarded allocation does not promise.
  holder.secret_ = SecureBuffer<u64>(n * primes + kCacheLine / sizeof(u64));
  if (!holder.secret_.valid()) {
    return Error{ErrorCode::kOutOfMemory, "no locked memory could be had for the secret key"};
  }
  for (std::size_t i = 0; i < primes; ++i) {
    ckks::small_to_ntt(parameters.ring().ntt(i), key.coefficients(), holder.limb(i));
  }
  return holder;
}

u64* KeyHolder::limb(std::size_t i) { return const_cast<u64*>(std::as_const(*this).limb(i)); }

const u64* KeyHolder::limb(std::size_t i) const {
  const auto address = reinterpret_cast<std::uintptr_t>(secret_.data());
  const std::size_t offset = (kCacheLine - address % kCacheLine) % kCacheLine / sizeof(u64);
  return secret_.data() + offset + i * parameters_.degree();
}

Result<ckks::SwitchingKey> KeyHolder::make_key(const ckks::KeyRequest& request) const {
  const ckks::KeyShape& shape = request.shape;
  if (!parameters_.admits(shape) || request.element % 2 == 0 || request.element >= 2 * parameters_.degree()) {
    return Error{ErrorCode::kParametersMismatch,
                 "the model asks for an evaluation key that its parameters do not allow"};
  }
  const std::size_t n = parameters_.degree();
  const std::size_t limbs = static_cast<std::size_t>(shape.level) + 1;
  const std::vector<ring::Modulus> moduli = parameters_.extended_moduli(shape.level, shape.special_count);
  ckks::SwitchingKey key;
  key.request = request;
  key.tag = tag_;
  TACIT_TRY(key.seed, ring::fresh_seed());
  key.a = ring::Constants(n, moduli, shape.digits());
  key.b = ring::Constants(n, moduli, shape.digits());
  const ring::Automorphism automorphism(parameters_.log_degree(), request.element);
  Wiped<std::int8_t> error(n);
  for (std::size_t digit = 0; digit < shape.digits(); ++digit) {
    TACIT_CHECK(sample_fresh_error(error.values));
    parallel_for(moduli.size(), [&](std::size_t i) {
      const std::size_t prime = parameters_.limb_index(shape.level, i);
      const ring::NttTable& table = parameters_.ring().ntt(prime);
      const ring::Modulus& q = table.modulus;
      AlignedVector<u64> mask(n), masked(n);
      ckks::expand_key_limb(q, key.seed, digit, mask);
      key.a.store(i, digit, mask.data());
      u64* out = masked.data();
      // All in Montgomery form: b = e - a s, plus P s' in the digit's own limbs.
      Wiped<u64> product(n);
      ckks::small_to_ntt(table, error.values, out);
      kernels().multiply_constant(q, q.shoup(q.radix()), out, out, n);
      kernels().multiply(q, product.values.data(), mask.data(), limb(prime), n);
      kernels().subtract(q, out, out, product.values.data(), n);
      if (i >= limbs || i / static_cast<std::size_t>(shape.digit_size) != digit)
        return key.b.store(i, digit, out);
      if (request.element == ckks::kRelinearisation) {
        kernels().multiply(q, product.values.data(), limb(prime), limb(prime), n);
      } else {
        kernels().permute(automorphism, 0, product.values.data(), limb(prime), n);
      }
      u64 factor = q.radix();
      for (int s = 0; s < shape.special_count; ++s) {
        factor =
            q.multiply(factor, q.reduce(parameters_.ring().modulus(parameters_.special_index(s)).value()));
      }
      kernels().multiply_constant(q, q.shoup(factor), product.values.data(), product.values.data(), n);
      kernels().add(q, out, out, product.values.data(), n);
      key.b.store(i, digit, out);
    });
  }
  return key;
}

Result<ckks::PublicKey> KeyHolder::make_public_key() const {
  const std::size_t n = parameters_.degree();
  ckks::PublicKey key;
  key.tag = tag_;
  TACIT_TRY(key.seed, ring::fresh_seed());
  key.a = ckks::expand_public_key_half(parameters_, key.seed);
  key.b = Poly(n, key.a.limbs());
  Wiped<std::int8_t> error(n);
  TACIT_CHECK(sample_fresh_error(error.values));
  parallel_for(key.a.limbs(), [&](std::size_t i) {
    const ring::NttTable& table = parameters_.ring().ntt(i);
    Wiped<u64> product(n);
    ckks::small_to_ntt(table, error.values, key.b.data(i));
    kernels().multiply(table.modulus, product.values.data(), key.a.data(i), limb(i), n);
    kernels().subtract(table.modulus, key.b.data(i), key.b.data(i), product.values.data(), n);
  });
  return key;
}

Result<ckks::SeededCiphertext> KeyHolder::encrypt(const ckks::Plaintext& plaintext) const {
  const std::size_t n = parameters_.degree();
  ckks::SeededCiphertext out;
  out.scale = plaintext.scale;
  TACIT_TRY(out.seed, ring::fresh_seed());
  const Poly c1 = ckks::expand_ciphertext_half(parameters_, out.seed, plaintext.level());
  out.c0 = Poly(n, c1.limbs());
  Wiped<std::int8_t> error(n);
  TACIT_CHECK(sample_fresh_error(error.values));
  parallel_for(c1.limbs(), [&](std::size_t i) {
    const ring::NttTable& table = parameters_.ring().ntt(i);
    u64* c0 = out.c0.data(i);
    Wiped<u64> product(n);
    ckks::small_to_ntt(table, error.values, c0);
    kernels().add(table.modulus, c0, c0, plaintext.poly.data(i), n);
    kernels().multiply(table.modulus, product.values.data(), c1.data(i), limb(i), n);
    kernels().subtract(table.modulus, c0, c0, product.values.data(), n);
  });
  return out;
}

Result<ckks::Plaintext> KeyHolder::decrypt(const ckks::Ciphertext& ciphertext) const {
  if (ciphertext.size() < 2 || ciphertext.size() > 3 || ciphertext.level() > parameters_.max_level()) {
    return Error{ErrorCode::kDataMalformed,
                 "a ciphertext to decrypt must have two or three parts and a known level"};
  }
  const std::size_t n = parameters_.degree();
  ckks::Plaintext out{Poly(n, ciphertext.parts[0].limbs()), ciphertext.scale};
  parallel_for(out.poly.limbs(), [&](std::size_t i) {
    const ring::Modulus& q = parameters_.ring().modulus(i);
    u64* m = out.poly.data(i);
    // Horner: (c_2 s + c_1) s + c_0.
    std::ranges::copy(ciphertext.parts.back().limb(i), m);
    for (std::size_t part = ciphertext.size() - 1; part-- > 0;) {
      kernels().multiply(q, m, m, limb(i), n);
      kernels().add(q, m, m, ciphertext.parts[part].data(i), n);
    }
  });
  return out;
}

}  // namespace tacit::secret
