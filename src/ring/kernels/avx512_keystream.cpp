// SPDX-License-Identifier: Apache-2.0
// ChaCha20 sixteen blocks at a time: vector w holds word w of every block, so the rounds need no permutation.
#include <cstring>

#include "ring/kernels/avx512.h"

namespace tacit::ring::avx512 {
namespace {

constexpr std::size_t kBlocks = 16, kWords = 16, kBlockBytes = 64;

void quarter_round(Vector& a, Vector& b, Vector& c, Vector& d) {
  a = _mm512_add_epi32(a, b);
  d = _mm512_rol_epi32(_mm512_xor_si512(d, a), 16);
  c = _mm512_add_epi32(c, d);
  b = _mm512_rol_epi32(_mm512_xor_si512(b, c), 12);
  a = _mm512_add_epi32(a, b);
  d = _mm512_rol_epi32(_mm512_xor_si512(d, a), 8);
  c = _mm512_add_epi32(c, d);
  b = _mm512_rol_epi32(_mm512_xor_si512(b, c), 7);
}

// Vector w, lane b to vector b, lane w.
void transpose(Vector (&x)[kWords]) {
  Vector t[kWords];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {  // 4x4 words within each quarter
    Vector* r = x + 4 * i;
    const Vector lo01 = _mm512_unpacklo_epi32(r[0], r[1]), hi01 = _mm512_unpackhi_epi32(r[0], r[1]);
    const Vector lo23 = _mm512_unpacklo_epi32(r[2], r[3]), hi23 = _mm512_unpackhi_epi32(r[2], r[3]);
    t[4 * i] = _mm512_unpacklo_epi64(lo01, lo23);
    t[4 * i + 1] = _mm512_unpackhi_epi64(lo01, lo23);
    t[4 * i + 2] = _mm512_unpacklo_epi64(hi01, hi23);
    t[4 * i + 3] = _mm512_unpackhi_epi64(hi01, hi23);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {  // the quarters among each other
    const Vector a = _mm512_shuffle_i64x2(t[j], t[4 + j], 0x44),
                 b = _mm512_shuffle_i64x2(t[j], t[4 + j], 0xEE);
    const Vector c = _mm512_shuffle_i64x2(t[8 + j], t[12 + j], 0x44),
                 d = _mm512_shuffle_i64x2(t[8 + j], t[12 + j], 0xEE);
    x[j] = _mm512_shuffle_i64x2(a, c, 0x88);
    x[4 + j] = _mm512_shuffle_i64x2(a, c, 0xDD);
    x[8 + j] = _mm512_shuffle_i64x2(b, d, 0x88);
    x[12 + j] = _mm512_shuffle_i64x2(b, d, 0xDD);
  }
}

}  // namespace

void keystream(const std::uint8_t key[32], u64 first, std::uint8_t* out, std::size_t count) {
  constexpr std::uint32_t kConstants[4] = {0x61707865, 0x3320646e, 0x79622d32,
                                           0x6b206574};  // "expand 32-byte k"
  std::uint32_t key_words[8];
  std::memcpy(key_words, key, sizeof key_words);
  Vector start[kWords];
  for (int i = 0; i < 4; ++i) start[i] = _mm512_set1_epi32(static_cast<int>(kConstants[i]));
  for (int i = 0; i < 8; ++i) start[4 + i] = _mm512_set1_epi32(static_cast<int>(key_words[i]));
  start[14] = start[15] = zero();
  for (std::size_t done = 0; done < count; done += kBlocks) {
    std::uint32_t low[kBlocks], high[kBlocks];
    for (std::size_t b = 0; b < kBlocks; ++b) {
      low[b] = static_cast<std::uint32_t>(first + done + b);
      high[b] = static_cast<std::uint32_t>((first + done + b) >> 32);
    }
    start[12] = _mm512_loadu_si512(low);
    start[13] = _mm512_loadu_si512(high);
    Vector x[kWords];
#pragma GCC unroll 16
    for (std::size_t i = 0; i < kWords; ++i) x[i] = start[i];
    for (int round = 0; round < 20; round += 2) {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) quarter_round(x[i], x[4 + i], x[8 + i], x[12 + i]);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i)
        quarter_round(x[i], x[4 + (i + 1) % 4], x[8 + (i + 2) % 4], x[12 + (i + 3) % 4]);
    }
#pragma GCC unroll 16
    for (std::size_t i = 0; i < kWords; ++i) x[i] = _mm512_add_epi32(x[i], start[i]);
    transpose(x);
    for (std::size_t b = 0; b < kBlocks && done + b < count; ++b)
      _mm512_storeu_si512(out + (done + b) * kBlockBytes, x[b]);
  }
}

}  // namespace tacit::ring::avx512
