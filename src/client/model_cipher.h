// SPDX-License-Identifier: Apache-2.0
// One model's input and output between tensors and the bytes that travel: everything of a prediction but the
// network.
#pragma once

#include <span>
#include <vector>

#include "ckks/encoder.h"
#include "ckks/wire.h"
#include "plan/plan.h"
#include "secret/keygen.h"

namespace tacit::client {

class ModelCipher {
 public:
  // `half` as client_half_from_json or read_package gave it. Its parameters pass the security gate once more
  // here; parameters.mismatch where the key has another ring size.
  static Result<ModelCipher> create(const plan::ClientHalf& half, const secret::SecretKey& key);

  // The bytes of a fresh encryption of a preprocessed tensor, row-major [channels, height, width]: one ciphertext or as many
  // as it takes.
  Result<std::vector<Bytes>> encrypt(std::span<const float> tensor) const;

  // The network's outputs, row-major. The answer's structure is checked before anything is decrypted: it must
  // have been computed from a ciphertext under this key (parameters.mismatch), for this model, at the
  // output's level (ciphertext.level) and scale (ciphertext.scale), in as many ciphertexts as the output takes, and be an
  // encryption at all (data.malformed). Whether the server computed the right thing cannot be checked.
  Result<std::vector<float>> decrypt(std::span<const Bytes> answer) const;

  // A switching key's wire bytes.
  Result<Bytes> make_key(const ckks::KeyRequest& request) const;
  // What a key of this shape depends on besides the secret key.
  Digest basis(const ckks::KeyRequest& request) const;
  // The bytes of all the model's switching keys.
  std::uint64_t key_bytes() const;

  const plan::ClientHalf& half() const { return half_; }
  const ckks::Parameters& parameters() const { return holder_.parameters(); }
  const ckks::KeyTag& tag() const { return holder_.tag(); }
  const secret::KeyHolder& holder() const { return holder_; }

 private:
  ModelCipher(plan::ClientHalf half, secret::KeyHolder holder)
      : half_(std::move(half)), holder_(std::move(holder)), encoder_(holder_.parameters()) {}
  Status check_answer(const ckks::TaggedCiphertext& answer) const;

  plan::ClientHalf half_;
  secret::KeyHolder holder_;
  ckks::Encoder encoder_;
};

// exp(x_i) / sum exp(x_j), computed without overflow.
std::vector<double> softmax(std::span<const float> outputs);
// The index of the largest; the first of several. `outputs` is not empty.
std::size_t largest(std::span<const float> outputs);
// The label's text; the index in decimal where the model has no labels.
std::string label_text(const plan::ClientHalf& half, std::size_t index);

}  // namespace tacit::client
