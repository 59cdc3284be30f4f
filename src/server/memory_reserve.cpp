// SPDX-License-Identifier: Apache-2.0
#include "server/memory_reserve.h"

#include <cstring>
#include <new>

namespace tacit::server {

namespace {

constexpr std::size_t kAlignment = 4096;

constexpr std::size_t total_bytes() {
  std::size_t bytes = 0;
  for (const auto& shelf : MemoryReserve::kShelves) bytes += shelf.block_bytes * shelf.blocks;
  return bytes;
}

}  // namespace

constinit MemoryReserve memory_reserve;

// Held for a few instructions; a mutex might want memory.
class MemoryReserve::Lock {
 public:
  explicit Lock(std::atomic_flag& busy) : busy_(busy) {
    while (busy_.test_and_set(std::memory_order_acquire)) busy_.wait(true, std::memory_order_relaxed);
  }
  ~Lock() {
    busy_.clear(std::memory_order_release);
    busy_.notify_one();
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  std::atomic_flag& busy_;
};

void MemoryReserve::put_by() {
  auto* const begin = static_cast<std::byte*>(::operator new (total_bytes(), std::align_val_t{kAlignment}));
  std::memset(begin, 0xA5, total_bytes());
  const Lock lock(busy_);
  std::byte* at = begin;
  for (std::size_t shelf = 0; shelf < kShelves.size(); ++shelf) {
    for (std::size_t i = 0; i < kShelves[shelf].blocks; ++i, at += kShelves[shelf].block_bytes)
      free_[shelf] = new (at) Free{free_[shelf]};
  }
  end_ = at;
  begin_ = begin;
}

void* MemoryReserve::take(std::size_t bytes) noexcept {
  const Lock lock(busy_);
  for (std::size_t shelf = 0; shelf < kShelves.size(); ++shelf) {
    Free* const block = free_[shelf];
    if (bytes > kShelves[shelf].block_bytes || block == nullptr) continue;
    free_[shelf] = block->next;
    uses_.fetch_add(1, std::memory_order_relaxed);
    return block;
  }
  return nullptr;
}

void MemoryReserve::give_back(void* block) noexcept {
  auto offset = static_cast<std::size_t>(static_cast<std::byte*>(block) - begin_.load());
  std::size_t shelf = 0;
  while (offset >= kShelves[shelf].block_bytes * kShelves[shelf].blocks) {
    offset -= kShelves[shelf].block_bytes * kShelves[shelf].blocks;
    ++shelf;
  }
  const Lock lock(busy_);
  free_[shelf] = new (block) Free{free_[shelf]};
}

}  // namespace tacit::server
