// SPDX-License-Identifier: Apache-2.0
#include "base/block_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "base/aligned.h"

namespace tacit {
namespace {

// Under the address sanitizer every block must be really freed, or it could not tell a use after free.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kPooling = false;
#else
constexpr bool kPooling = true;
#endif

// Where a block holds whole huge pages, the system is asked for them: streams of several polynomials at once otherwise
// spend their time on address translation.
constexpr std::size_t kHugePage = std::size_t{1} << 21;

// Blocks of kMinColoured bytes and more start at different cache lines of a page. Polynomials at a power of two from each
// other would otherwise compete for the same few places of every cache wherever many are read side by side. Before such a
// block stands the address of what was allocated.
constexpr std::size_t kColours = 63;
constexpr std::size_t kMinColoured = std::size_t{1} << 14;

// So that small blocks of nearly one size are interchangeable, and few sizes are kept apart.
std::size_t rounded(std::size_t bytes) {
  return bytes >= kMinColoured ? bytes
                               : std::max(kCacheLine, (bytes + kCacheLine - 1) / kCacheLine * kCacheLine);
}

std::align_val_t alignment(std::size_t bytes) {
  return std::align_val_t{bytes >= kHugePage ? kHugePage : kCacheLine};
}

void* allocate(std::size_t bytes) {
  if (bytes < kMinColoured) return ::operator new(bytes, alignment(bytes));
  static std::atomic<std::size_t> next{0};
  const std::size_t offset = kCacheLine * (1 + next.fetch_add(1, std::memory_order_relaxed) % kColours);
  const std::size_t total = bytes + kCacheLine * (1 + kColours);
  auto* start = static_cast<std::byte*>(::operator new(total, alignment(bytes)));
  if (bytes >= kHugePage) ::madvise(start, total / kHugePage * kHugePage, MADV_HUGEPAGE);
  std::memcpy(start + offset - sizeof start, &start, sizeof start);
  return start + offset;
}

void release(void* block, std::size_t bytes) noexcept {
  if (bytes >= kMinColoured) {
    std::memcpy(&block, static_cast<std::byte*>(block) - sizeof block, sizeof block);
  }
  ::operator delete(block, alignment(bytes));
}

struct Pool {
  struct Shelf {
    std::vector<void*> blocks;
    std::uint64_t last_use = 0;
  };
  std::mutex mutex;
  std::map<std::size_t, Shelf> shelves;  // by size of block
  std::size_t kept = 0;
  std::uint64_t uses = 0;

  // Gives back blocks of sizes that nobody has asked for or brought for the longest time, until `bytes` more can be kept.
  // Otherwise those of a model or keys that are gone for good would keep out those in use.
  void make_room(std::size_t bytes) noexcept {
    while (kept + bytes > kMaxKeptBytes) {
      auto oldest = shelves.end();
      for (auto shelf = shelves.begin(); shelf != shelves.end(); ++shelf) {
        if (!shelf->second.blocks.empty() &&
            (oldest == shelves.end() || shelf->second.last_use < oldest->second.last_use))
          oldest = shelf;
      }
      auto& [size, shelf] = *oldest;
      release(shelf.blocks.back(), size);
      shelf.blocks.pop_back();
      kept -= size;
    }
  }
};

// Never destroyed: blocks may be freed by other static objects on the way out.
Pool& pool() {
  static Pool& instance = *new Pool;
  return instance;
}

}  // namespace

void* allocate_block(std::size_t bytes) {
  bytes = rounded(bytes);
  if (kPooling) {
    Pool& p = pool();
    std::lock_guard lock(p.mutex);
    if (const auto found = p.shelves.find(bytes); found != p.shelves.end()) {
      auto& [blocks, last_use] = found->second;
      last_use = ++p.uses;
      if (!blocks.empty()) {
        void* block = blocks.back();
        blocks.pop_back();
        p.kept -= bytes;
        return block;
      }
    }
  }
  return allocate(bytes);
}

void free_block(void* block, std::size_t bytes) noexcept {
  bytes = rounded(bytes);
  if (kPooling && bytes <= kMaxKeptBytes) {
    Pool& p = pool();
    std::lock_guard lock(p.mutex);
    p.make_room(bytes);
    try {
      Pool::Shelf& shelf = p.shelves[bytes];
      shelf.last_use = ++p.uses;
      shelf.blocks.push_back(block);
      p.kept += bytes;
      return;
    } catch (const std::bad_alloc&) {
      // No memory to remember it by: give it back.
    }
  }
  release(block, bytes);
}

std::size_t kept_block_bytes() {
  Pool& p = pool();
  std::lock_guard lock(p.mutex);
  return p.kept;
}

}  // namespace tacit
