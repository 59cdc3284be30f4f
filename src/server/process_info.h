// SPDX-License-Identifier: Apache-2.0
// What this process takes from the system, from /proc.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace tacit::server {

// 0 where the system does not tell.
struct ProcessInfo {
  std::uint64_t resident_bytes = 0, virtual_bytes = 0;
  double cpu_seconds = 0;  // of all threads
  std::uint64_t open_descriptors = 0, max_descriptors = 0;
  double start_time = 0;  // seconds since 1970
};
ProcessInfo read_process_info();

// The least memory limit of the control groups that the process is in, its own and all above it (cgroups(7), version 2), in bytes;
// nothing where none has one. `membership` is /proc/self/cgroup, `root` where the groups are mounted.
std::optional<std::uint64_t> control_group_limit(const std::filesystem::path& membership,
                                                 const std::filesystem::path& root);
// Bytes that this process may use: of the machine, or of its control groups.
std::uint64_t memory_there_is();

}  // namespace tacit::server
