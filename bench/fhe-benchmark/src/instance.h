// SPDX-License-Identifier: Apache-2.0
// One size of the workload: where the suite has its files and which of the two packages it is answered with.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/result.h"

namespace tacit::fhe_benchmark {

// The four sizes of the FHE Benchmarking Suite: 1, 100, 1,000 and 10,000 images. A stage does not rely on these counts: it
// takes the images that the suite wrote.
class Instance {
 public:
  // `size` is "0" (single), "1" (small), "2" (medium) or "3" (large); argument.invalid for anything else. `root` is
  // the suite's folder, which stages have as their current one.
  static Result<Instance> create(std::string_view size, const std::filesystem::path& root);

  std::string_view name() const { return name_; }

  std::filesystem::path test_pixels() const { return datasets_ / "intermediate" / "test_pixels.txt"; }
  std::filesystem::path public_keys() const { return io_ / "public_keys"; }
  std::filesystem::path secret_key() const { return io_ / "secret_key"; }
  std::filesystem::path upload() const { return io_ / "ciphertexts_upload"; }
  std::filesystem::path download() const { return io_ / "ciphertexts_download"; }
  std::filesystem::path intermediate() const { return io_ / "intermediate"; }
  std::filesystem::path predictions() const { return io_ / "encrypted_model_predictions.txt"; }
  std::filesystem::path reported_steps() const { return io_ / "server_reported_steps.json"; }

  // A file of ours in one of those folders.
  std::filesystem::path key_file() const { return secret_key() / "secret.key"; }
  std::filesystem::path evaluation_keys() const { return public_keys() / "evaluation_keys.bin"; }
  std::filesystem::path inputs() const { return intermediate() / "inputs.npy"; }
  std::filesystem::path outputs() const { return intermediate() / "outputs.npy"; }
  // The ciphertexts of the images [set * batch, (set + 1) * batch), and the answers to them.
  std::filesystem::path upload_set(std::size_t set) const;
  std::filesystem::path download_set(std::size_t set) const;

  // The package: latency packing for a single image, an image in each slot for more.
  std::filesystem::path package() const { return package_; }

 private:
  std::string_view name_;
  std::filesystem::path io_, datasets_, package_;
};

// The packages that the build put beside the running executable.
std::filesystem::path latency_package();
std::filesystem::path throughput_package();

// `path` as an empty folder; file.unwritable.
Status make_empty_folder(const std::filesystem::path& path);
// `path` and the folders above it, if they are not there; file.unwritable.
Status make_folder(const std::filesystem::path& path);

}  // namespace tacit::fhe_benchmark
