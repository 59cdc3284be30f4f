// SPDX-License-Identifier: Apache-2.0
// The randomness of a seeded SEAL object: BLAKE2Xb ("BLAKE2X", Aumasson, Neves, Wilcox-O'Hearn and Winnerlein 2016) in
// blocks of 4096 bytes, the key being the seed and the message the block's number.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace tacit::seal {

using Blake2xbSeed = std::array<std::uint8_t, 64>;

class Blake2xbStream {
 public:
  explicit Blake2xbStream(const Blake2xbSeed& seed) : seed_(seed) {}

  void fill(std::span<std::uint8_t> bytes);
  // The next eight bytes, little-endian.
  std::uint64_t next();

 private:
  static constexpr std::size_t kBlock = 4096;

  Blake2xbSeed seed_;
  std::uint64_t counter_ = 0;
  std::array<std::uint8_t, kBlock> block_;
  std::size_t used_ = kBlock;
};

}  // namespace tacit::seal
