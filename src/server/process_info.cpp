// SPDX-License-Identifier: Apache-2.0
#include "server/process_info.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "server/http_types.h"

namespace tacit::server {
namespace {

constexpr std::uint64_t kMaxFileBytes = 1 << 16;

// The fields of /proc/self/stat from the third on (proc(5)): the second may have blanks and ends with the last bracket.
std::vector<double> stat_fields() {
  std::vector<double> fields;
  const auto bytes = read_file("/proc/self/stat", kMaxFileBytes);
  if (!bytes.ok()) return fields;
  const std::string text(as_text(*bytes));
  std::istringstream rest(text.substr(std::min(text.rfind(')') + 1, text.size())));
  std::string field;
  while (rest >> field) fields.push_back(std::strtod(field.c_str(), nullptr));
  return fields;
}

// Seconds since 1970 at which the system was started.
double boot_time() {
  const auto bytes = read_file("/proc/stat", std::uint64_t{1} << 24);
  if (!bytes.ok()) return 0;
  constexpr std::string_view kName = "\nbtime ";
  const std::string text(as_text(*bytes));
  const std::size_t at = text.find(kName);
  return at == std::string::npos ? 0 : std::strtod(text.c_str() + at + kName.size(), nullptr);
}

}  // namespace

ProcessInfo read_process_info() {
  ProcessInfo info;
  // Numbers of proc(5), counted from the third field.
  constexpr std::size_t kStart = 22 - 3, kVirtual = 23 - 3, kResident = 24 - 3;
  const double ticks = static_cast<double>(std::max(::sysconf(_SC_CLK_TCK), 1L));
  if (const std::vector<double> fields = stat_fields(); fields.size() > kResident) {
    info.virtual_bytes = static_cast<std::uint64_t>(fields[kVirtual]);
    info.resident_bytes = static_cast<std::uint64_t>(fields[kResident]) *
                          static_cast<std::uint64_t>(std::max(::sysconf(_SC_PAGESIZE), 1L));
    info.start_time = boot_time() + fields[kStart] / ticks;
  }
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) {
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    };
    info.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }
  std::error_code failure;
  std::filesystem::directory_iterator entry("/proc/self/fd", failure), end;
  for (; !failure && entry != end; entry.increment(failure)) ++info.open_descriptors;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) info.max_descriptors = limit.rlim_cur;
  return info;
}

std::optional<std::uint64_t> control_group_limit(const std::filesystem::path& membership,
                                                 const std::filesystem::path& root) {
  const auto lines = read_file(membership, kMaxFileBytes);
  if (!lines.ok()) return std::nullopt;
  // Version 2 has one line: "0::/system.slice/tacitd.service".
  constexpr std::string_view kName = "0::/";
  const std::string text(as_text(*lines));
  const std::size_t at = text.starts_with(kName) ? 0 : text.find("\n" + std::string(kName));
  if (at == std::string::npos) return std::nullopt;
  const std::size_t start = text.find(kName, at) + kName.size();
  std::filesystem::path group = root / text.substr(start, text.find('\n', start) - start);
  std::optional<std::uint64_t> least;
  for (;; group = group.parent_path()) {
    if (const auto bytes = read_file(group / "memory.max", 64); bytes.ok()) {
      std::string_view number = as_text(*bytes);
      while (number.ends_with('\n')) number.remove_suffix(1);
      // "max" stands for none.
      if (const auto limit = parse_number(number); limit && (!least || *limit < *least)) least = *limit;
    }
    if (group == root || group == group.parent_path()) return least;
  }
}

std::uint64_t memory_there_is() {
  const std::uint64_t machine = static_cast<std::uint64_t>(std::max(::sysconf(_SC_PHYS_PAGES), 1L)) *
                                static_cast<std::uint64_t>(std::max(::sysconf(_SC_PAGESIZE), 1L));
  return std::min(machine, control_group_limit("/proc/self/cgroup", "/sys/fs/cgroup").value_or(machine));
}

}  // namespace tacit::server
