// SPDX-License-Identifier: Apache-2.0
// A model whose ciphertexts never leave this process: both ends of `tacit run`.
#pragma once

#include <functional>
#include <memory>

#include "client/session.h"
#include "runtime/model.h"

namespace tacit::app {

class LocalModel {
 public:
  using KeyProgress = std::function<void(std::size_t done, std::size_t total)>;

  // Loads the package and makes a secret key and evaluation keys, kept in memory only.
  static Result<LocalModel> open(const std::filesystem::path& package, const KeyProgress& progress);
  // The same for a package that is no file.
  static Result<LocalModel> create(plan::Package package, const KeyProgress& progress);

  // Encrypts, runs the plan on the ciphertexts' bytes as a server would, decrypts: one image, or up to half().batch().
  Result<client::BatchPrediction> predict(plan::Tensors images, const runtime::Progress& progress = {}) const;

  const plan::ClientHalf& half() const { return cipher_.half(); }
  std::uint64_t key_bytes() const { return cipher_.key_bytes(); }

 private:
  class Way;
  static Result<LocalModel> make(std::shared_ptr<const runtime::Model> model, const KeyProgress& progress);
  LocalModel(std::shared_ptr<const runtime::Model> model, client::ModelCipher cipher)
      : model_(std::move(model)), cipher_(std::move(cipher)) {}

  std::shared_ptr<const runtime::Model> model_;
  client::ModelCipher cipher_;
  ckks::EvaluationKeys keys_;
};

}  // namespace tacit::app
