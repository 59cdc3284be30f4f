// SPDX-License-Identifier: Apache-2.0
// Preloaded into tacitd by the reliability tests: makes the n-th system call at a named point fail, or kills the process there. The
// server itself has no hooks.
//
// TACIT_FAULT_PLAN names a file. While it exists and holds "POINT:N:ACTION", the N-th call at that point (from 1, counted from when
// the file was written) does what ACTION says: kill, enospc, eio or nomem; with "+" behind it every call from the N-th on. A new file
// is a new plan. TACIT_FAULT_STRUCK names a file that is made when the plan strikes.
//
// A point is "CALL FILE before|after" with dots: write.piece.before, fsync.journal.after, rename.result.before. CALL: open, write,
// fsync, rename, unlink, truncate. FILE: piece, part, input, result, database, journal, folder, audit. And "malloc", which is any allocation.
#include <execinfo.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "interpose.h"

namespace {

using tacit::interpose::DescriptorPath;
using tacit::interpose::mode_of;
using tacit::interpose::real;

constexpr std::array kCalls = {"open", "write", "fsync", "rename", "unlink", "truncate"};
constexpr std::array kFiles = {"piece", "part", "input", "result", "database", "journal", "folder", "audit"};
constexpr std::size_t kPoints = kCalls.size() * kFiles.size() * 2 + 1;
constexpr std::size_t kMalloc = kPoints - 1;
std::array<std::atomic<unsigned long>, kPoints> counts;

struct Plan {
  std::size_t point = kPoints;
  unsigned long number = 0;
  bool from_then_on = false;
  enum { kKill, kError } action = kKill;
  int error = 0;
};
Plan plan;
std::atomic<long> plan_made{0};  // when the file was written, in nanoseconds; 0: no plan
std::atomic_flag reading = ATOMIC_FLAG_INIT;

std::size_t point_of(std::size_t call, std::size_t file, bool after) {
  return (call * kFiles.size() + file) * 2 + (after ? 1 : 0);
}

void name_of(std::size_t point, char* text, std::size_t size) {
  if (point == kMalloc)
    std::snprintf(text, size, "malloc");
  else
    std::snprintf(text, size, "%s.%s.%s", kCalls[point / 2 / kFiles.size()],
                  kFiles[point / 2 % kFiles.size()], point % 2 == 0 ? "before" : "after");
}

// Nothing here may allocate, nor go through the functions below.
void read_plan(const char* file, long made) {
  char text[128] = {}, point[64] = {}, action[16] = {};
  const long fd = ::syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ::syscall(SYS_read, fd, text, sizeof text - 1);
  ::syscall(SYS_close, fd);
  Plan read;
  if (std::sscanf(text, "%63[^:]:%lu:%15s", point, &read.number, action) != 3) return;
  for (std::size_t i = 0; i < kPoints; ++i) {
    char name[64];
    name_of(i, name, sizeof name);
    if (std::strcmp(name, point) == 0) read.point = i;
  }
  if (char* plus = std::strchr(action, '+')) read.from_then_on = true, *plus = 0;
  read.action = std::strcmp(action, "kill") == 0 ? Plan::kKill : Plan::kError;
  read.error = std::strcmp(action, "enospc") == 0 ? ENOSPC : std::strcmp(action, "eio") == 0 ? EIO : ENOMEM;
  for (auto& count : counts) count = 0;
  plan = read;
  plan_made = made;
}

// Whether there is a plan, the present one.
bool planned() {
  static const char* const file = std::getenv("TACIT_FAULT_PLAN");
  if (file == nullptr) return false;
  struct stat status {};
  if (::stat(file, &status) != 0) {
    plan_made = 0;
    return false;
  }
  const long made = status.st_mtim.tv_sec * 1'000'000'000L + status.st_mtim.tv_nsec;
  if (made != plan_made && !reading.test_and_set()) {
    read_plan(file, made);
    reading.clear();
  }
  return made == plan_made;
}

void say_struck() {
  static const char* const file = std::getenv("TACIT_FAULT_STRUCK");
  if (file == nullptr) return;
  const long fd = ::syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd >= 0) ::syscall(SYS_close, fd);
}

// Whether the call at this point is to fail; does not return where the process is to be killed.
bool strikes(std::size_t point) {
  if (!planned()) return false;
  const unsigned long number = ++counts[point];
  if (point != plan.point) return false;
  if (number != plan.number && !(plan.from_then_on && number > plan.number)) return false;
  say_struck();
  if (plan.action == Plan::kKill) {
    ::kill(::getpid(), SIGKILL);
    for (;;) ::pause();
  }
  return true;
}

