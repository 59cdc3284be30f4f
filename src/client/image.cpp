// SPDX-License-Identifier: Apache-2.0
#include "client/image.h"

#include "base/file.h"
#include "client/image_formats.h"

namespace tacit::client {

Result<Image> decode_image(ByteView bytes, int channels, std::string_view name) {
  if (channels != 1 && channels != 3) {
    return Error{ErrorCode::kInvalidArgument,
                 "images have 1 or 3 channels, but " + std::to_string(channels) + " are asked for"};
  }
  if (bytes.size() > kMaxImageBytes) {
    return Error{ErrorCode::kDataTooLarge, std::string(name) + " is larger than the " +
                                               std::to_string(kMaxImageBytes >> 20) +
                                               " MiB allowed for an image"};
  }
  const std::string_view text = as_text(bytes);
  const auto decode = text.starts_with("\x89PNG")                        ? decode_png
                      : text.starts_with("\xFF\xD8")                     ? decode_jpeg
                      : text.starts_with("P5") || text.starts_with("P6") ? decode_pnm
                                                                         : nullptr;
  if (decode == nullptr) return malformed_image(name);
  TACIT_TRY(Image image, decode(bytes, name));
  return with_channels(std::move(image), channels);
}

Result<Image> load_image(const std::filesystem::path& path, int channels) {
  TACIT_TRY(Bytes bytes, read_file(path, kMaxImageBytes));
  return decode_image(bytes, channels, path.string());
}

Image with_channels(Image image, int channels) {
  if (image.channels == channels) return image;
  std::size_t count = static_cast<std::size_t>(image.height) * static_cast<std::size_t>(image.width);
  Bytes pixels(count * static_cast<std::size_t>(channels));
  for (std::size_t i = 0; i < count; ++i) {
    if (channels == 3) {
      pixels[3 * i] = pixels[3 * i + 1] = pixels[3 * i + 2] = image.pixels[i];
    } else {
      // ITU-R BT.601 luma in 8-bit fixed point.
      pixels[i] = static_cast<std::uint8_t>(
          (77 * image.pixels[3 * i] + 150 * image.pixels[3 * i + 1] + 29 * image.pixels[3 * i + 2]) >> 8);
    }
  }
  image.channels = channels;
  image.pixels = std::move(pixels);
  return image;
}

Result<std::vector<float>> preprocess(const Image& image, const plan::Shape& shape,
                                      const plan::Preprocessing& preprocessing, std::string_view name) {
  std::size_t channels = static_cast<std::size_t>(shape.channels);
  if ((channels != 1 && channels != 3) || preprocessing.mean.size() != channels ||
      preprocessing.deviation.size() != channels) {
    return Error{ErrorCode::kInvalidArgument, "the model takes " + std::to_string(channels) +
                                                  " channels, so an image file cannot be its input"};
  }
  if (image.height != shape.height || image.width != shape.width) {
    return Error{ErrorCode::kImageWrongSize,
                 std::string(name) + " is " + std::to_string(image.width) + " wide and " +
                     std::to_string(image.height) + " high; the model takes images " +
                     std::to_string(shape.width) + " wide and " + std::to_string(shape.height) +
                     " high; scale or crop it first"};
  }
  Image converted;
  const Image* source = &image;
  if (image.channels != shape.channels) {
    converted = with_channels(image, shape.channels);
    source = &converted;
  }
  std::size_t count = static_cast<std::size_t>(shape.height) * static_cast<std::size_t>(shape.width);
  std::vector<float> tensor(channels * count);
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t i = 0; i < count; ++i) {
      double value = source->pixels[i * channels + c] / preprocessing.scale;
      tensor[c * count + i] =
          static_cast<float>((value - preprocessing.mean[c]) / preprocessing.deviation[c]);
    }
  }
  return tensor;
}

}  // namespace tacit::client
