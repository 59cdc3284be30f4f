// SPDX-License-Identifier: Apache-2.0
#include "base/block_pool.h"

#include <sys/mman.h>

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

std::align_val_t alignment(std::size_t bytes) {
  return std::align_val_t{bytes >= kHugePage ? kHugePage : kCacheLine};
}

void* allocate(std::size_t bytes) {
  void* block = ::operator new(bytes, alignment(bytes));
  if (bytes >= kHugePage) ::madvise(block, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  return block;
}

struct Pool {
  std::mutex mutex;
  std::map<std::size_t, std::vector<void*>> blocks;  // by size
  std::size_t kept = 0;
};

// Never destroyed: blocks may be freed by other static objects on the way out.
Pool& pool() {
  static Pool& instance = *new Pool;
  return instance;
}

}  // namespace

void* allocate_block(std::size_t bytes) {
  if (kPooling && bytes >= kMinPooledBytes) {
    Pool& p = pool();
    std::lock_guard lock(p.mutex);
    if (const auto found = p.blocks.find(bytes); found != p.blocks.end() && !found->second.empty()) {
      void* block = found->second.back();
      found->second.pop_back();
      p.kept -= bytes;
      return block;
    }
  }
  return allocate(bytes);
}

void free_block(void* block, std::size_t bytes) noexcept {
  if (kPooling && bytes >= kMinPooledBytes) {
    Pool& p = pool();
    std::lock_guard lock(p.mutex);
    if (p.kept + bytes <= kMaxKeptBytes) {
      try {
        p.blocks[bytes].push_back(block);
        p.kept += bytes;
        return;
      } catch (const std::bad_alloc&) {
        // No memory to remember it by: give it back.
      }
    }
  }
  ::operator delete(block, alignment(bytes));
}

std::size_t kept_block_bytes() {
  Pool& p = pool();
  std::lock_guard lock(p.mutex);
  return p.kept;
}

}  // namespace tacit
