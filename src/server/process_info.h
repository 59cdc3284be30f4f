// SPDX-License-Identifier: Apache-2.0
// What this process takes from the system, from /proc.
#pragma once

#include <cstdint>

namespace tacit::server {

// 0 where the system does not tell.
struct ProcessInfo {
  std::uint64_t resident_bytes = 0, virtual_bytes = 0;
  double cpu_seconds = 0;  // of all threads
  std::uint64_t open_descriptors = 0, max_descriptors = 0;
  double start_time = 0;  // seconds since 1970
};
ProcessInfo read_process_info();

}  // namespace tacit::server
