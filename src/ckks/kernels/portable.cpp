// SPDX-License-Identifier: Apache-2.0
// The definition, in plain C++ for the baseline.
#include "ckks/kernels/encoding_loops.h"

namespace tacit::ckks {
namespace {

bool available() { return true; }

}  // namespace

constexpr EncodingKernels kPortableEncoding = EncodingLoops<1>::table("portable", available);

}  // namespace tacit::ckks
