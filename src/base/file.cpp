// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/descriptor.h"

namespace tacit {
namespace {

Error unwritable(const std::filesystem::path& path) {
  const ErrorCode code =
      errno == ENOSPC || errno == EDQUOT ? ErrorCode::kDiskFull : ErrorCode::kFileUnwritable;
  return Error{code, "cannot write " + path.string() + ": " + errno_text()};
}

Status sync_folder(const std::filesystem::path& folder) {
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.fd < 0 || ::fsync(directory.fd) != 0) return unwritable(folder);
  return {};
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.parent_path().empty() ? "." : path.parent_path();
}

}  // namespace

Result<Bytes> read_file(const std::filesystem::path& path, std::uint64_t limit) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) {
    ErrorCode code =
        errno == ENOENT || errno == ENOTDIR ? ErrorCode::kFileNotFound : ErrorCode::kFileUnreadable;
    return Error{code, "cannot open " + path.string() + ": " + errno_text()};
  }
  struct stat info {};
  if (::fstat(file.fd, &info) != 0 || S_ISDIR(info.st_mode)) {
    return Error{ErrorCode::kFileUnreadable, path.string() + " is not a file that can be read"};
  }
  // Read in steps rather than trust st_size: pipes and /proc files announce none.
  Bytes bytes;
  bytes.reserve(std::min<std::uint64_t>(static_cast<std::uint64_t>(info.st_size), limit) + 1);
  std::uint8_t buffer[1 << 16];
  for (;;) {
    ssize_t got = ::read(file.fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return Error{ErrorCode::kFileUnreadable, "cannot read " + path.string() + ": " + errno_text()};
    if (got == 0) return bytes;
    if (bytes.size() + static_cast<std::size_t>(got) > limit) {
      return Error{ErrorCode::kDataTooLarge,
                   path.string() + " is larger than the " + std::to_string(limit) + " bytes allowed for it"};
    }
    bytes.insert(bytes.end(), buffer, buffer + got);
  }
}

Status write_file_atomic(const std::filesystem::path& path, ByteView bytes, bool owner_only) {
  const std::filesystem::path folder = folder_of(path);
  std::string temporary = (folder / ("." + path.filename().string() + ".XXXXXX")).string();
  Descriptor file{::mkostemp(temporary.data(), O_CLOEXEC)};  // mode 0600
  if (file.fd < 0) return unwritable(path);
  auto fail = [&] {
    Error error = unwritable(path);
    ::unlink(temporary.c_str());
    return error;
  };
  for (std::size_t done = 0; done < bytes.size();) {
    ssize_t put = ::write(file.fd, bytes.data() + done, bytes.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail();
    done += static_cast<std::size_t>(put);
  }
  if (!owner_only && ::fchmod(file.fd, 0644) != 0) return fail();
  if (::fsync(file.fd) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) return fail();
  return sync_folder(folder);
}

Status make_durable_folder(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return {};
  const std::filesystem::path above = folder_of(path);
  if (above != path) TACIT_CHECK(make_durable_folder(above));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return unwritable(path);
  return sync_folder(above);
}

Status remove_durably(const std::filesystem::path& path) {
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    return Error{ErrorCode::kFileUnwritable, "cannot remove " + path.string() + ": " + errno_text()};
  }
  return sync_folder(folder_of(path));
}

}  // namespace tacit
