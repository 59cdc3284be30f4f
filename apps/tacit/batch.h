// SPDX-License-Identifier: Apache-2.0
// Tensors of many images in NumPy files, and what running many images cost.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "client/session.h"
#include "plan/layout.h"

namespace tacit::app {

// n tensors of one shape, one after the other.
struct Batch {
  std::size_t count = 0;
  std::size_t size = 0;  // elements of one
  std::vector<float> data;

  std::span<const float> operator[](std::size_t i) const { return std::span(data).subspan(i * size, size); }
};

// A float32 .npy file of shape [n, channels, height, width], n at least 1; tensor.shape, naming both shapes,
// for another one.
Result<Batch> load_batch(const std::filesystem::path& path, const plan::Shape& shape);

// Writes [n, channels] where one output is a vector, else [n, channels, height, width].
Status save_batch(const std::filesystem::path& path, const plan::Shape& shape, std::span<const float> data);

// Measured over the images of one run.
struct Costs {
  std::vector<double> encrypt_ms, server_ms, decrypt_ms;
  std::uint64_t upload_bytes = 0, download_bytes = 0;  // of one image
  std::uint64_t key_bytes = 0;
  std::optional<std::uint64_t> peak_memory_bytes;  // of the executing process; nothing where it does not tell

  // What a request for so many images cost, shared out to them.
  void add(const client::PredictionCosts& request, std::size_t images);
  // Appends count, the medians, the bytes and, where it is known, peak_memory_bytes.
  void write(nlohmann::ordered_json& object) const;
  // The same for people, in one line.
  std::string summary() const;
};

}  // namespace tacit::app
