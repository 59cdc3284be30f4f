// SPDX-License-Identifier: Apache-2.0
// The whole client of one model on one server: keys, encryption, the request, decryption.
#pragma once

#include <functional>
#include <optional>

#include "client/api.h"
#include "client/key_folder.h"
#include "client/model_cipher.h"

namespace tacit::client {

// What a session tells while it is opened; every function may be empty.
struct SessionEvents {
  // A secret key of this ring size was made and saved here.
  std::function<void(int log_degree, const std::filesystem::path& file)> key_created;
  // `done` of `total` evaluation keys are there; called first with 0.
  std::function<void(std::size_t done, std::size_t total)> keys_made;
  // Bytes of evaluation keys that the server has got of those it lacked; called first with 0.
  std::function<void(std::uint64_t done, std::uint64_t total)> keys_uploaded;
};

struct SessionOptions {
  // Where secret and evaluation keys are kept. Without one they are made for this session and kept nowhere:
  // the secret key only in memory, the evaluation keys only by the server.
  std::optional<KeyFolder> folder;
  secret::PassphraseSource passphrase;
  SessionEvents events;
};

// What one prediction, or one batch, took.
struct PredictionCosts {
  double encrypt_ms = 0, server_ms = 0, round_trip_ms = 0, decrypt_ms = 0;
  std::uint64_t upload_bytes = 0, download_bytes = 0;     // the bodies of the requests and the answers
  std::optional<std::uint64_t> server_peak_memory_bytes;  // where the server tells
};

struct Prediction : PredictionCosts {
  std::vector<float> outputs;
};

struct BatchPrediction : PredictionCosts {
  plan::Tensors outputs;  // one for each image
};

class Session {
 public:
  // `half` as fetch_client_half validated it. Opens or makes the secret key; makes what is missing of the
  // evaluation keys; uploads what the server says it lacks. data.too-large for a model that asks for absurdly
  // many keys.
  static Result<Session> open(Api api, const plan::ClientHalf& half, const SessionOptions& options);

  // One prediction from a preprocessed tensor, row-major [channels, height, width]: encrypted, sent, checked
  // and decrypted. Only where the model has client steps does what is sent depend on what was decrypted.
  Result<Prediction> predict(std::span<const float> tensor);
  // Up to half().batch() images in one request.
  Result<BatchPrediction> predict_batch(plan::Tensors images);

  const plan::ClientHalf& half() const { return cipher_.half(); }
  // The bytes of all evaluation keys, and those of them that opening this session sent.
  std::uint64_t key_bytes() const { return cipher_.key_bytes(); }
  std::uint64_t uploaded_key_bytes() const { return uploaded_key_bytes_; }
  const std::string& url() const { return api_.url(); }

 private:
  Session(Api api, ModelCipher cipher) : api_(std::move(api)), cipher_(std::move(cipher)) {}
  class Way;
  Status provide_keys(const PieceCache& cache, const SessionEvents& events);
  Status provide_fresh_keys(const SessionEvents& events);

  Api api_;
  ModelCipher cipher_;
  std::string key_id_;
  std::uint64_t uploaded_key_bytes_ = 0;
};

// The client half of a model, fetched and validated, the 128-bit gate included: nothing is made for a model
// before.
Result<plan::ClientHalf> fetch_client_half(Api& api, std::string_view model);

}  // namespace tacit::client
