// SPDX-License-Identifier: Apache-2.0
// Randomness: seeds from the operating system, ChaCha20 streams expanded from seeds under separate labels, and the
// distributions of RLWE.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "base/digest.h"
#include "ring/modulus.h"

namespace tacit::ring {

using Seed = std::array<std::uint8_t, 32>;

// A fresh seed from the operating system; kEntropy if there is none to be had.
Result<Seed> fresh_seed();

// The ChaCha20 keystream under the key BLAKE2b-256(key = seed, "tacit/v1/" label, then the indices as 64-bit words).
// Streams of different labels or indices are independent. The key is wiped on destruction.
class Stream {
 public:
  Stream(const Seed& seed, std::string_view label, std::initializer_list<u64> indices = {});
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void fill(std::span<std::uint8_t> bytes);

 private:
  std::array<std::uint8_t, 32> key_;
  u64 block_ = 0;
};

// Uniform in [0, q): each 64-bit word r of the stream gives, from its low 52 bits, the candidate floor(r q / 2^52),
// which is rejected where r q mod 2^52 < 2^52 mod q (Lemire 2019). Rejected words are skipped.
void sample_uniform(Stream& stream, const Modulus& modulus, std::span<u64> out);

// Uniform in {-1, 0, 1}: two bits each, the value 3 rejected. Only the number of rejections depends on the stream.
void sample_ternary(Stream& stream, std::span<std::int8_t> out);

// Centred binomial of parameter 21, standard deviation sqrt(21/2) = 3.24: the difference of the weights of two 21-bit
// strings, without a branch.
void sample_error(Stream& stream, std::span<std::int8_t> out);

// Gaussian of mean 0 and this standard deviation, rounded to integers (Box and Muller 1958, from 53-bit uniforms: no value
// beyond 8.6 deviations). `deviation` is at most 2^45. Not constant-time: for noise whose size is no secret of a client.
void sample_gaussian(Stream& stream, double deviation, std::span<std::int64_t> out);

}  // namespace tacit::ring
