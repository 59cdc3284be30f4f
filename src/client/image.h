// SPDX-License-Identifier: Apache-2.0
// From an image file to the tensor that the network takes.
#pragma once

#include <filesystem>
#include <vector>

#include "base/bytes.h"
#include "plan/package.h"

namespace tacit::client {

// Grey (one channel) or RGB (three), eight bits each.
struct Image {
  int channels = 1;
  int height = 0;
  int width = 0;
  Bytes pixels;  // [height, width, channels], row-major
};

// A file may have so many bytes, an image so many rows and columns.
inline constexpr std::uint64_t kMaxImageBytes = std::uint64_t{32} << 20;
inline constexpr int kMaxImageSide = 8192;

// PNG, JPEG or binary PGM/PPM, converted to `channels` (1: luma of colours, alpha dropped; 3: grey
// repeated). image.malformed for anything else or a damaged file, data.too-large for a larger image. `name`
// begins the message.
Result<Image> decode_image(ByteView bytes, int channels, std::string_view name);
// The same from a file: also file.not-found, file.unreadable.
Result<Image> load_image(const std::filesystem::path& path, int channels);

// The same pixels with another number of channels, 1 or 3.
Image with_channels(Image image, int channels);

// [channels, height, width] row-major: (pixel / scale - mean[c]) / deviation[c]. image.wrong-size where the
// image has another height or width than `shape`; it is never resized, as what is seen would then not be what
// was meant. argument.invalid where `shape` has neither one nor three channels, or other ones than
// `preprocessing`.
Result<std::vector<float>> preprocess(const Image& image, const plan::Shape& shape,
                                      const plan::Preprocessing& preprocessing, std::string_view name);

}  // namespace tacit::client
