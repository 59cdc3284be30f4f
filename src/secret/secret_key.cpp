// SPDX-License-Identifier: Apache-2.0
#include "secret/secret_key.h"

#include <algorithm>

#include "base/wiped.h"
#include "ckks/parameters.h"

namespace tacit::secret {
namespace {

Error no_locked_memory() {
  return {ErrorCode::kOutOfMemory, "no locked memory could be had for the secret key"};
}

Status check_degree(int log_degree) {
  if (log_degree >= ckks::kMinLogDegree && log_degree <= ckks::kMaxLogDegree) return {};
  return Error{ErrorCode::kParametersInvalid,
               "a secret key's ring degree must be 2^12 to 2^16, not 2^" + std::to_string(log_degree)};
}

ckks::KeyTag make_tag(ByteView secret) {
  const Digest digest = blake2b(as_bytes("tacit/v1/key-tag"), blake2b(secret));
  ckks::KeyTag tag;
  std::copy_n(digest.begin(), tag.size(), tag.begin());
  return tag;
}

}  // namespace

Result<SecretKey> SecretKey::generate(int log_degree) {
  TACIT_TRY(ring::Seed seed, ring::fresh_seed());
  auto key = from_seed(log_degree, seed);
  wipe(seed.data(), seed.size());
  return key;
}

Result<SecretKey> SecretKey::from_seed(int log_degree, std::span<const std::uint8_t, 32> seed) {
  TACIT_CHECK(check_degree(log_degree));
  SecretKey key;
  key.log_degree_ = log_degree;
  key.seed_ = SecureBuffer<std::uint8_t>(seed.size());
  key.coefficients_ = SecureBuffer<std::int8_t>(std::size_t{1} << log_degree);
  if (!key.seed_.valid() || !key.coefficients_.valid()) return no_locked_memory();
  std::ranges::copy(seed, key.seed_.data());
  ring::Seed copy;
  std::ranges::copy(seed, copy.begin());
  ring::Stream stream(copy, "secret-key", {static_cast<ring::u64>(log_degree)});
  ring::sample_ternary(stream, key.coefficients_.span());
  wipe(copy.data(), copy.size());
  key.tag_ = make_tag(key.seed());
  return key;
}

Result<SecretKey> SecretKey::from_coefficients(std::span<const std::int8_t> coefficients) {
  int log_degree = 0;
  while ((std::size_t{1} << log_degree) < coefficients.size()) ++log_degree;
  TACIT_CHECK(check_degree(log_degree));
  if (coefficients.size() != std::size_t{1} << log_degree) {
    return Error{ErrorCode::kParametersInvalid, "a secret key must have a power of two of coefficients"};
  }
  for (std::int8_t c : coefficients) {
    if (c < -1 || c > 1)
      return Error{ErrorCode::kDataMalformed, "a secret key's coefficients must be -1, 0 or 1"};
  }
  SecretKey key;
  key.log_degree_ = log_degree;
  key.coefficients_ = SecureBuffer<std::int8_t>(coefficients.size());
  if (!key.coefficients_.valid()) return no_locked_memory();
  std::ranges::copy(coefficients, key.coefficients_.data());
  key.tag_ = make_tag({reinterpret_cast<const std::uint8_t*>(coefficients.data()), coefficients.size()});
  return key;
}

}  // namespace tacit::secret
