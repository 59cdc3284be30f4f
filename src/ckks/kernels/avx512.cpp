// SPDX-License-Identifier: Apache-2.0
// Compiled for AVX-512 (F, DQ, VL).
#include "ckks/kernels/encoding_loops.h"

namespace tacit::ckks {
namespace {

bool available() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

}  // namespace

constexpr EncodingKernels kAvx512Encoding = EncodingLoops<8>::table("avx512", available);

}  // namespace tacit::ckks
