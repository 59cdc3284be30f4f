// SPDX-License-Identifier: Apache-2.0
// IDX files of unsigned bytes, in which MNIST and Fashion-MNIST come, plain or compressed with gzip.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/bytes.h"

namespace tacit {

// One-channel images, values 0 to 255.
struct IdxImages {
  std::uint32_t count = 0;
  std::uint32_t height = 0;
  std::uint32_t width = 0;
  Bytes pixels;  // [count, height, width], row-major
};

// The file's content, decompressed where it is gzip, may have at most so many bytes.
inline constexpr std::uint64_t kMaxIdxBytes = std::uint64_t{1} << 30;

// Big-endian header 00 00 08 03, then count, height and width; height and width are at least 1.
// data.malformed, data.truncated, data.trailing, data.too-large. Gzip is recognised by its first two bytes.
Result<IdxImages> read_idx_images(ByteView bytes);
Result<IdxImages> load_idx_images(const std::filesystem::path& path);

// Big-endian header 00 00 08 01, then the count: one label per byte.
Result<Bytes> read_idx_labels(ByteView bytes);
Result<Bytes> load_idx_labels(const std::filesystem::path& path);

// The content of a gzip file of one or more members, at most `limit` bytes. `what` names it in messages.
Result<Bytes> gunzip(ByteView bytes, std::uint64_t limit, std::string_view what);

}  // namespace tacit
