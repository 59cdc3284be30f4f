// SPDX-License-Identifier: Apache-2.0
#include "compiler/result_noise.h"

#include <cmath>
#include <map>

#include "runtime/noise.h"

namespace tacit::compiler {

namespace {

constexpr std::uint64_t kSeed = 2;

}  // namespace

Status measure_result_noise(plan::Package& package, std::span<const graph::Tensor> images) {
  struct Seen {
    std::vector<double> exact;
    double squares = 0;
    std::size_t count = 0;
  };
  std::map<plan::ValueId, Seen> results;
  for (const plan::Stage& stage : plan::stages_of(package.plan))
    for (plan::ValueId id : stage.outputs) results[id];

  runtime::ClearArithmetic clear(package.plan);
  TACIT_TRY(runtime::NoiseArithmetic noisy, runtime::NoiseArithmetic::create(clear, kSeed));
  for (const graph::Tensor& image : images) {
    const auto keep = [&](plan::ValueId id, const runtime::ClearVector& v) {
      if (const auto seen = results.find(id); seen != results.end()) seen->second.exact = v.slots;
    };
    const auto compare = [&](plan::ValueId id, const runtime::ClearVector& v) {
      const auto found = results.find(id);
      if (found == results.end()) return;
      Seen& seen = found->second;
      for (std::size_t i = 0; i < v.slots.size(); ++i) {
        const double error = v.slots[i] - seen.exact[i];
        seen.squares += error * error;
      }
      seen.count += v.slots.size();
    };
    TACIT_CHECK(runtime::simulate(package.client, clear, image.data, keep));
    TACIT_CHECK(runtime::simulate(package.client, noisy, image.data, compare));
  }
  for (const auto& [id, seen] : results)
    if (seen.count > 0)
      package.plan.values[id].noise = std::sqrt(seen.squares / static_cast<double>(seen.count));
  return {};
}

}  // namespace tacit::compiler
