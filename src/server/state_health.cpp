// SPDX-License-Identifier: Apache-2.0
#include "server/state_health.h"

#include <sys/statvfs.h>

#include <vector>

#include "base/descriptor.h"
#include "base/file.h"

namespace tacit::server {
namespace {

// With less the next row may not fit.
constexpr std::uint64_t kLeastFreeBytes = 1 << 20;
constexpr std::size_t kTrialBytes = 4096;
constexpr std::chrono::seconds kBetweenTrials{1};

}  // namespace

void StateHealth::note(const Error& error) {
  if (error.code != ErrorCode::kDiskFull && error.code != ErrorCode::kStateFailed &&
      error.code != ErrorCode::kFileUnwritable)
    return;
  ++failures_;
  const std::lock_guard lock(mutex_);
  failed_ = error;
  tried_ = {};
}

Status StateHealth::try_write() const {
  const std::filesystem::path file = folder_ / "trial";
  TACIT_CHECK(write_file_atomic(file, Bytes(kTrialBytes, 0), true));
  return remove_durably(file);
}

std::optional<Error> StateHealth::trouble() {
  const auto room = space();
  if (!room.ok()) return room.error();
  if (room->read_only)
    return Error{ErrorCode::kStateFailed, folder_.string() + " is on a file system that is read-only"};
  if (room->free_bytes < kLeastFreeBytes)
    return Error{ErrorCode::kDiskFull, "the file system of " + folder_.string() + " has " +
                                           std::to_string(room->free_bytes) + " bytes left"};
  const std::lock_guard lock(mutex_);
  if (!failed_ || Clock::now() < tried_ + kBetweenTrials) return failed_;
  if (const Status written = try_write(); written.ok())
    failed_.reset();
  else
    failed_ = written.error();
  tried_ = Clock::now();
  return failed_;
}

Result<StateHealth::Space> StateHealth::space() const {
  struct statvfs found {};
  if (::statvfs(folder_.c_str(), &found) != 0)
    return Error{ErrorCode::kStateFailed, folder_.string() + ": " + errno_text()};
  return Space{std::uint64_t{found.f_bavail} * found.f_frsize, std::uint64_t{found.f_blocks} * found.f_frsize,
               (found.f_flag & ST_RDONLY) != 0};
}

}  // namespace tacit::server
