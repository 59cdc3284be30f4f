// SPDX-License-Identifier: Apache-2.0
// The program's operator new: malloc, and where that fails for a small allocation, the reserve. All other forms come down to these
// two, but for over-aligned types, of which only polynomials and keys are made. The sanitizers bring their own.
#include <cstdlib>
#include <new>

#include "server/memory_reserve.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

void* operator new(std::size_t size) {
  if (void* block = std::malloc(size)) return block;
  if (void* block = tacit::server::memory_reserve.take(size)) return block;
  throw std::bad_alloc();
}

void operator delete(void* block) noexcept {
  if (tacit::server::memory_reserve.owns(block))
    tacit::server::memory_reserve.give_back(block);
  else
    std::free(block);
}

void operator delete(void* block, std::size_t) noexcept { ::operator delete(block); }

#endif
