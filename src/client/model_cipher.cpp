// SPDX-License-Identifier: Apache-2.0
#include "client/model_cipher.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tacit::client {
namespace {

// Scales are exact to the rounding of doubles along the plan; more than this is another plan.
bool same_scale(double a, double b) { return std::abs(a - b) <= std::ldexp(std::abs(b), -40); }

bool all_zero(const ring::Poly& poly) {
  for (std::size_t i = 0; i < poly.limbs(); ++i) {
    auto limb = poly.limb(i);
    if (std::any_of(limb.begin(), limb.end(), [](ring::u64 word) { return word != 0; })) return false;
  }
  return true;
}

}  // namespace

Result<ModelCipher> ModelCipher::create(const plan::ClientHalf& half, const secret::SecretKey& key) {
  TACIT_TRY(ckks::Parameters parameters, ckks::Parameters::create(half.parameters));
  TACIT_TRY(secret::KeyHolder holder, secret::KeyHolder::create(parameters, key));
  return ModelCipher(half, std::move(holder));
}

Result<std::vector<Bytes>> ModelCipher::encrypt(std::span<const float> tensor) const {
  // One period is enough: the encoder repeats it over all slots.
  const std::size_t count = ciphertext_count(half_.input, half_.input_period, parameters().slots());
  const std::size_t block = std::min(half_.input_period, parameters().slots());
  TACIT_TRY(const std::vector<double> slots,
            plan::pack(half_.input, half_.input_period, count * block, tensor, 1 / half_.input_range));
  std::vector<Bytes> ciphertexts;
  for (std::size_t i = 0; i < count; ++i) {
    TACIT_TRY(ckks::Plaintext plaintext, encoder_.encode(std::span(slots).subspan(i * block, block),
                                                         half_.input_scale, half_.input_level, true));
    TACIT_TRY(ckks::SeededCiphertext ciphertext, holder_.encrypt(plaintext));
    ciphertexts.push_back(ckks::write_ciphertext(parameters(), ciphertext, tag()));
  }
  return ciphertexts;
}

Status ModelCipher::check_answer(const ckks::TaggedCiphertext& answer) const {
  if (answer.tag != tag()) {
    return Error{ErrorCode::kParametersMismatch,
                 "the answer is encrypted under another key than the request was"};
  }
  const ckks::Ciphertext& ciphertext = answer.ciphertext;
  if (ciphertext.size() != 2 || all_zero(ciphertext.parts[1])) {
    return Error{ErrorCode::kDataMalformed, "the answer is not an encryption under the key"};
  }
  if (ciphertext.level() != half_.output_level) {
    return Error{ErrorCode::kLevelMismatch, "the answer has level " + std::to_string(ciphertext.level()) +
                                                ", the model's output has level " +
                                                std::to_string(half_.output_level)};
  }
  if (!same_scale(ciphertext.scale, half_.output_scale)) {
    return Error{ErrorCode::kScaleMismatch, "the answer has another scale than the model's output"};
  }
  return {};
}

Result<std::vector<float>> ModelCipher::decrypt(std::span<const Bytes> answer) const {
  // A vector that repeats is in one ciphertext, an output's extent can be in several.
  const std::size_t extent = half_.output.extent(), n = parameters().slots();
  const std::size_t count = ciphertext_count(half_.output, std::bit_ceil(extent), n);
  if (answer.size() != count)
    return Error{ErrorCode::kDataMalformed, "the answer has " + std::to_string(answer.size()) +
                                                " ciphertexts, the model's output takes " +
                                                std::to_string(count)};
  std::vector<double> slots;
  for (const Bytes& bytes : answer) {
    TACIT_TRY(ckks::TaggedCiphertext tagged, ckks::read_ciphertext(parameters(), bytes));
    TACIT_CHECK(check_answer(tagged));
    TACIT_TRY(ckks::Plaintext plaintext, holder_.decrypt(tagged.ciphertext));
    const std::vector<double> part = encoder_.decode_real(plaintext);
    slots.insert(slots.end(), part.begin(), part.end());
  }
  return plan::unpack(half_.output, slots, half_.output_range);
}

Result<Bytes> ModelCipher::make_key(const ckks::KeyRequest& request) const {
  TACIT_TRY(ckks::SwitchingKey key, holder_.make_key(request));
  return ckks::write_key(parameters(), key);
}

Digest ModelCipher::basis(const ckks::KeyRequest& request) const {
  return parameters().basis_digest(request.shape.level, request.shape.special_count);
}

std::uint64_t ModelCipher::key_bytes() const {
  std::uint64_t bytes = 0;
  for (const ckks::KeyRequest& request : half_.keys) bytes += ckks::key_bytes(parameters(), request.shape);
  return bytes;
}

std::vector<double> softmax(std::span<const float> outputs) {
  std::vector<double> result(outputs.begin(), outputs.end());
  if (result.empty()) return result;
  double top = *std::max_element(result.begin(), result.end()), sum = 0;
  for (double& x : result) sum += x = std::exp(x - top);
  for (double& x : result) x /= sum;
  return result;
}

std::size_t largest(std::span<const float> outputs) {
  return static_cast<std::size_t>(std::max_element(outputs.begin(), outputs.end()) - outputs.begin());
}

std::string label_text(const plan::ClientHalf& half, std::size_t index) {
  return index < half.labels.size() ? half.labels[index] : std::to_string(index);
}

}  // namespace tacit::client
