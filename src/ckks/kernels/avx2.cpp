// SPDX-License-Identifier: Apache-2.0
// Compiled for AVX2.
#include "ckks/kernels/encoding_loops.h"

namespace tacit::ckks {

constexpr EncodingKernels kAvx2Encoding = EncodingLoops<4>::table("avx2");

}  // namespace tacit::ckks
