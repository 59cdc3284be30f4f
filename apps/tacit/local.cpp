// SPDX-License-Identifier: Apache-2.0
#include "local.h"

#include "console.h"

namespace tacit::app {

Result<LocalModel> LocalModel::open(const std::filesystem::path& package, const KeyProgress& progress) {
  TACIT_TRY(std::shared_ptr<const runtime::Model> model, runtime::Model::load(package));
  return make(std::move(model), progress);
}

Result<LocalModel> LocalModel::create(plan::Package package, const KeyProgress& progress) {
  TACIT_TRY(std::shared_ptr<const runtime::Model> model, runtime::Model::create(std::move(package)));
  return make(std::move(model), progress);
}

Result<LocalModel> LocalModel::make(std::shared_ptr<const runtime::Model> model,
                                    const KeyProgress& progress) {
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

// How values travel where client and server are one process (plan/run_steps.h).
class LocalModel::Way {
 public:
  Way(const LocalModel& model, std::size_t images, const runtime::Progress& progress,
      client::BatchPrediction& prediction)
      : model_(model), images_(images), progress_(progress), prediction_(prediction) {}

  Result<std::vector<Bytes>> encrypt(const plan::ClientValue& value, const plan::Tensors& tensors) {
    Stopwatch encrypting;
    TACIT_TRY(std::vector<Bytes> ciphertexts, model_.cipher_.encrypt(value, tensors));
    prediction_.encrypt_ms += encrypting.milliseconds();
    return ciphertexts;
  }
  Result<plan::Tensors> decrypt(const plan::ClientValue& value, const std::vector<Bytes>& ciphertexts) {
    Stopwatch decrypting;
    TACIT_TRY(plan::Tensors tensors, model_.cipher_.decrypt(value, ciphertexts, images_));
    prediction_.decrypt_ms += decrypting.milliseconds();
    return tensors;
  }
  Result<std::vector<std::vector<Bytes>>> ask(std::size_t stage, std::vector<std::vector<Bytes>> inputs) {
    std::vector<ByteView> views;
    for (const std::vector<Bytes>& input : inputs)
      for (const Bytes& ciphertext : input) {
        views.push_back(ciphertext);
        prediction_.upload_bytes += ciphertext.size();
      }
    Stopwatch computing;
    TACIT_TRY(std::vector<Bytes> answer,
              model_.model_->run(model_.keys_, model_.cipher_.tag(), stage, views, progress_));
    prediction_.server_ms += computing.milliseconds();
    const std::vector<plan::ValueId> values = model_.model_->output_ciphertexts(stage);
    std::vector<std::vector<Bytes>> outputs;
    for (std::size_t i = 0; i < answer.size(); ++i) {
      prediction_.download_bytes += answer[i].size();
      if (i == 0 || values[i] != values[i - 1]) outputs.emplace_back();
      outputs.back().push_back(std::move(answer[i]));
    }
    return outputs;
  }

 private:
  const LocalModel& model_;
  std::size_t images_;
  const runtime::Progress& progress_;
  client::BatchPrediction& prediction_;
};

Result<client::BatchPrediction> LocalModel::predict(plan::Tensors images,
                                                    const runtime::Progress& progress) const {
  client::BatchPrediction prediction;
  const std::size_t count = images.size();
  TACIT_TRY(prediction.outputs, plan::run_steps<std::vector<Bytes>>(half(), std::move(images), half().output,
                                                                    Way(*this, count, progress, prediction)));
  return prediction;
}

}  // namespace tacit::app
