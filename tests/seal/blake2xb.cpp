// SPDX-License-Identifier: Apache-2.0
// libsodium has BLAKE2b, but not its parameters for trees, which BLAKE2X is made of; hence the compression function here
// (RFC 7693, section 3.2).
#include "seal/blake2xb.h"

#include <algorithm>
#include <bit>
#include <vector>

namespace tacit::seal {

namespace {

constexpr std::size_t kHashBytes = 64;
constexpr std::size_t kBlockBytes = 128;
using Hash = std::array<std::uint8_t, kHashBytes>;

constexpr std::array<std::uint64_t, 8> kInitial = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b,
                                                   0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f,
                                                   0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};

constexpr std::uint8_t kSchedule[10][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                            {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
                                            {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
                                            {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
                                            {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
                                            {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
                                            {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
                                            {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
                                            {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
                                            {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

std::uint64_t load64(const std::uint8_t* bytes) {
  std::uint64_t word = 0;
  for (int i = 0; i < 8; ++i) word |= std::uint64_t{bytes[i]} << (8 * i);
  return word;
}

void store64(std::uint8_t* bytes, std::uint64_t word) {
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(word >> (8 * i));
}

// The parameter block: what BLAKE2 xors into its initial state.
struct ParameterBlock {
  std::uint8_t digest_length = 0, key_length = 0, fanout = 0, depth = 0;
  std::uint32_t leaf_length = 0, node_offset = 0, xof_length = 0;
  std::uint8_t node_depth = 0, inner_length = 0;

  std::array<std::uint64_t, 8> state() const {
    std::array<std::uint64_t, 8> h = kInitial;
    h[0] ^= std::uint64_t{digest_length} | std::uint64_t{key_length} << 8 | std::uint64_t{fanout} << 16 |
            std::uint64_t{depth} << 24 | std::uint64_t{leaf_length} << 32;
    h[1] ^= std::uint64_t{node_offset} | std::uint64_t{xof_length} << 32;
    h[2] ^= std::uint64_t{node_depth} | std::uint64_t{inner_length} << 8;
    return h;
  }
};

void compress(std::array<std::uint64_t, 8>& h, const std::uint8_t* block, std::uint64_t count, bool last) {
  std::uint64_t m[16], v[16];
  for (std::size_t i = 0; i < 16; ++i) m[i] = load64(block + 8 * i);
  std::copy(h.begin(), h.end(), v);
  std::copy(kInitial.begin(), kInitial.end(), v + 8);
  v[12] ^= count;
  if (last) v[14] = ~v[14];
  auto mix = [&](std::size_t a, std::size_t b, std::size_t c, std::size_t d, std::uint64_t x,
                 std::uint64_t y) {
    v[a] += v[b] + x;
    v[d] = std::rotr(v[d] ^ v[a], 32);
    v[c] += v[d];
    v[b] = std::rotr(v[b] ^ v[c], 24);
    v[a] += v[b] + y;
    v[d] = std::rotr(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = std::rotr(v[b] ^ v[c], 63);
  };
  for (int round = 0; round < 12; ++round) {
    const std::uint8_t* s = kSchedule[round % 10];
    for (std::size_t i = 0; i < 4; ++i) mix(i, 4 + i, 8 + i, 12 + i, m[s[2 * i]], m[s[2 * i + 1]]);
    for (std::size_t i = 0; i < 4; ++i) {
      mix(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[s[8 + 2 * i]], m[s[9 + 2 * i]]);
    }
  }
  for (std::size_t i = 0; i < 8; ++i) h[i] ^= v[i] ^ v[i + 8];
}

// BLAKE2b of `input` (which starts with the padded key where there is one).
Hash hash(const ParameterBlock& parameters, std::span<const std::uint8_t> input) {
  std::array<std::uint64_t, 8> h = parameters.state();
  std::uint64_t count = 0;
  std::array<std::uint8_t, kBlockBytes> block;
  do {
    const std::size_t take = std::min(kBlockBytes, input.size());
    block.fill(0);
    std::copy_n(input.begin(), take, block.begin());
    input = input.subspan(take);
    count += take;
    compress(h, block.data(), count, input.empty());
  } while (!input.empty());
  Hash out;
  for (std::size_t i = 0; i < 8; ++i) store64(out.data() + 8 * i, h[i]);
  return out;
}

// Fewer than 2^32 - 1 bytes; the key has at most 64.
void blake2xb(std::span<std::uint8_t> out, std::span<const std::uint8_t> message,
              std::span<const std::uint8_t> key) {
  ParameterBlock root;
  root.digest_length = kHashBytes;
  root.key_length = static_cast<std::uint8_t>(key.size());
  root.fanout = root.depth = 1;
  root.xof_length = static_cast<std::uint32_t>(out.size());
  std::vector<std::uint8_t> input(key.empty() ? 0 : kBlockBytes);
  std::copy(key.begin(), key.end(), input.begin());
  input.insert(input.end(), message.begin(), message.end());
  const Hash top = hash(root, input);

  ParameterBlock node;
  node.leaf_length = kHashBytes;
  node.xof_length = root.xof_length;
  node.inner_length = kHashBytes;
  for (; !out.empty(); ++node.node_offset) {
    const std::size_t take = std::min(kHashBytes, out.size());
    node.digest_length = static_cast<std::uint8_t>(take);
    const Hash part = hash(node, top);
    std::copy_n(part.begin(), take, out.begin());
    out = out.subspan(take);
  }
}

}  // namespace

void Blake2xbStream::fill(std::span<std::uint8_t> bytes) {
  while (!bytes.empty()) {
    if (used_ == kBlock) {
      std::array<std::uint8_t, 8> message;
      store64(message.data(), counter_++);
      blake2xb(block_, message, seed_);
      used_ = 0;
    }
    const std::size_t take = std::min(kBlock - used_, bytes.size());
    std::copy_n(block_.begin() + static_cast<std::ptrdiff_t>(used_), take, bytes.begin());
    used_ += take;
    bytes = bytes.subspan(take);
  }
}

std::uint64_t Blake2xbStream::next() {
  std::array<std::uint8_t, 8> bytes;
  fill(bytes);
  return load64(bytes.data());
}

}  // namespace tacit::seal
