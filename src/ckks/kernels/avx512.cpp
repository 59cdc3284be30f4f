// SPDX-License-Identifier: Apache-2.0
// Compiled for AVX-512 (F, DQ, VL).
#include "ckks/kernels/encoding_loops.h"

namespace tacit::ckks {

constexpr EncodingKernels kAvx512Encoding = EncodingLoops<8>::table("avx512");

}  // namespace tacit::ckks
