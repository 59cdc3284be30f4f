// SPDX-License-Identifier: Apache-2.0
#include "file_bundle.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/descriptor.h"

namespace tacit::fhe_benchmark {
namespace {

// Writes the strings one after the other.
Status write_all(const std::filesystem::path& path, std::span<const ByteView> parts) {
  const auto unwritable = [&] {
    return Error{ErrorCode::kFileUnwritable, "cannot write " + path.string() + ": " + errno_text()};
  };
  const Descriptor file{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
  if (file.fd < 0) return unwritable();
  for (ByteView part : parts) {
    while (!part.empty()) {
      const ssize_t put = ::write(file.fd, part.data(), part.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return unwritable();
      part = part.subspan(static_cast<std::size_t>(put));
    }
  }
  return {};
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) {
    const ErrorCode code =
        errno == ENOENT || errno == ENOTDIR ? ErrorCode::kFileNotFound : ErrorCode::kFileUnreadable;
    return Error{code, "cannot open " + path.string() + ": " + errno_text()};
  }
  struct stat info {};
  if (::fstat(file.fd, &info) != 0 || !S_ISREG(info.st_mode))
    return Error{ErrorCode::kFileUnreadable, path.string() + " is not a file that can be read"};
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size == 0) return MappedFile(nullptr, 0);  // there is no map of nothing
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file.fd, 0);
  if (address == MAP_FAILED)
    return Error{ErrorCode::kFileUnreadable, "cannot read " + path.string() + ": " + errno_text()};
  return MappedFile(address, size);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : address_(std::exchange(other.address_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile::~MappedFile() {
  if (address_ != nullptr) ::munmap(address_, size_);
}

Status write_bundle(const std::filesystem::path& path, std::span<const Bytes> parts) {
  ByteWriter header;
  header.u64(parts.size());
  for (const Bytes& part : parts) header.u64(part.size());
  const Bytes first = std::move(header).take();
  std::vector<ByteView> views = {first};
  views.insert(views.end(), parts.begin(), parts.end());
  return write_all(path, views);
}

Result<std::vector<ByteView>> read_bundle(ByteView bytes) {
  ByteReader in(bytes, "file of ciphertexts or keys");
  TACIT_TRY(const std::uint64_t count, in.u64());
  if (count > in.remaining() / sizeof(std::uint64_t))
    return Error{ErrorCode::kDataMalformed, "a file of ciphertexts or keys announces " +
                                                std::to_string(count) +
                                                " of them and is too short for their lengths"};
  std::vector<std::uint64_t> lengths(count);
  for (std::uint64_t& length : lengths) { TACIT_TRY(length, in.u64()); }
  std::vector<ByteView> parts;
  for (std::uint64_t length : lengths) { TACIT_TRY(parts.emplace_back(), in.raw(length)); }
  TACIT_CHECK(in.finish());
  return parts;
}

Status write_bytes(const std::filesystem::path& path, ByteView bytes) {
  return write_all(path, std::span(&bytes, 1));
}

}  // namespace tacit::fhe_benchmark
