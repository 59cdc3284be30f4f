// SPDX-License-Identifier: Apache-2.0
#include "batch.h"

#include "base/npy.h"
#include "console.h"

namespace tacit::app {
namespace {

std::string text(std::span<const std::int64_t> shape) {
  std::string result = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) result += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return result + "]";
}

std::vector<std::int64_t> image_dimensions(const plan::Shape& shape) {
  return {shape.channels, shape.height, shape.width};
}

}  // namespace

Result<Batch> load_batch(const std::filesystem::path& path, const plan::Shape& shape) {
  TACIT_TRY(NpyArray array, load_npy(path));
  std::vector<std::int64_t> wanted = image_dimensions(shape);
  std::span<const std::int64_t> dimensions(array.shape);
  bool fits = dimensions.size() == 4 && dimensions[0] >= 1 &&
              std::equal(wanted.begin(), wanted.end(), dimensions.begin() + 1);
  if (!fits) {
    return Error{ErrorCode::kTensorShape, path.string() + " has the shape " + text(dimensions) +
                                              "; the model takes [n, " + text(wanted).substr(1) +
                                              " with n at least 1"};
  }
  return Batch{static_cast<std::size_t>(dimensions[0]), shape.elements(), std::move(array.data)};
}

Status save_batch(const std::filesystem::path& path, const plan::Shape& shape, std::span<const float> data) {
  std::vector<std::int64_t> dimensions{static_cast<std::int64_t>(data.size() / shape.elements()),
                                       shape.channels};
  if (shape.height != 1 || shape.width != 1) dimensions.insert(dimensions.end(), {shape.height, shape.width});
  return save_npy(path, dimensions, data);
}

void Costs::add(const client::PredictionCosts& request, std::size_t images) {
  const auto count = static_cast<double>(images);
  encrypt_ms.insert(encrypt_ms.end(), images, request.encrypt_ms / count);
  server_ms.insert(server_ms.end(), images, request.server_ms / count);
  decrypt_ms.insert(decrypt_ms.end(), images, request.decrypt_ms / count);
  upload_bytes = request.upload_bytes / images;
  download_bytes = request.download_bytes / images;
  peak_memory_bytes = request.server_peak_memory_bytes;
}

void Costs::write(nlohmann::ordered_json& object) const {
  object["count"] = encrypt_ms.size();
  object["encrypt_ms"] = median(encrypt_ms);
  object["server_ms"] = median(server_ms);
  object["decrypt_ms"] = median(decrypt_ms);
  object["upload_bytes"] = upload_bytes;
  object["download_bytes"] = download_bytes;
  object["key_bytes"] = key_bytes;
  if (peak_memory_bytes) object["peak_memory_bytes"] = *peak_memory_bytes;
}

std::string Costs::summary() const {
  std::string line = "for each image: encrypted in " + format_ms(median(encrypt_ms)) + ", computed in " +
                     format_ms(median(server_ms)) + ", decrypted in " + format_ms(median(decrypt_ms)) +
                     "; sent " + format_bytes(upload_bytes) + ", received " + format_bytes(download_bytes) +
                     "; evaluation keys " + format_bytes(key_bytes);
  return peak_memory_bytes ? line + "; memory " + format_bytes(*peak_memory_bytes) : line;
}

}  // namespace tacit::app
