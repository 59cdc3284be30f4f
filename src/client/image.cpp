// SPDX-License-Identifier: Apache-2.0
#include "client/image.h"

#include <memory>

#include "base/file.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_ONLY_PNM
#define STBI_MAX_DIMENSIONS 8192
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

namespace tacit::client {
namespace {

static_assert(STBI_MAX_DIMENSIONS == kMaxImageSide);

struct FreePixels {
  void operator()(stbi_uc* pixels) const { stbi_image_free(pixels); }
};

Error malformed(std::string_view name) {
  return Error{ErrorCode::kImageMalformed,
               std::string(name) + " is not a PNG, JPEG, BMP or binary PGM/PPM image, or is damaged"};
}

}  // namespace

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
  int size = static_cast<int>(bytes.size()), width = 0, height = 0, stored = 0;
  if (stbi_info_from_memory(bytes.data(), size, &width, &height, &stored) == 0) return malformed(name);
  if (width > kMaxImageSide || height > kMaxImageSide) {
    return Error{ErrorCode::kDataTooLarge,
                 std::string(name) + " has more than " + std::to_string(kMaxImageSide) + " rows or columns"};
  }
  // stb_image 2.27 reads beyond its buffer where it changes the channels of a PGM or PPM with two bytes a sample, so that is
  // done here; such files have 1 or 3 channels.
  const int decoded = bytes[0] == 'P' ? stored : channels;
  std::unique_ptr<stbi_uc, FreePixels> pixels(
      stbi_load_from_memory(bytes.data(), size, &width, &height, &stored, decoded));
  if (pixels == nullptr || width < 1 || height < 1) return malformed(name);
  std::size_t count =
      static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * static_cast<std::size_t>(decoded);
  return with_channels(Image{decoded, height, width, Bytes(pixels.get(), pixels.get() + count)}, channels);
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
      // ITU-R BT.601 luma in 8-bit fixed point, as stb_image computes it.
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
