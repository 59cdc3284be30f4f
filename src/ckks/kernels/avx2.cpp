// SPDX-License-Identifier: Apache-2.0
// Compiled for AVX2.
#include "ckks/kernels/encoding_loops.h"

namespace tacit::ckks {
namespace {

bool available() { return __builtin_cpu_supports("avx2"); }

}  // namespace

constexpr EncodingKernels kAvx2Encoding = EncodingLoops<4>::table("avx2", available);

}  // namespace tacit::ckks
