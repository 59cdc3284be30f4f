// SPDX-License-Identifier: Apache-2.0
// Reading and writing the project's binary formats: little-endian, bounded, without casting foreign memory.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tacit {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Appends to a byte string that it owns.
class ByteWriter {
 public:
  void u8(std::uint8_t value) { bytes_.push_back(value); }
  void u16(std::uint16_t value) { put(value, 2); }
  void u32(std::uint32_t value) { put(value, 4); }
  void u64(std::uint64_t value) { put(value, 8); }
  void f64(double value);
  void raw(ByteView bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  // u32 length, then the bytes.
  void blob(ByteView bytes);
  void string(std::string_view text) { blob(as_bytes(text)); }

  std::size_t size() const { return bytes_.size(); }
  Bytes take() && { return std::move(bytes_); }
  // Space for `count` more bytes, zeroed, for a writer that fills it in place.
  std::span<std::uint8_t> extend(std::size_t count);

 private:
  void put(std::uint64_t value, int width);
  Bytes bytes_;
};

// Reads from bytes that somebody else owns and that outlive it. Every read fails with kDataTruncated rather than
// run over the end; nothing is allocated before the bytes for it are known to be there.
class ByteReader {
 public:
  // `what` names the object in error messages, for instance "evaluation key".
  ByteReader(ByteView bytes, std::string_view what) : bytes_(bytes), what_(what) {}

  Result<std::uint8_t> u8();
  Result<std::uint16_t> u16();
  Result<std::uint32_t> u32();
  Result<std::uint64_t> u64();
  Result<double> f64();
  // The next `count` bytes, as a view into the input.
  Result<ByteView> raw(std::uint64_t count);
  // u32 length, then that many bytes; lengths above `limit` are refused with kDataTooLarge.
  Result<ByteView> blob(std::uint64_t limit);
  Result<std::string> string(std::uint64_t limit);

  std::size_t remaining() const { return bytes_.size(); }
  // kDataTrailing unless everything has been read.
  Status finish() const;
  const std::string& what() const { return what_; }

 private:
  Result<std::uint64_t> get(int width);
  ByteView bytes_;
  std::string what_;
};

std::string to_hex(ByteView bytes);
// Lower- or upper-case digits, an even number of them.
Result<Bytes> from_hex(std::string_view text);

}  // namespace tacit
