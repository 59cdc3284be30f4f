// SPDX-License-Identifier: Apache-2.0
// Blocks are kept when freed and handed out again: polynomials come and go by the megabyte, and asking the system for
// fresh pages each time costs more than the arithmetic on them. Work that is done over and over allocates nothing.
#pragma once

#include <cstddef>

namespace tacit {

// At least `bytes` bytes on a cache line, uninitialised; throws std::bad_alloc. Thread-safe.
void* allocate_block(std::size_t bytes);
// `bytes` is what the block was allocated with.
void free_block(void* block, std::size_t bytes) noexcept;

// Bytes that are free but kept, at most kMaxKeptBytes.
std::size_t kept_block_bytes();
inline constexpr std::size_t kMaxKeptBytes = std::size_t{1} << 30;

}  // namespace tacit
