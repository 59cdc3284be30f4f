// SPDX-License-Identifier: Apache-2.0
// The audit log on disk: state/audit/0001.log and so on, one JSON object a line. Each line has in "previous" the BLAKE2b-256 of the line
// before it, over files, so that nothing in the middle can be changed, added or taken out unnoticed. Several processes may append: a lock
// on the folder's file `lock` makes them take turns.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/descriptor.h"
#include "base/digest.h"
#include "server/json.h"

namespace tacit::server {

inline constexpr std::uint64_t kAuditFileBytes = 16 << 20;

// {"time", "event"}: what every line begins with.
Json audit_event(std::string_view event);

class AuditFile {
 public:
  struct Limits {
    std::uint64_t file_bytes = kAuditFileBytes;  // a longer file is followed by a new one
    std::uint64_t keep_bytes = 0;                // the oldest files go where all have more; 0: none goes
  };
  // Makes the folder where there is none. kDiskFull, kFileUnwritable, kStateFailed.
  static Result<std::unique_ptr<AuditFile>> open(const std::filesystem::path& folder, const Limits& limits);

  // Adds a line for each event, all durable when it returns; where it fails (kDiskFull, kStateFailed) none is there. What a crash or
  // a power cut has left of the last lines is cut off first, and a line says so. May be called from several threads at once.
  Status append(std::span<const Json> events);

 private:
  AuditFile(std::filesystem::path folder, int lock, const Limits& limits)
      : folder_(std::move(folder)), limits_(limits), lock_(lock) {}
  Status catch_up();
  Status open_newest(std::uint64_t number);
  Status next_file();
  Status write(std::string_view text);
  Status prune();

  const std::filesystem::path folder_;
  const Limits limits_;
  std::mutex mutex_;
  const Descriptor lock_;
  std::unique_ptr<Descriptor> file_;  // the newest, where it was looked at
  std::uint64_t number_ = 0, size_ = 0;
  std::uint64_t cut_bytes_ = 0;  // of torn lines; not yet told
  Digest head_{};                // of the last line; zeros before the first
};

// The numbers of the folder's files, ascending. kStateFailed.
Result<std::vector<std::uint64_t>> audit_files(const std::filesystem::path& folder);
std::filesystem::path audit_file(const std::filesystem::path& folder, std::uint64_t number);

// Follows the chain through all files; answers the first line that is wrong, by file and number, and the first that was not
// written to its end. Nothing where there is no such folder. kStateFailed, kFileUnreadable.
Result<std::vector<std::string>> check_audit(const std::filesystem::path& folder);
// A copy of the whole lines at one moment. Nothing where there is no such folder. Errors of AuditFile.
Status copy_audit(const std::filesystem::path& folder, const std::filesystem::path& copy);

}  // namespace tacit::server
