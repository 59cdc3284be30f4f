// SPDX-License-Identifier: Apache-2.0
#include "stage.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "file_bundle.h"

namespace tacit::fhe_benchmark {

int finish_stage(std::string_view name, const Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s: %s\n", std::string(name).c_str(), status.error().to_line().c_str());
  return 1;
}

int run_stage(std::string_view name, int argc, char** argv, Status (*stage)(const Instance&)) {
  const auto run = [&]() -> Status {
    if (argc != 2) return Error{ErrorCode::kInvalidArgument, "give the size, 0 to 3, and nothing else"};
    TACIT_TRY(const Instance instance, Instance::create(argv[1], "."));
    return stage(instance);
  };
  return finish_stage(name, run());
}

Result<plan::Package> read_model(const std::filesystem::path& path) {
  TACIT_TRY(const MappedFile file, MappedFile::open(path));
  auto package = plan::read_package(file.bytes());
  if (!package.ok()) return std::move(package).error().within(path.string());
  const std::vector<plan::Request> requests = package->client.requests();
  if (requests.size() != 1 || requests[0].inputs.size() != 1 || requests[0].outputs.size() != 1)
    return Error{ErrorCode::kInvalidArgument,
                 path.string() + " is a model of several requests; compile it without client steps"};
  return package;
}

void Steps::add(std::string_view name, double seconds) {
  const auto found = std::ranges::find(steps_, name, &std::pair<std::string, double>::first);
  if (found == steps_.end())
    steps_.emplace_back(name, seconds);
  else
    found->second += seconds;
}

double Steps::lap() {
  const Clock::time_point now = Clock::now();
  return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
}

void Steps::say() const {
  for (const auto& [name, seconds] : steps_)
    std::printf("         [tacit] %s: %.4f s\n", name.c_str(), seconds);
}

std::string Steps::to_json() const {
  nlohmann::ordered_json page;
  for (const auto& [name, seconds] : steps_) page[name] = seconds;
  page["Total"] = std::chrono::duration<double>(Clock::now() - start_).count();
  return page.dump(2) + "\n";
}

}  // namespace tacit::fhe_benchmark
