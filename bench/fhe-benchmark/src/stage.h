// SPDX-License-Identifier: Apache-2.0
// What all stages share: how they start, how they fail, and how they tell what took how long.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "instance.h"
#include "plan/package.h"

namespace tacit::fhe_benchmark {

// The main function of a stage that is called with the size. An error is one line on standard error and exit code 1.
int run_stage(std::string_view name, int argc, char** argv, Status (*stage)(const Instance&));
// The exit code for `status`, its error printed.
int finish_stage(std::string_view name, const Status& status);

// The whole package. argument.invalid for a model that takes more than one request, which the suite has no stages for.
Result<plan::Package> read_model(const std::filesystem::path& path);

// Seconds of named steps, in order.
class Steps {
 public:
  // Ends a step: it took the time since the last one ended, or since the construction.
  void done(std::string_view name) { add(name, lap()); }
  // Adds to the step of this name.
  void add(std::string_view name, double seconds);
  // Seconds since the last call, or since the construction.
  double lap();

  // A line for each step on standard output.
  void say() const;
  // The steps and "Total", the time since the construction, as the suite's server_reported_steps.json wants them.
  std::string to_json() const;

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now(), last_ = start_;
  std::vector<std::pair<std::string, double>> steps_;
};

}  // namespace tacit::fhe_benchmark
