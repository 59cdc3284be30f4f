// SPDX-License-Identifier: Apache-2.0
// client_encode_encrypt_input SIZE: the network's inputs to ciphertexts, a file for each set of images.
#include <algorithm>

#include "base/npy.h"
#include "base/parallel.h"
#include "file_bundle.h"
#include "key_file.h"
#include "stage.h"

namespace tacit::fhe_benchmark {
namespace {

Result<plan::Tensors> load_inputs(const Instance& instance, const plan::ClientHalf& half) {
  TACIT_TRY(const NpyArray array, load_npy(instance.inputs()));
  const std::size_t size = half.input_shape().elements();
  if (array.shape.size() != 2 || static_cast<std::size_t>(array.shape[1]) != size || array.data.empty())
    return Error{ErrorCode::kTensorShape, instance.inputs().string() + " is not a table with " +
                                              std::to_string(size) +
                                              " columns; run client_preprocess_input first"};
  plan::Tensors images;
  for (auto at = array.data.begin(); at != array.data.end(); at += static_cast<std::ptrdiff_t>(size))
    images.emplace_back(at, at + static_cast<std::ptrdiff_t>(size));
  return images;
}

Status encrypt_set(const Instance& instance, const client::ModelCipher& cipher, const plan::Tensors& images,
                   std::size_t set) {
  TACIT_TRY(const std::vector<Bytes> ciphertexts, cipher.encrypt(cipher.half().input_value(), images));
  return write_bundle(instance.upload_set(set), ciphertexts);
}

Status encrypt(const Instance& instance) {
  TACIT_TRY(const plan::Package model, read_model(instance.package()));
  TACIT_TRY(const client::ModelCipher cipher, open_cipher(instance, model.client));
  TACIT_TRY(plan::Tensors images, load_inputs(instance, model.client));
  TACIT_CHECK(make_empty_folder(instance.upload()));
  const std::size_t batch = model.client.batch(), sets = set_count(model.client, images.size());
  std::vector<Status> statuses(sets);
  parallel_for(sets, [&](std::size_t set) {
    const auto first = images.begin() + static_cast<std::ptrdiff_t>(set * batch);
    const auto last =
        images.begin() + static_cast<std::ptrdiff_t>(std::min((set + 1) * batch, images.size()));
    statuses[set] = encrypt_set(
        instance, cipher, plan::Tensors(std::make_move_iterator(first), std::make_move_iterator(last)), set);
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  return {};
}

}  // namespace
}  // namespace tacit::fhe_benchmark

int main(int argc, char** argv) {
  return tacit::fhe_benchmark::run_stage("client_encode_encrypt_input", argc, argv,
                                         tacit::fhe_benchmark::encrypt);
}
