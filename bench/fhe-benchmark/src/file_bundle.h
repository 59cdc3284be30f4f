// SPDX-License-Identifier: Apache-2.0
// Several byte strings in one file, read through a memory map: the ciphertexts of thousands of images are not copied.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "base/bytes.h"

namespace tacit::fhe_benchmark {

// A whole file in memory, read-only. Whoever shortens the file meanwhile ends the program; the stages run one after the other.
class MappedFile {
 public:
  // file.not-found, file.unreadable.
  static Result<MappedFile> open(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile();

  ByteView bytes() const { return {static_cast<const std::uint8_t*>(address_), size_}; }

 private:
  MappedFile(void* address, std::size_t size) : address_(address), size_(size) {}
  void* address_ = nullptr;
  std::size_t size_ = 0;
};

// Replaces `path` by u64 count, count u64 lengths, and the strings one after the other, little-endian; file.unwritable.
// Nothing is waited for to reach the disk: the next stage reads it from the system's cache.
Status write_bundle(const std::filesystem::path& path, std::span<const Bytes> parts);
// The strings of such a file, as views into `bytes`. data.truncated, data.trailing; data.malformed for a count that the
// file is too short for.
Result<std::vector<ByteView>> read_bundle(ByteView bytes);

// Replaces `path` by these bytes, in the same way.
Status write_bytes(const std::filesystem::path& path, ByteView bytes);

}  // namespace tacit::fhe_benchmark
