// SPDX-License-Identifier: Apache-2.0
#include "instance.h"

#include <array>
#include <string>

namespace tacit::fhe_benchmark {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 4> kNames = {"single", "small", "medium", "large"};

fs::path beside_executable(std::string_view file) {
  std::error_code ignored;
  return fs::read_symlink("/proc/self/exe", ignored).parent_path() / file;
}

fs::path set_file(const fs::path& folder, std::size_t set) {
  return folder / ("set-" + std::to_string(set) + ".bin");
}

Status made(const fs::path& path, const std::error_code& error) {
  if (!error) return {};
  return Error{ErrorCode::kFileUnwritable,
               "the folder " + path.string() + " cannot be made: " + error.message()};
}

}  // namespace

Result<Instance> Instance::create(std::string_view size, const fs::path& root) {
  if (size.size() != 1 || size[0] < '0' || size[0] > '3')
    return Error{
        ErrorCode::kInvalidArgument,
        "the size must be 0 (single), 1 (small), 2 (medium) or 3 (large), not \"" + std::string(size) + "\""};
  Instance instance;
  instance.name_ = kNames[static_cast<std::size_t>(size[0] - '0')];
  instance.io_ = root / "io" / instance.name_;
  instance.datasets_ = root / "datasets" / instance.name_;
  instance.package_ = size[0] == '0' ? latency_package() : throughput_package();
  return instance;
}

fs::path Instance::upload_set(std::size_t set) const { return set_file(upload(), set); }
fs::path Instance::download_set(std::size_t set) const { return set_file(download(), set); }

fs::path latency_package() { return beside_executable("mnist-latency.tacit"); }
fs::path throughput_package() { return beside_executable("mnist-throughput.tacit"); }

Status make_empty_folder(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return made(path, error);
  return make_folder(path);
}

Status make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return made(path, error);
}

}  // namespace tacit::fhe_benchmark
