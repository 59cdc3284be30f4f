// SPDX-License-Identifier: Apache-2.0
// The one target of this program, as libFuzzer calls it.
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tacit::fuzz::Entry entry = tacit::fuzz::targets().begin()->second;
  entry({data, size});
  return 0;
}
