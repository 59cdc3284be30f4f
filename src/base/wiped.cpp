// SPDX-License-Identifier: Apache-2.0
#include "base/wiped.h"

#include <sodium.h>

namespace tacit {

void wipe(void* memory, std::size_t bytes) {
  if (bytes != 0) sodium_memzero(memory, bytes);
}

}  // namespace tacit
