// SPDX-License-Identifier: Apache-2.0
#include "local.h"

#include "console.h"

namespace tacit::app {

Result<LocalModel> LocalModel::open(const std::filesystem::path& package, const KeyProgress& progress) {
  TACIT_TRY(std::shared_ptr<const runtime::Model> model, runtime::Model::load(package));
  const plan::ClientHalf& half = model->client_half();
  TACIT_TRY(secret::SecretKey key, secret::SecretKey::generate(half.parameters.log_degree));
  TACIT_TRY(client::ModelCipher cipher, client::ModelCipher::create(half, key));
  LocalModel local(std::move(model), std::move(cipher));
  const std::vector<ckks::KeyRequest>& requests = local.half().keys;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    progress(i, requests.size());
    TACIT_TRY(ckks::SwitchingKey evaluation_key, local.cipher_.holder().make_key(requests[i]));
    local.keys_.insert(std::move(evaluation_key));
  }
  progress(requests.size(), requests.size());
  return local;
}

Result<LocalModel::Prediction> LocalModel::predict(std::span<const float> tensor,
                                                   const runtime::Progress& progress) const {
  Prediction prediction;
  Stopwatch encrypting;
  TACIT_TRY(const std::vector<Bytes> request, cipher_.encrypt(tensor));
  prediction.encrypt_ms = encrypting.milliseconds();
  const std::vector<ByteView> views(request.begin(), request.end());
  for (const Bytes& ciphertext : request) prediction.upload_bytes += ciphertext.size();

  Stopwatch computing;
  TACIT_TRY(const std::vector<Bytes> answer, model_->run(keys_, cipher_.tag(), views, progress));
  prediction.server_ms = computing.milliseconds();
  for (const Bytes& ciphertext : answer) prediction.download_bytes += ciphertext.size();

  Stopwatch decrypting;
  TACIT_TRY(prediction.outputs, cipher_.decrypt(answer));
  prediction.decrypt_ms = decrypting.milliseconds();
  return prediction;
}

}  // namespace tacit::app
