// SPDX-License-Identifier: Apache-2.0
// NumPy's .npy files (format versions 1.0 and 2.0, numpy.lib.format) as float32 tensors and as integers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "base/bytes.h"

namespace tacit {

struct NpyArray {
  std::vector<std::int64_t> shape;  // empty for a scalar; dimensions may be 0
  std::vector<float> data;          // the product of the dimensions, row-major
};

// Longer files are refused by load_npy unless another limit is given.
inline constexpr std::uint64_t kMaxNpyBytes = std::uint64_t{1} << 32;

// Little-endian float32, float64 (rounded to float32) or uint8 in C order; at most 32 dimensions, nothing
// after the last element. data.malformed, data.version, data.truncated, data.trailing, encoding.range for a
// float64 beyond float32.
Result<NpyArray> read_npy(ByteView bytes);
Result<NpyArray> load_npy(const std::filesystem::path& path, std::uint64_t limit = kMaxNpyBytes);

// The same for integers, which labels are: signed or unsigned, of 1, 2, 4 or 8 bytes. encoding.range for one beyond
// int64.
struct NpyIntegers {
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> data;
};
Result<NpyIntegers> read_npy_integers(ByteView bytes);
Result<NpyIntegers> load_npy_integers(const std::filesystem::path& path, std::uint64_t limit = kMaxNpyBytes);

// Format 1.0, little-endian float32, C order. `data` has as many elements as the dimensions multiply to.
Bytes write_npy(std::span<const std::int64_t> shape, std::span<const float> data);
Status save_npy(const std::filesystem::path& path, std::span<const std::int64_t> shape,
                std::span<const float> data);

}  // namespace tacit
