// SPDX-License-Identifier: Apache-2.0
#include "ring/random.h"

#include <sodium.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numbers>

#include "ring/kernels/kernels.h"

namespace tacit::ring {
namespace {

constexpr std::size_t kBlockBytes = 64;  // of ChaCha20

std::uint64_t load_le64(const std::uint8_t* p) {
  std::uint64_t x = 0;
  for (int i = 0; i < 8; ++i) x |= std::uint64_t{p[i]} << (8 * i);
  return x;
}

// The number of ones among the low 32 bits, without a table: std::popcount may become a table look-up on the baseline.
constexpr int weight(std::uint32_t x) {
  x -= (x >> 1) & 0x55555555u;
  x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
  x = (x + (x >> 4)) & 0x0F0F0F0Fu;
  return static_cast<int>((x * 0x01010101u) >> 24);
}

}  // namespace

Result<Seed> fresh_seed() {
  if (sodium_init() < 0) {
    return Error{ErrorCode::kEntropy,
                 "the operating system's random generator cannot be used (sodium_init failed)"};
  }
  Seed seed;
  randombytes_buf(seed.data(), seed.size());
  return seed;
}

Stream::Stream(const Seed& seed, std::string_view label, std::initializer_list<u64> indices) {
  ByteWriter message;
  message.raw(as_bytes("tacit/v1/" + std::string(label)));
  for (u64 index : indices) message.u64(index);
  key_ = blake2b(std::move(message).take(), seed);
}

Stream::~Stream() { sodium_memzero(key_.data(), key_.size()); }

void Stream::fill(std::span<std::uint8_t> bytes) {
  const std::size_t whole = bytes.size() / kBlockBytes, rest = bytes.size() % kBlockBytes;
  kernels().keystream(key_.data(), block_, bytes.data(), whole);
  block_ += whole;
  if (rest == 0) return;
  std::uint8_t last[kBlockBytes];
  kernels().keystream(key_.data(), block_++, last, 1);
  std::memcpy(bytes.data() + whole * kBlockBytes, last, rest);
  sodium_memzero(last, sizeof last);
}

void sample_uniform(Stream& stream, const Modulus& modulus, std::span<u64> out) {
  constexpr std::size_t kWords = 1024;
  alignas(kCacheLine) std::uint8_t bytes[8 * kWords];
  alignas(kCacheLine) u64 words[kWords];
  const u64 threshold = modulus.radix();
  for (std::size_t done = 0; done < out.size();) {
    stream.fill(bytes);
    if constexpr (std::endian::native == std::endian::little) {
      std::memcpy(words, bytes, sizeof words);
    } else {
      for (std::size_t i = 0; i < kWords; ++i) words[i] = load_le64(bytes + 8 * i);
    }
    done += kernels().sample_uniform(modulus, threshold, out.data() + done, out.size() - done, words, kWords);
  }
}

void sample_ternary(Stream& stream, std::span<std::int8_t> out) {
  std::uint8_t bytes[4096];
  std::size_t done = 0;
  while (done < out.size()) {
    stream.fill(bytes);
    for (std::size_t i = 0; i < 4 * sizeof bytes && done < out.size(); ++i) {
      const unsigned two_bits = (bytes[i / 4] >> (2 * (i % 4))) & 3;
      // Written always, kept unless it was 3: no branch on the value, only on how many were kept.
      out[done] = static_cast<std::int8_t>(static_cast<int>(two_bits) - 1);
      done += static_cast<std::size_t>((two_bits + 1) >> 2 ^ 1);
    }
  }
  sodium_memzero(bytes, sizeof bytes);
}

void sample_error(Stream& stream, std::span<std::int8_t> out) {
  constexpr std::size_t kCount = 512;
  constexpr std::uint32_t kMask = (1u << 21) - 1;
  std::uint8_t bytes[8 * kCount];
  for (std::size_t first = 0; first < out.size(); first += kCount) {
    stream.fill(bytes);
    const std::size_t count = std::min(kCount, out.size() - first);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t word = load_le64(bytes + 8 * i);
      out[first + i] = static_cast<std::int8_t>(weight(static_cast<std::uint32_t>(word) & kMask) -
                                                weight(static_cast<std::uint32_t>(word >> 21) & kMask));
    }
  }
  sodium_memzero(bytes, sizeof bytes);
}

void sample_gaussian(Stream& stream, double deviation, std::span<std::int64_t> out) {
  constexpr std::size_t kCount = 512;
  std::uint8_t bytes[8 * kCount];
  // In (0, 1], so that its logarithm is finite.
  const auto uniform = [&](std::size_t i) {
    return static_cast<double>((load_le64(bytes + 8 * i) >> 11) + 1) * 0x1p-53;
  };
  for (std::size_t first = 0; first < out.size(); first += kCount) {
    stream.fill(bytes);
    const std::size_t count = std::min(kCount, out.size() - first);
    for (std::size_t i = 0; i < count; i += 2) {
      const double radius = deviation * std::sqrt(-2 * std::log(uniform(i)));
      const double angle = 2 * std::numbers::pi * uniform(i + 1);
      out[first + i] = std::llround(radius * std::cos(angle));
      if (i + 1 < count) out[first + i + 1] = std::llround(radius * std::sin(angle));
    }
  }
  sodium_memzero(bytes, sizeof bytes);
}

}  // namespace tacit::ring
