// SPDX-License-Identifier: Apache-2.0
// Prime chains: one list for each ring size and scale, of which a deeper plan takes a longer prefix, so that
// models of one scale share evaluation keys.
#pragma once

#include "ckks/parameters.h"

namespace tacit::compiler {

inline constexpr int kMinScaleBits = 26;
inline constexpr int kMaxScaleBits = 40;

// The list for a scale of 2^s: q_0 has s + kHeadroomBits bits, so that numbers up to 1 at this scale stay
// three bits below q_0 / 2; the others are the primes nearest to 2^s, within a factor of 2^kMaxDrift. The
// first special prime has kSpecialBits more than q_0 (50 at most), each further one a bit more than s: key
// switching with digits of as many primes as there are special ones then adds less than the rounding that
// comes with it, and before a division the digits may be larger by one prime (see key_shape).
inline constexpr int kHeadroomBits = 4;
inline constexpr int kSpecialBits = 9;
inline constexpr double kMaxDrift = 0.25;
inline constexpr int kMaxSpecialCount = 6;

// q_0 .. q_depth and the special primes, or why they cannot be: parameters.insecure where log2(QP) exceeds
// what the ring size keeps secure, parameters.invalid where there are not primes enough.
Result<ckks::ParametersLiteral> make_chain(int log_degree, int scale_bits, int depth, int special_count = 1);

// The greatest depth for which make_chain succeeds with one special prime; -1 where there is none.
int longest_chain(int log_degree, int scale_bits);

}  // namespace tacit::compiler
