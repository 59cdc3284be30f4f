// SPDX-License-Identifier: Apache-2.0
#include "client/model_cipher.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"

namespace tacit::client {
namespace {

// Scales are exact to the rounding of doubles along the plan; more than this is another plan.
bool same_scale(double a, double b) { return std::abs(a - b) <= std::ldexp(std::abs(b), -40); }

Error no_encryption() { return {ErrorCode::kDataMalformed, "the answer is not an encryption under the key"}; }

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

Result<std::vector<Bytes>> ModelCipher::encrypt(const plan::ClientValue& value,
                                                const plan::Tensors& tensors) const {
  if (tensors.empty() || tensors.size() > half_.batch())
    return Error{ErrorCode::kInvalidArgument, "a request of this model takes 1 to " +
                                                  std::to_string(half_.batch()) + " images, not " +
                                                  std::to_string(tensors.size())};
  const std::size_t count = half_.ciphertexts(value);
  // An image's slots in one ciphertext. One period is enough: the encoder repeats it over all slots.
  const std::size_t block = std::min(value.period, half_.slots);
  std::vector<std::vector<double>> slots;
  for (const std::vector<float>& tensor : tensors) {
    TACIT_TRY(slots.emplace_back(),
              plan::pack(value.layout, value.period, count * block, tensor, 1 / value.range));
  }
  std::vector<Bytes> ciphertexts(count);
  std::vector<Status> statuses(count);
  parallel_for(count, [&](std::size_t i) {
    const auto made = [&]() -> Result<Bytes> {
      std::vector<double> values;
      for (const std::vector<double>& image : slots)
        values.insert(values.end(), image.begin() + static_cast<std::ptrdiff_t>(i * block),
                      image.begin() + static_cast<std::ptrdiff_t>((i + 1) * block));
      TACIT_TRY(ckks::Plaintext plaintext,
                encoder_.encode(values, value.scale, value.level, half_.batch() == 1));
      TACIT_TRY(ckks::SeededCiphertext ciphertext, holder_.encrypt(plaintext));
      return ckks::write_ciphertext(parameters(), ciphertext, tag());
    }();
    if (made.ok())
      ciphertexts[i] = *made;
    else
      statuses[i] = made.error();
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  return ciphertexts;
}

Status ModelCipher::check_answer(const plan::ClientValue& value, const ckks::TaggedCiphertext& answer) const {
  if (answer.tag != tag()) {
    return Error{ErrorCode::kParametersMismatch,
                 "the answer is encrypted under another key than the request was"};
  }
  const ckks::Ciphertext& ciphertext = answer.ciphertext;
  if (ciphertext.size() != 2) return no_encryption();
  if (ciphertext.level() != value.level) {
    return Error{ErrorCode::kLevelMismatch, "the answer has level " + std::to_string(ciphertext.level()) +
                                                ", the model's output has level " +
                                                std::to_string(value.level)};
  }
  if (!same_scale(ciphertext.scale, value.scale)) {
    return Error{ErrorCode::kScaleMismatch, "the answer has another scale than the model's output"};
  }
  return {};
}

Result<plan::Tensors> ModelCipher::decrypt(const plan::ClientValue& value, std::span<const Bytes> answer,
                                           std::size_t images) const {
  const std::size_t count = half_.ciphertexts(value);
  if (answer.size() != count)
    return Error{ErrorCode::kDataMalformed, "the answer has " + std::to_string(answer.size()) +
                                                " ciphertexts, the value takes " + std::to_string(count)};
  std::vector<std::vector<double>> slots(images);
  // A ciphertext of values that depend on no input, such as a padding, may hold them as they are; not all do.
  bool encrypted = false;
  for (const Bytes& bytes : answer) {
    TACIT_TRY(ckks::TaggedCiphertext tagged, ckks::read_ciphertext(parameters(), bytes));
    TACIT_CHECK(check_answer(value, tagged));
    encrypted = encrypted || !all_zero(tagged.ciphertext.parts[1]);
    TACIT_TRY(ckks::Plaintext plaintext, holder_.decrypt(tagged.ciphertext));
    const std::vector<double> part = encoder_.decode_real(plaintext);
    for (std::size_t image = 0; image < images; ++image) {
      const auto first = part.begin() + static_cast<std::ptrdiff_t>(image * half_.slots);
      slots[image].insert(slots[image].end(), first, first + static_cast<std::ptrdiff_t>(half_.slots));
    }
  }
  if (!encrypted) return no_encryption();
  plan::Tensors tensors;
  for (const std::vector<double>& image : slots) {
    TACIT_TRY(tensors.emplace_back(), plan::unpack(value.layout, image, value.range));
  }
  return tensors;
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
