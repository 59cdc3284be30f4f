// SPDX-License-Identifier: Apache-2.0
#include "base/idx.h"

#include <zlib.h>

#include <algorithm>
#include <memory>

#include "base/checked.h"
#include "base/file.h"

namespace tacit {
namespace {

constexpr std::uint8_t kUnsignedBytes = 0x08;

Result<std::uint32_t> big_endian(ByteReader& reader) {
  TACIT_TRY(ByteView bytes, reader.raw(4));
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 |
         bytes[3];
}

// Checks the header: two zeros, the element type, the number of dimensions.
Status read_magic(ByteReader& reader, std::uint8_t dimensions) {
  TACIT_TRY(ByteView magic, reader.raw(4));
  if (magic[0] != 0 || magic[1] != 0) return malformed_data("this is not an IDX file");
  if (magic[2] != kUnsignedBytes || magic[3] != dimensions) {
    return malformed_data("this IDX file does not hold unsigned bytes in " + std::to_string(dimensions) +
                          (dimensions == 1 ? " dimension (labels)" : " dimensions (images)"));
  }
  return {};
}

Result<Bytes> load(const std::filesystem::path& path) {
  TACIT_TRY(Bytes bytes, read_file(path, kMaxIdxBytes));
  if (bytes.size() < 2 || bytes[0] != 0x1F || bytes[1] != 0x8B) return bytes;
  return gunzip(bytes, kMaxIdxBytes, path.string());
}

}  // namespace

Result<IdxImages> read_idx_images(ByteView bytes) {
  ByteReader reader(bytes, "IDX image file");
  TACIT_CHECK(read_magic(reader, 3));
  IdxImages images;
  TACIT_TRY(images.count, big_endian(reader));
  TACIT_TRY(images.height, big_endian(reader));
  TACIT_TRY(images.width, big_endian(reader));
  if (images.height == 0 || images.width == 0) return malformed_data("the IDX file's images have no pixels");
  auto pixels = checked_multiply(std::uint64_t{images.height} * images.width, images.count);
  if (!pixels) return malformed_data("the IDX file announces more pixels than can be counted");
  TACIT_TRY(ByteView data, reader.raw(*pixels));
  TACIT_CHECK(reader.finish());
  images.pixels.assign(data.begin(), data.end());
  return images;
}

Result<IdxImages> load_idx_images(const std::filesystem::path& path) {
  TACIT_TRY(Bytes bytes, load(path));
  Result<IdxImages> images = read_idx_images(bytes);
  if (!images.ok()) return std::move(images).error().within(path.string());
  return images;
}

Result<Bytes> read_idx_labels(ByteView bytes) {
  ByteReader reader(bytes, "IDX label file");
  TACIT_CHECK(read_magic(reader, 1));
  TACIT_TRY(std::uint32_t count, big_endian(reader));
  TACIT_TRY(ByteView data, reader.raw(count));
  TACIT_CHECK(reader.finish());
  return Bytes(data.begin(), data.end());
}

Result<Bytes> load_idx_labels(const std::filesystem::path& path) {
  TACIT_TRY(Bytes bytes, load(path));
  Result<Bytes> labels = read_idx_labels(bytes);
  if (!labels.ok()) return std::move(labels).error().within(path.string());
  return labels;
}

Result<Bytes> gunzip(ByteView bytes, std::uint64_t limit, std::string_view what) {
  z_stream stream{};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) {  // 16: a gzip header, not zlib's own
    return Error{ErrorCode::kOutOfMemory, "there is not enough memory to decompress " + std::string(what)};
  }
  auto end = [](z_stream* s) { inflateEnd(s); };
  std::unique_ptr<z_stream, decltype(end)> guard(&stream, end);

  Bytes content;
  std::vector<std::uint8_t> buffer(1 << 16);
  // zlib counts input in 32 bits, so it is handed over in pieces.
  constexpr std::size_t kPiece = std::size_t{1} << 30;
  std::size_t given = 0;
  bool drained = true;  // zlib holds no output back
  for (;;) {
    if (stream.avail_in == 0 && drained) {
      if (given == bytes.size()) {
        return Error{ErrorCode::kDataTruncated,
                     std::string(what) + " ends early: its gzip stream is not complete"};
      }
      std::size_t piece = std::min(kPiece, bytes.size() - given);
      stream.next_in = const_cast<Bytef*>(bytes.data() + given);
      stream.avail_in = static_cast<uInt>(piece);
      given += piece;
    }
    stream.next_out = buffer.data();
    stream.avail_out = static_cast<uInt>(buffer.size());
    int status = inflate(&stream, Z_NO_FLUSH);
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
      return malformed_data(std::string(what) + " is not gzip data, or is damaged");
    }
    std::size_t got = buffer.size() - stream.avail_out;
    drained = stream.avail_out > 0;
    if (content.size() + got > limit) {
      return Error{ErrorCode::kDataTooLarge, std::string(what) + " is larger than the " +
                                                 std::to_string(limit) +
                                                 " bytes allowed for it when decompressed"};
    }
    content.insert(content.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(got));
    if (status != Z_STREAM_END) continue;
    if (stream.avail_in == 0 && given == bytes.size()) return content;
    if (inflateReset(&stream) != Z_OK) return malformed_data(std::string(what) + " is damaged");
  }
}

}  // namespace tacit
