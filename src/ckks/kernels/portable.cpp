// SPDX-License-Identifier: Apache-2.0
// The definition, in plain C++ for the baseline.
#include "ckks/kernels/encoding_loops.h"

namespace tacit::ckks {

constexpr EncodingKernels kPortableEncoding = EncodingLoops<1>::table("portable");

}  // namespace tacit::ckks
