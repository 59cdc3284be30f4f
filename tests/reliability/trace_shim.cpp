// SPDX-License-Identifier: Apache-2.0
// Preloaded into tacitd by power_cut_test.py: writes down every change that the process makes to the files of a folder, in the order in
// which they were made, so that the test can make up what a disk holds when the power goes at any of them.
//
// TACIT_TRACE_FOLDER is the folder, without symbolic links; TACIT_TRACE is the file that the records are appended to. A record is
//   u8 kind, u64 file, u64 number, u32 size of the path, u32 size of the data, path, data
// in the machine's byte order. `file` is the inode, `number` an offset or a size:
//   M path file         a folder was made          C path file       a file was made
//   W file number data  written at this offset     T file number     cut or extended to this size
//   S file              synced, a file or folder   R path data       renamed, to the path that is the data
//   U path              removed, a file or an empty folder
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>

#include "interpose.h"

namespace {

using tacit::interpose::DescriptorPath;
using tacit::interpose::mode_of;
using tacit::interpose::real;

// Changes happen one at a time, each with its record.
std::mutex turn;

bool traced(std::string_view path) {
  static const char* const folder = std::getenv("TACIT_TRACE_FOLDER");
  if (folder == nullptr) return false;
  const std::string_view prefix(folder);
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

bool traced(int descriptor) { return traced(DescriptorPath(descriptor).text); }

std::uint64_t inode_of(int descriptor) {
  struct stat info {};
  return ::fstat(descriptor, &info) == 0 ? info.st_ino : 0;
}

std::uint64_t inode_of(const char* path) {
  struct stat info {};
  return ::lstat(path, &info) == 0 ? info.st_ino : 0;
}

void record(char kind, std::uint64_t file, std::uint64_t number, std::string_view path = {},
            std::string_view data = {}) {
  static const int out = static_cast<int>(
      ::syscall(SYS_openat, AT_FDCWD, std::getenv("TACIT_TRACE"), O_WRONLY | O_APPEND | O_CLOEXEC));
  char head[25];
  const auto path_size = static_cast<std::uint32_t>(path.size()),
             data_size = static_cast<std::uint32_t>(data.size());
  head[0] = kind;
  std::memcpy(head + 1, &file, 8);
  std::memcpy(head + 9, &number, 8);
  std::memcpy(head + 17, &path_size, 4);
  std::memcpy(head + 21, &data_size, 4);
  iovec parts[3] = {{head, sizeof head},
                    {const_cast<char*>(path.data()), path.size()},
                    {const_cast<char*>(data.data()), data.size()}};
  const auto size = static_cast<ssize_t>(sizeof head + path.size() + data.size());
  if (::syscall(SYS_writev, out, parts, 3) != size)
    std::abort();  // a record that is not whole: the trace is worth nothing
}

// Runs `call`, which changes the file at this path or descriptor, and where it succeeded `write_down`; errno stays the call's.
template <class Where, class Call, class WriteDown>
auto change(Where where, const Call& call, const WriteDown& write_down) -> decltype(call()) {
  if (!traced(where)) return call();
  const std::lock_guard lock(turn);
  const auto result = call();
  if (result < 0) return result;
  const int error = errno;
  write_down(result);
  errno = error;
  return result;
}

// Opens with `call`; a file that was not there before is made by it.
template <class Call>
int open_as(const char* path, int flags, const Call& call) {
  if (!(flags & (O_CREAT | O_TRUNC))) return call();
  bool there = false;
  return change(
      path,
      [&] {
        there = inode_of(path) != 0;
        return call();
      },
      [&](int descriptor) {
        if (!there)
          record('C', inode_of(descriptor), 0, path);
        else if (flags & O_TRUNC)
          record('T', inode_of(descriptor), 0);
      });
}

// Removes with `call`.
template <class Call>
int remove_as(const char* path, const Call& call) {
  return change(
      path, [&] { return call(path); }, [&](int) { record('U', 0, 0, path); });
}

// Makes a file of a new name with `call`, which writes the name to `path`.
template <class Call>
int temporary_as(char* path, int flags, const Call& call) {
  return change(
      static_cast<const char*>(path), [&] { return call(path, flags); },
      [&](int descriptor) { record('C', inode_of(descriptor), 0, path); });
}

}  // namespace

extern "C" {

int open64(const char* path, int flags, ...) {
  static const auto call = real<int (*)(const char*, int, ...)>("open64");
  va_list list;
  va_start(list, flags);
  const mode_t mode = mode_of(flags, list);
  va_end(list);
  return open_as(path, flags, [&] { return call(path, flags, mode); });
}

int open(const char* path, int flags, ...) {
  static const auto call = real<int (*)(const char*, int, ...)>("open");
  va_list list;
  va_start(list, flags);
  const mode_t mode = mode_of(flags, list);
  va_end(list);
  return open_as(path, flags, [&] { return call(path, flags, mode); });
}

int mkostemp64(char* path, int flags) {
  static const auto call = real<int (*)(char*, int)>("mkostemp64");
  return temporary_as(path, flags, call);
}

int mkostemp(char* path, int flags) {
  static const auto call = real<int (*)(char*, int)>("mkostemp");
  return temporary_as(path, flags, call);
}

ssize_t write(int descriptor, const void* bytes, size_t size) {
  static const auto call = real<ssize_t (*)(int, const void*, size_t)>("write");
  // Behind it stands where it ended, for files that are appended to as well.
  return change(
      descriptor, [&] { return call(descriptor, bytes, size); },
      [&](ssize_t written) {
        record('W', inode_of(descriptor),
               static_cast<std::uint64_t>(::lseek64(descriptor, 0, SEEK_CUR) - written), {},
               {static_cast<const char*>(bytes), static_cast<std::size_t>(written)});
      });
}

ssize_t pwrite64(int descriptor, const void* bytes, size_t size, off64_t offset) {
  static const auto call = real<ssize_t (*)(int, const void*, size_t, off64_t)>("pwrite64");
  return change(
      descriptor, [&] { return call(descriptor, bytes, size, offset); },
      [&](ssize_t written) {
        record('W', inode_of(descriptor), static_cast<std::uint64_t>(offset), {},
               {static_cast<const char*>(bytes), static_cast<std::size_t>(written)});
      });
}

int ftruncate64(int descriptor, off64_t size) noexcept {
  static const auto call = real<int (*)(int, off64_t)>("ftruncate64");
  return change(
      descriptor, [&] { return call(descriptor, size); },
      [&](int) { record('T', inode_of(descriptor), static_cast<std::uint64_t>(size)); });
}

int ftruncate(int descriptor, off_t size) noexcept { return ftruncate64(descriptor, size); }

int fsync(int descriptor) {
  static const auto call = real<int (*)(int)>("fsync");
  return change(
      descriptor, [&] { return call(descriptor); }, [&](int) { record('S', inode_of(descriptor), 0); });
}

// All that the programs sync this way is data and the size, which fdatasync includes.
int fdatasync(int descriptor) { return fsync(descriptor); }

int rename(const char* from, const char* to) noexcept {
  static const auto call = real<int (*)(const char*, const char*)>("rename");
  return change(
      to, [&] { return call(from, to); }, [&](int) { record('R', 0, 0, from, to); });
}

int unlink(const char* path) noexcept {
  static const auto call = real<int (*)(const char*)>("unlink");
  return remove_as(path, call);
}

int remove(const char* path) noexcept {
  static const auto call = real<int (*)(const char*)>("remove");
  return remove_as(path, call);
}

int rmdir(const char* path) noexcept {
  static const auto call = real<int (*)(const char*)>("rmdir");
  return remove_as(path, call);
}

int mkdir(const char* path, mode_t mode) noexcept {
  static const auto call = real<int (*)(const char*, mode_t)>("mkdir");
  return change(
      path, [&] { return call(path, mode); }, [&](int) { record('M', inode_of(path), 0, path); });
}

}  // extern "C"
