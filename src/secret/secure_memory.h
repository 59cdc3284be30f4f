// SPDX-License-Identifier: Apache-2.0
// Memory for secrets: locked against swapping, left out of core dumps, guarded, and wiped when freed (libsodium).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace tacit::secret {

// Allocation with guard pages and mlock; nullptr where there is no memory. Where the lock limit is reached the memory
// is still guarded, excluded from core dumps and wiped, but might be swapped.
void* secure_allocate(std::size_t bytes);
void secure_free(void* memory);

// A fixed-size array of T in such memory. Moves, never copies. Empty by default; `valid()` tells whether the allocation
// succeeded.
template <class T>
class SecureBuffer {
 public:
  SecureBuffer() = default;
  explicit SecureBuffer(std::size_t count)
      : data_(static_cast<T*>(secure_allocate(count * sizeof(T)))), count_(data_ ? count : 0) {}
  SecureBuffer(SecureBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), count_(std::exchange(other.count_, 0)) {}
  SecureBuffer& operator=(SecureBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~SecureBuffer() {
    if (data_ != nullptr) secure_free(data_);
  }

  bool valid() const { return data_ != nullptr; }
  std::size_t size() const { return count_; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  std::span<T> span() { return {data_, count_}; }
  std::span<const T> view() const { return {data_, count_}; }

 private:
  T* data_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace tacit::secret
