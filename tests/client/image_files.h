// SPDX-License-Identifier: Apache-2.0
// Image files made by the tests themselves.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace tacit::test {

// Binary PGM (one channel) or PPM (three).
inline Bytes pnm(int channels, int width, int height, ByteView pixels) {
  std::string head = std::string(channels == 1 ? "P5" : "P6") + "\n" + std::to_string(width) + " " +
                     std::to_string(height) + "\n255\n";
  Bytes bytes(head.begin(), head.end());
  bytes.insert(bytes.end(), pixels.begin(), pixels.end());
  return bytes;
}

inline std::uint32_t crc32(ByteView bytes) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1)));
  }
  return ~crc;
}

// A PNG (ISO/IEC 15948) of 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha) channels, its data in one
// stored block.
inline Bytes png(int channels, int width, int height, ByteView pixels) {
  auto big = [](Bytes& out, std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
  };
  Bytes file{0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  auto chunk = [&](std::string_view type, const Bytes& data) {
    Bytes named(type.begin(), type.end());
    named.insert(named.end(), data.begin(), data.end());
    big(file, static_cast<std::uint32_t>(data.size()));
    file.insert(file.end(), named.begin(), named.end());
    big(file, crc32(named));
  };
  constexpr std::array<std::uint8_t, 5> kColourType{0, 0, 4, 2, 6};
  Bytes header;
  big(header, static_cast<std::uint32_t>(width));
  big(header, static_cast<std::uint32_t>(height));
  header.insert(header.end(), {8, kColourType[static_cast<std::size_t>(channels)], 0, 0, 0});
  chunk("IHDR", header);

  Bytes rows;
  std::size_t stride = static_cast<std::size_t>(width * channels);
  for (int y = 0; y < height; ++y) {
    rows.push_back(0);  // no filter
    auto first = pixels.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(y) * stride);
    rows.insert(rows.end(), first, first + static_cast<std::ptrdiff_t>(stride));
  }
  auto length = static_cast<std::uint16_t>(rows.size());
  Bytes zlib{0x78,
             0x01,
             0x01,
             static_cast<std::uint8_t>(length),
             static_cast<std::uint8_t>(length >> 8),
             static_cast<std::uint8_t>(~length),
             static_cast<std::uint8_t>(~length >> 8)};
  zlib.insert(zlib.end(), rows.begin(), rows.end());
  std::uint32_t a = 1, b = 0;  // Adler-32
  for (std::uint8_t byte : rows) b = (b + (a = (a + byte) % 65521)) % 65521;
  big(zlib, b << 16 | a);
  chunk("IDAT", zlib);
  chunk("IEND", {});
  return file;
}

}  // namespace tacit::test
