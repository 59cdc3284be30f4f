// SPDX-License-Identifier: Apache-2.0
// client_key_generation SIZE: a secret key and the evaluation keys that the model asks for.
#include "base/parallel.h"
#include "file_bundle.h"
#include "key_file.h"
#include "stage.h"

namespace tacit::fhe_benchmark {
namespace {

Status generate(const Instance& instance) {
  TACIT_TRY(const plan::Package model, read_model(instance.package()));
  TACIT_CHECK(make_empty_folder(instance.public_keys()));
  TACIT_TRY(const secret::SecretKey key, make_key_file(instance, model.client));
  TACIT_TRY(const client::ModelCipher cipher, client::ModelCipher::create(model.client, key));
  const std::vector<ckks::KeyRequest>& requests = model.client.keys;
  std::vector<Bytes> keys(requests.size());
  std::vector<Status> statuses(requests.size());
  parallel_for(requests.size(), [&](std::size_t i) {
    Result<Bytes> made = cipher.make_key(requests[i]);
    if (made.ok())
      keys[i] = std::move(made).value();
    else
      statuses[i] = std::move(made).error();
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  return write_bundle(instance.evaluation_keys(), keys);
}

}  // namespace
}  // namespace tacit::fhe_benchmark

int main(int argc, char** argv) {
  return tacit::fhe_benchmark::run_stage("client_key_generation", argc, argv, tacit::fhe_benchmark::generate);
}
