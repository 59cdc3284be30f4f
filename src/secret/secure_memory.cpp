// SPDX-License-Identifier: Apache-2.0
#include "secret/secure_memory.h"

#include <sodium.h>

#include "base/aligned.h"

namespace tacit::secret {
namespace {

// Idempotent and thread-safe; sodium_malloc needs it for the page size and the canary.
bool sodium_ready() {
  static const bool ready = sodium_init() >= 0;
  return ready;
}

}  // namespace

void* secure_allocate(std::size_t bytes) {
  if (!sodium_ready() || bytes > SIZE_MAX - kCacheLine) return nullptr;
  // libsodium puts the end of the block against a guard page, so a whole number of cache lines is also
  // aligned to one, as the kernels want it. It locks what it can and goes on where the lock limit is reached.
  return sodium_malloc((bytes + kCacheLine - 1) / kCacheLine * kCacheLine);
}

void secure_free(void* memory) { sodium_free(memory); }

}  // namespace tacit::secret
