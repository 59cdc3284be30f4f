// SPDX-License-Identifier: Apache-2.0
#include "client/image_formats.h"

#include <png.h>
#include <turbojpeg.h>

#include <algorithm>
#include <memory>
#include <optional>

namespace tacit::client {
namespace {

std::size_t pixel_count(int width, int height) {
  return static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
}

Status check_sides(std::int64_t width, std::int64_t height, std::string_view name) {
  if (width < 1 || height < 1) return malformed_image(name);
  if (width <= kMaxImageSide && height <= kMaxImageSide) return {};
  return Error{ErrorCode::kDataTooLarge,
               std::string(name) + " has more than " + std::to_string(kMaxImageSide) + " rows or columns"};
}

// Reads the header of a PNM file.
class PnmHeader {
 public:
  explicit PnmHeader(ByteView bytes) : bytes_(bytes) {}
  // The next number, behind spaces and comments; at most 7 digits.
  std::optional<std::int64_t> number() {
    bool comment = false;
    while (at_ < bytes_.size() && (comment || bytes_[at_] == '#' || is_space(bytes_[at_]))) {
      comment = bytes_[at_] == '#' || (comment && bytes_[at_] != '\n');
      ++at_;
    }
    std::int64_t value = 0;
    const std::size_t start = at_;
    for (; at_ < bytes_.size() && at_ < start + 8 && bytes_[at_] >= '0' && bytes_[at_] <= '9'; ++at_)
      value = 10 * value + (bytes_[at_] - '0');
    if (at_ == start || at_ == start + 8) return std::nullopt;
    return value;
  }
  // What follows the one space behind the last number.
  ByteView samples() const { return bytes_.subspan(std::min(at_ + 1, bytes_.size())); }

 private:
  static bool is_space(std::uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
  ByteView bytes_;
  std::size_t at_ = 2;
};

}  // namespace

Error malformed_image(std::string_view name) {
  return {ErrorCode::kImageMalformed,
          std::string(name) + " is not a PNG, JPEG or binary PGM/PPM image, or is damaged"};
}

Result<Image> decode_png(ByteView bytes, std::string_view name) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  const std::unique_ptr<png_image, decltype(&png_image_free)> guard(&png, png_image_free);
  if (png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()) == 0) return malformed_image(name);
  TACIT_CHECK(check_sides(png.width, png.height, name));
  // With its alpha, or libpng would put the image on a background; as bytes are, not as light.
  const bool colour = (png.format & PNG_FORMAT_FLAG_COLOR) != 0;
  png.format = colour ? PNG_FORMAT_RGBA : PNG_FORMAT_GA;
  png.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  Bytes samples(PNG_IMAGE_SIZE(png));
  if (png_image_finish_read(&png, nullptr, samples.data(), 0, nullptr) == 0) return malformed_image(name);
  Image image{colour ? 3 : 1, static_cast<int>(png.height), static_cast<int>(png.width), {}};
  const auto channels = static_cast<std::size_t>(image.channels);
  image.pixels.resize(pixel_count(image.width, image.height) * channels);
  for (std::size_t i = 0; i < pixel_count(image.width, image.height); ++i)
    std::copy_n(samples.begin() + static_cast<std::ptrdiff_t>(i * (channels + 1)), channels,
                image.pixels.begin() + static_cast<std::ptrdiff_t>(i * channels));
  return image;
}

Result<Image> decode_jpeg(ByteView bytes, std::string_view name) {
  const std::unique_ptr<void, decltype(&tjDestroy)> decoder(tjInitDecompress(), tjDestroy);
  if (decoder == nullptr)
    return Error{ErrorCode::kOutOfMemory, "there is no memory to read " + std::string(name)};
  int width = 0, height = 0, subsampling = 0, colours = 0;
  if (tjDecompressHeader3(decoder.get(), bytes.data(), bytes.size(), &width, &height, &subsampling,
                          &colours) != 0)
    return malformed_image(name);
  TACIT_CHECK(check_sides(width, height, name));
  Image image{colours == TJCS_GRAY ? 1 : 3, height, width, {}};
  image.pixels.resize(pixel_count(width, height) * static_cast<std::size_t>(image.channels));
  const int format = image.channels == 1 ? TJPF_GRAY : TJPF_RGB;
  // A file of many scans of nothing would take minutes; one that ends early is damaged.
  const int flags = TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS | TJFLAG_STOPONWARNING;
  if (tjDecompress2(decoder.get(), bytes.data(), bytes.size(), image.pixels.data(), width, 0, height, format,
                    flags) != 0)
    return malformed_image(name);
  return image;
}

Result<Image> decode_pnm(ByteView bytes, std::string_view name) {
  PnmHeader header(bytes);
  const auto width = header.number(), height = header.number(), largest = header.number();
  if (!width || !height || !largest || *largest < 1 || *largest > 65535) return malformed_image(name);
  TACIT_CHECK(check_sides(*width, *height, name));
  Image image{bytes[1] == '5' ? 1 : 3, static_cast<int>(*height), static_cast<int>(*width), {}};
  const std::size_t count = pixel_count(image.width, image.height) * static_cast<std::size_t>(image.channels);
  const std::size_t sample_bytes = *largest > 255 ? 2 : 1;
  const ByteView samples = header.samples();
  if (samples.size() < count * sample_bytes) return malformed_image(name);
  image.pixels.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::int64_t sample = samples[i * sample_bytes];
    if (sample_bytes == 2) sample = 256 * sample + samples[2 * i + 1];
    image.pixels[i] = static_cast<std::uint8_t>((255 * std::min(sample, *largest) + *largest / 2) / *largest);
  }
  return image;
}

}  // namespace tacit::client
