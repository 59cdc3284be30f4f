// SPDX-License-Identifier: Apache-2.0
// server_encrypted_compute SIZE: the network on ciphertexts. It holds no code that could use a secret key.
#include "base/parallel.h"
#include "ckks/wire.h"
#include "file_bundle.h"
#include "runtime/model.h"
#include "stage.h"

namespace tacit::fhe_benchmark {
namespace {

struct PublicKeys {
  ckks::EvaluationKeys keys;
  ckks::KeyTag tag{};
};

Result<PublicKeys> load_keys(const Instance& instance, const runtime::Model& model) {
  TACIT_TRY(const MappedFile file, MappedFile::open(instance.evaluation_keys()));
  TACIT_TRY(const std::vector<ByteView> parts, read_bundle(file.bytes()));
  AlignedVector<ckks::SwitchingKey> read(parts.size());
  std::vector<Status> statuses(parts.size());
  parallel_for(parts.size(), [&](std::size_t i) {
    Result<ckks::SwitchingKey> key = ckks::read_key(model.parameters(), parts[i]);
    if (key.ok())
      read[i] = std::move(key).value();
    else
      statuses[i] = std::move(key).error();
  });
  PublicKeys keys;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!statuses[i].ok()) return std::move(statuses[i]).error().within(instance.evaluation_keys().string());
    keys.tag = read[i].tag;
    keys.keys.insert(std::move(read[i]));
  }
  TACIT_CHECK(model.check_keys(keys.keys));
  return keys;
}

// Answers one set of images. The model's first report of progress comes when the ciphertexts are read and their seeds
// expanded, its last one when the network has been computed.
Status answer_set(const Instance& instance, const runtime::Model& model, const PublicKeys& keys,
                  std::size_t set, Steps& steps) {
  TACIT_TRY(const MappedFile file, MappedFile::open(instance.upload_set(set)));
  TACIT_TRY(const std::vector<ByteView> ciphertexts, read_bundle(file.bytes()));
  bool reading = true;
  const auto progress = [&](std::size_t, std::size_t) {
    steps.done(std::exchange(reading, false) ? "Read and expand inputs" : "Encrypted computation");
    return true;
  };
  TACIT_TRY(const std::vector<Bytes> answer, model.run(keys.keys, keys.tag, 0, ciphertexts, progress));
  TACIT_CHECK(write_bundle(instance.download_set(set), answer));
  steps.done("Write outputs");
  return {};
}

Status compute(const Instance& instance) {
  Steps steps;
  TACIT_TRY(plan::Package package, read_model(instance.package()));
  TACIT_TRY(const std::shared_ptr<const runtime::Model> model, runtime::Model::create(std::move(package)));
  steps.done("Load model");
  TACIT_TRY(const PublicKeys keys, load_keys(instance, *model));
  steps.done("Load public keys");
  TACIT_CHECK(make_empty_folder(instance.download()));
  std::error_code ignored;
  std::size_t set = 0;
  do {
    TACIT_CHECK(answer_set(instance, *model, keys, set, steps));
  } while (std::filesystem::exists(instance.upload_set(++set), ignored));
  steps.say();
  return write_bytes(instance.reported_steps(), as_bytes(steps.to_json()));
}

}  // namespace
}  // namespace tacit::fhe_benchmark

int main(int argc, char** argv) {
  return tacit::fhe_benchmark::run_stage("server_encrypted_compute", argc, argv,
                                         tacit::fhe_benchmark::compute);
}
