// SPDX-License-Identifier: Apache-2.0
// The benchmark program: its arguments are Google Benchmark's; its JSON says what it ran on.
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <iostream>

#include "ring/kernels/kernels.h"
#include "settings.h"
#include "suite.h"

namespace tacit::bench {
namespace {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

void add_context() {
  benchmark::AddCustomContext("processor", processor_name());
  const auto bytes =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  benchmark::AddCustomContext("memory_gib", std::to_string(std::lround(bytes / 0x1p30)));
  benchmark::AddCustomContext("compiler",
#if defined(__clang__)
                              "Clang " __clang_version__
#else
                              "GCC " __VERSION__
#endif
  );
  benchmark::AddCustomContext("kernels", ring::kernels().name);
  for (const Setting& setting : kSettings) {
    benchmark::AddCustomContext("parameters_" + std::to_string(setting.log_degree), describe(setting));
  }
}

int run(int argc, char** argv) {
  if (const Status choice = ring::check_kernel_choice(); !choice.ok()) {
    std::cerr << choice.error().to_line() << "\n";
    return 1;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  add_context();
  register_machine();
  register_transforms();
  register_kernels();
  register_encoding();
  register_operations();
  register_linear_transforms();
  register_scalar_matrices();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace tacit::bench

int main(int argc, char** argv) { return tacit::bench::run(argc, argv); }
