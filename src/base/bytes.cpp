// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <bit>

namespace tacit {

void ByteWriter::put(std::uint64_t value, int width) {
  for (int i = 0; i < width; ++i) bytes_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void ByteWriter::f64(double value) { u64(std::bit_cast<std::uint64_t>(value)); }

void ByteWriter::blob(ByteView bytes) {
  u32(static_cast<std::uint32_t>(bytes.size()));
  raw(bytes);
}

std::span<std::uint8_t> ByteWriter::extend(std::size_t count) {
  bytes_.resize(bytes_.size() + count);
  return std::span(bytes_).last(count);
}

Result<ByteView> ByteReader::raw(std::uint64_t count) {
  if (count > bytes_.size()) {
    return Error{ErrorCode::kDataTruncated, what_ + " ends early: " + std::to_string(count) +
                                                " bytes expected, " + std::to_string(bytes_.size()) +
                                                " left"};
  }
  ByteView head = bytes_.first(count);
  bytes_ = bytes_.subspan(count);
  return head;
}

Result<std::uint64_t> ByteReader::get(int width) {
  TACIT_TRY(ByteView head, raw(static_cast<std::uint64_t>(width)));
  std::uint64_t value = 0;
  for (int i = 0; i < width; ++i) value |= std::uint64_t{head[i]} << (8 * i);
  return value;
}

Result<std::uint8_t> ByteReader::u8() {
  TACIT_TRY(std::uint64_t value, get(1));
  return static_cast<std::uint8_t>(value);
}

Result<std::uint16_t> ByteReader::u16() {
  TACIT_TRY(std::uint64_t value, get(2));
  return static_cast<std::uint16_t>(value);
}

Result<std::uint32_t> ByteReader::u32() {
  TACIT_TRY(std::uint64_t value, get(4));
  return static_cast<std::uint32_t>(value);
}

Result<std::uint64_t> ByteReader::u64() { return get(8); }

Result<double> ByteReader::f64() {
  TACIT_TRY(std::uint64_t bits, get(8));
  return std::bit_cast<double>(bits);
}

Result<ByteView> ByteReader::blob(std::uint64_t limit) {
  TACIT_TRY(std::uint32_t length, u32());
  if (length > limit) {
    return Error{ErrorCode::kDataTooLarge, what_ + " has a field of " + std::to_string(length) +
                                               " bytes where at most " + std::to_string(limit) +
                                               " are allowed"};
  }
  return raw(length);
}

Result<std::string> ByteReader::string(std::uint64_t limit) {
  TACIT_TRY(ByteView bytes, blob(limit));
  return std::string(as_text(bytes));
}

Status ByteReader::finish() const {
  if (bytes_.empty()) return {};
  return Error{ErrorCode::kDataTrailing, what_ + " is followed by " + std::to_string(bytes_.size()) +
                                             " bytes that do not belong to it"};
}

std::string to_hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (std::uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

Result<Bytes> from_hex(std::string_view text) {
  auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  if (text.size() % 2 != 0) return Error{ErrorCode::kDataMalformed, "a hexadecimal string has an odd length"};
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    int high = digit(text[i]), low = digit(text[i + 1]);
    if (high < 0 || low < 0)
      return Error{ErrorCode::kDataMalformed, "a hexadecimal string has other characters"};
    bytes.push_back(static_cast<std::uint8_t>(high << 4 | low));
  }
  return bytes;
}

}  // namespace tacit