// Which of kFiles a path is; kFiles.size() for what is no part of a state folder.
std::size_t file_of(const char* path) {
  const auto has = [&](const char* text) { return std::strstr(path, text) != nullptr; };
  if (has("/tacit.db-journal")) return 5;
  if (has("/tacit.db")) return 4;
  if (has("/pieces/")) return 0;
  if (has("/parts/")) return 1;
  if (has("/inputs/")) return 2;
  if (has("/results/")) return 3;
  if (has("/audit/")) return 7;
  if (has("/blobs")) return 6;
  return kFiles.size();
}

std::size_t file_of(int descriptor) {
  const DescriptorPath path(descriptor);
  struct stat status {};
  // "…/pieces" and "…/blobs/TENANT" are folders.
  if (::fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode))
    return std::strstr(path.text, "/blobs") ? 6 : kFiles.size();
  return file_of(path.text);
}

template <class Call>
auto guarded(std::size_t call, std::size_t file, const Call& run) -> decltype(run()) {
  if (file >= kFiles.size()) return run();
  if (strikes(point_of(call, file, false))) {
    errno = plan.error;
    return -1;
  }
  const auto result = run();
  // What happened after the call cannot be undone: only killing makes sense there.
  strikes(point_of(call, file, true));
  return result;
}

// A process that ends itself says where; the first call of backtrace() allocates.
[[gnu::constructor]] void say_where_it_ends() {
  static void* frames[64];
  ::backtrace(frames, 64);
  std::signal(SIGABRT, [](int) { ::backtrace_symbols_fd(frames, ::backtrace(frames, 64), STDERR_FILENO); });
}

}  // namespace

extern "C" {

ssize_t write(int descriptor, const void* bytes, size_t size) {
  static const auto call = real<ssize_t (*)(int, const void*, size_t)>("write");
  return guarded(1, file_of(descriptor), [&] { return call(descriptor, bytes, size); });
}

ssize_t pwrite64(int descriptor, const void* bytes, size_t size, off64_t offset) {
  static const auto call = real<ssize_t (*)(int, const void*, size_t, off64_t)>("pwrite64");
  return guarded(1, file_of(descriptor), [&] { return call(descriptor, bytes, size, offset); });
}

int fsync(int descriptor) {
  static const auto call = real<int (*)(int)>("fsync");
  return guarded(2, file_of(descriptor), [&] { return call(descriptor); });
}

int fdatasync(int descriptor) {
  static const auto call = real<int (*)(int)>("fdatasync");
  return guarded(2, file_of(descriptor), [&] { return call(descriptor); });
}

int rename(const char* from, const char* to) noexcept {
  static const auto call = real<int (*)(const char*, const char*)>("rename");
  return guarded(3, file_of(to), [&] { return call(from, to); });
}

int unlink(const char* path) noexcept {
  static const auto call = real<int (*)(const char*)>("unlink");
  return guarded(4, file_of(path), [&] { return call(path); });
}

int ftruncate64(int descriptor, off64_t size) noexcept {
  static const auto call = real<int (*)(int, off64_t)>("ftruncate64");
  return guarded(5, file_of(descriptor), [&] { return call(descriptor, size); });
}

int mkostemp64(char* path, int flags) {
  static const auto call = real<int (*)(char*, int)>("mkostemp64");
  return guarded(0, file_of(path), [&] { return call(path, flags); });
}

int mkostemp(char* path, int flags) {
  static const auto call = real<int (*)(char*, int)>("mkostemp");
  return guarded(0, file_of(path), [&] { return call(path, flags); });
}

int open64(const char* path, int flags, ...) {
  static const auto call = real<int (*)(const char*, int, ...)>("open64");
  va_list list;
  va_start(list, flags);
  const mode_t mode = mode_of(flags, list);
  va_end(list);
  return guarded(0, file_of(path), [&] { return call(path, flags, mode); });
}

}  // extern "C"

// Allocations come before dlsym can be called, so they go to the library's own entries.
extern "C" void* __libc_malloc(size_t size);
extern "C" void* __libc_memalign(size_t alignment, size_t size);

namespace {

bool allocation_fails() {
  static thread_local bool inside = false;  // getenv and stat do not allocate, but who knows
  if (inside) return false;
  inside = true;
  const bool fails = strikes(kMalloc);
  inside = false;
  if (fails) errno = ENOMEM;
  return fails;
}

}  // namespace

extern "C" void* malloc(size_t size) { return allocation_fails() ? nullptr : __libc_malloc(size); }

// What operator new calls for aligned types.
extern "C" void* aligned_alloc(size_t alignment, size_t size) {
  return allocation_fails() ? nullptr : __libc_memalign(alignment, size);
}
