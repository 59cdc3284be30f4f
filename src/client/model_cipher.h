// SPDX-License-Identifier: Apache-2.0
// One model's input and output between tensors and the bytes that travel: everything of a prediction but the
// network.
#pragma once

#include <span>
#include <vector>

#include "ckks/encoder.h"
#include "ckks/wire.h"
#include "plan/run_steps.h"
#include "secret/keygen.h"

namespace tacit::client {

class ModelCipher {
 public:
  // `half` as client_half_from_json or read_package gave it. Its parameters pass the security gate once more
  // here; parameters.mismatch where the key has another ring size.
  static Result<ModelCipher> create(const plan::ClientHalf& half, const secret::SecretKey& key);

  // The bytes of a fresh encryption of one tensor, or of one for each image of a batch, as `value` says: one ciphertext or
  // as many as it takes. tensor.shape, value.out-of-range; argument.invalid for more images than the model's batch.
  Result<std::vector<Bytes>> encrypt(const plan::ClientValue& value, const plan::Tensors& tensors) const;

  // The tensors of `images` images. The answer's structure is checked before anything is decrypted: it must
  // have been computed from a ciphertext under this key (parameters.mismatch), for this model, at the
  // value's level (ciphertext.level) and scale (ciphertext.scale), in as many ciphertexts as the value takes, and be an
  // encryption at all (data.malformed). Whether the server computed the right thing cannot be checked.
  Result<plan::Tensors> decrypt(const plan::ClientValue& value, std::span<const Bytes> answer,
                                std::size_t images) const;

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
  Status check_answer(const plan::ClientValue& value, const ckks::TaggedCiphertext& answer) const;

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
