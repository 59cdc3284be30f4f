// SPDX-License-Identifier: Apache-2.0
// client_decrypt_decode SIZE: the server's answers to the network's outputs.
#include <algorithm>
#include <array>

#include "base/npy.h"
#include "base/parallel.h"
#include "file_bundle.h"
#include "key_file.h"
#include "stage.h"

namespace tacit::fhe_benchmark {
namespace {

Result<plan::Tensors> decrypt_set(const Instance& instance, const client::ModelCipher& cipher,
                                  std::size_t set, std::size_t images) {
  TACIT_TRY(const MappedFile file, MappedFile::open(instance.download_set(set)));
  TACIT_TRY(const std::vector<ByteView> parts, read_bundle(file.bytes()));
  std::vector<Bytes> answer;
  answer.reserve(parts.size());
  for (ByteView part : parts) answer.emplace_back(part.begin(), part.end());
  return cipher.decrypt(cipher.half().output_value(), answer, images);
}

Status decrypt(const Instance& instance) {
  TACIT_TRY(const plan::Package model, read_model(instance.package()));
  TACIT_TRY(const client::ModelCipher cipher, open_cipher(instance, model.client));
  TACIT_TRY(const NpyArray inputs, load_npy(instance.inputs()));
  const auto images = inputs.shape.empty() ? std::size_t{0} : static_cast<std::size_t>(inputs.shape[0]);
  const std::size_t batch = model.client.batch(), outputs = model.client.output_shape().elements();
  std::vector<float> table(images * outputs);
  std::vector<Status> statuses(set_count(model.client, images));
  parallel_for(statuses.size(), [&](std::size_t set) {
    const std::size_t first = set * batch;
    const Result<plan::Tensors> tensors = decrypt_set(instance, cipher, set, std::min(batch, images - first));
    if (!tensors.ok()) {
      statuses[set] = tensors.error();
      return;
    }
    for (std::size_t i = 0; i < tensors->size(); ++i)
      std::ranges::copy((*tensors)[i], table.begin() + static_cast<std::ptrdiff_t>((first + i) * outputs));
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  const std::array<std::int64_t, 2> shape = {static_cast<std::int64_t>(images),
                                             static_cast<std::int64_t>(outputs)};
  return write_bytes(instance.outputs(), write_npy(shape, table));
}

}  // namespace
}  // namespace tacit::fhe_benchmark

int main(int argc, char** argv) {
  return tacit::fhe_benchmark::run_stage("client_decrypt_decode", argc, argv, tacit::fhe_benchmark::decrypt);
}
