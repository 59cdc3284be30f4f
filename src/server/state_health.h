// SPDX-License-Identifier: Apache-2.0
// Whether the state folder takes what has to be written: a server that cannot write is not ready, whatever else works.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <optional>

#include "base/result.h"

namespace tacit::server {

// All functions may be called from several threads at once.
class StateHealth {
 public:
  explicit StateHealth(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Remembers a write that failed (kDiskFull, kStateFailed, kFileUnwritable) until one succeeds; other errors are nothing to it.
  void note(const Error& error);
  std::uint64_t failures() const { return failures_; }

  // What keeps the server from writing now. Where a write has failed it tries one, at most once a second. May wait for the disk.
  std::optional<Error> trouble();

  struct Space {
    std::uint64_t free_bytes = 0, bytes = 0;  // of the file system, as far as this user may have them
    bool read_only = false;
  };
  // kStateFailed.
  Result<Space> space() const;

 private:
  using Clock = std::chrono::steady_clock;
  Status try_write() const;

  const std::filesystem::path folder_;
  std::atomic<std::uint64_t> failures_ = 0;
  std::mutex mutex_;
  std::optional<Error> failed_;
  Clock::time_point tried_{};
};

}  // namespace tacit::server
