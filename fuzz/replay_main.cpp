// SPDX-License-Identifier: Apache-2.0
// Runs files through a target without libFuzzer, so that what was found once is a test in every build.
//
//   fuzz_replay TARGET FILE_OR_FOLDER ...     a folder's files in the order of their names
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "base/file.h"
#include "target.h"

namespace {

std::vector<std::filesystem::path> files_of(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return {path};
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

}  // namespace

int main(int count, char** arguments) {
  const auto& targets = tacit::fuzz::targets();
  const auto target = count < 3 ? targets.end() : targets.find(arguments[1]);
  if (target == targets.end()) {
    std::fprintf(stderr, "usage: fuzz_replay TARGET FILE_OR_FOLDER ...; the targets:\n");
    for (const auto& [name, entry] : targets) std::fprintf(stderr, "  %s\n", name.c_str());
    return 2;
  }
  std::size_t done = 0;
  target->second({});
  for (int i = 2; i < count; ++i) {
    for (const std::filesystem::path& file : files_of(arguments[i])) {
      const auto bytes = tacit::read_file(file, std::uint64_t{1} << 26);
      if (!bytes.ok()) {
        std::fprintf(stderr, "%s\n", bytes.error().to_line().c_str());
        return 1;
      }
      std::fprintf(stderr, "%s\n", file.c_str());  // the last one is what it stopped at
      target->second(*bytes);
      ++done;
    }
  }
  std::printf("%s: %zu files\n", target->first.c_str(), done);
  return done > 0 ? 0 : 1;
}
