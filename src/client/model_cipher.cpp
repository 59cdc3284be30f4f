// SPDX-License-Identifier: Apache-2.0
#include "client/model_cipher.h"

#include <algorithm>
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

Result<Bytes> ModelCipher::encrypt(std::span<const float> tensor) const {
  // One period is enough: the encoder repeats it over all slots.
  TACIT_TRY(std::vector<double> slots,
            plan::pack(half_.input, half_.input_period, half_.input_period, tensor, 1 / half_.input_range));
  TACIT_TRY(ckks::Plaintext plaintext, encoder_.encode(slots, half_.input_scale, half_.input_level, true));
  TACIT_TRY(ckks::SeededCiphertext ciphertext, holder_.encrypt(plaintext));
  return ckks::write_ciphertext(parameters(), ciphertext, tag());
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

Result<std::vector<float>> ModelCipher::decrypt(ByteView answer) const {
  TACIT_TRY(ckks::TaggedCiphertext tagged, ckks::read_ciphertext(parameters(), answer));
  TACIT_CHECK(check_answer(tagged));
  TACIT_TRY(ckks::Plaintext plaintext, holder_.decrypt(tagged.ciphertext));
  std::vector<double> slots = encoder_.decode_real(plaintext);
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
