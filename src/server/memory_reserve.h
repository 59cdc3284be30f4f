// SPDX-License-Identifier: Apache-2.0
// Memory put by for small allocations when the system has none left. Libraries allocate where nothing may throw: Asio when a strand
// hands over, the JSON library when it takes a value apart, the standard library between two names of a folder. With the reserve
// those go on, and so does the refusal of the request that asked for too much: large allocations fail as ever.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tacit::server {

// All functions may be called from several threads at once; none but put_by() allocates or throws.
class MemoryReserve {
 public:
  struct Shelf {
    std::size_t block_bytes, blocks;
  };
  static constexpr std::array<Shelf, 3> kShelves = {{{256, 8192}, {4096, 512}, {65536, 64}}};
  static constexpr std::size_t kMaxBytes = kShelves.back().block_bytes;  // of one block

  constexpr MemoryReserve() = default;
  MemoryReserve(const MemoryReserve&) = delete;
  MemoryReserve& operator=(const MemoryReserve&) = delete;

  // Takes the memory from the system and writes to all of it, so that it is there. Until then there is nothing to take. std::bad_alloc.
  // Called once; the memory is never given back to the system.
  void put_by();

  // A block of at least so many bytes, aligned as malloc aligns; null where no such block is left.
  void* take(std::size_t bytes) noexcept;
  // Whether it came from take(); any pointer may be asked about.
  bool owns(const void* block) const noexcept {
    const auto* at = static_cast<const std::byte*>(block);
    return at >= begin_.load(std::memory_order_relaxed) && at < end_.load(std::memory_order_relaxed);
  }
  // `block` must be owned, and is not used any more.
  void give_back(void* block) noexcept;

  // How often take() has given a block.
  std::uint64_t uses() const noexcept { return uses_.load(std::memory_order_relaxed); }

 private:
  struct Free {
    Free* next;
  };
  class Lock;

  std::atomic<std::byte*> begin_ = nullptr, end_ = nullptr;
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;  // guards free_
  std::array<Free*, kShelves.size()> free_{};
  std::atomic<std::uint64_t> uses_ = 0;
};

// Of this process, for operator new.
extern MemoryReserve memory_reserve;

}  // namespace tacit::server
