// SPDX-License-Identifier: Apache-2.0
// Matrices times an encrypted vector: a small one at every ring degree, and one like a network's dense layer, on one
// thread and on two.
#include "ckks/linear_transform.h"

#include <tbb/global_control.h>

#include <map>
#include <optional>
#include <tuple>

#include "settings.h"
#include "suite.h"

namespace tacit::bench {
namespace {

using ckks::LinearTransform;

// babies x giants diagonals, as many as the vector's period: no diagonal is left out.
struct Split {
  std::int64_t babies, giants;
};

// Random diagonals; their time does not depend on their values.
LinearTransform make_transform(const Scheme& s, const Split& split) {
  const auto period = static_cast<std::size_t>(split.babies * split.giants);
  std::vector<LinearTransform::Group> groups;
  std::size_t first = 0;
  for (std::int64_t giant = 0; giant < split.giants; ++giant) {
    LinearTransform::Group& group = groups.emplace_back();
    group.giant = giant * split.babies;
    for (std::int64_t baby = 0; baby < split.babies; ++baby) {
      std::vector<double> diagonal(period);
      for (double& value : diagonal) value = s.values[first++ % s.values.size()];
      group.terms.push_back({baby, std::move(diagonal)});
    }
  }
  return unwrap(
      LinearTransform::create(s.encoder, groups, {s.level(), s.parameters.special_count()}, s.scale));
}

// Whatever apply() takes: the keys, and the transform, which is kept as the scheme is.
const LinearTransform& prepare(Scheme& scheme, const Split& split) {
  for (std::int64_t baby = 1; baby < split.babies; ++baby) scheme.need_rotation(baby);
  for (std::int64_t giant = 1; giant < split.giants; ++giant) scheme.need_rotation(giant * split.babies);
  static std::map<std::tuple<int, std::int64_t, std::int64_t>, LinearTransform> transforms;
  const std::tuple name(scheme.parameters.log_degree(), split.babies, split.giants);
  auto found = transforms.find(name);
  if (found == transforms.end()) found = transforms.emplace(name, make_transform(scheme, split)).first;
  unwrap(found->second.apply(scheme.evaluator, scheme.ciphertext, scheme.keys));
  return found->second;
}

void run(benchmark::State& state, const Setting& setting, const Split& split, std::size_t threads) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
  Scheme& scheme = Scheme::of(setting);
  const LinearTransform& transform = prepare(scheme, split);
  for (auto _ : state)
    benchmark::DoNotOptimize(transform.apply(scheme.evaluator, scheme.ciphertext, scheme.keys));
  const auto babies = static_cast<std::size_t>(split.babies - 1);
  const auto giants = static_cast<std::size_t>(split.giants - 1);
  // The digits once for all babies; for each giant, half a division and a key switch without one; a division at the end.
  const std::size_t transforms = scheme.digit_transforms() +
                                 giants * (scheme.division_transforms() / 2 + scheme.digit_transforms()) +
                                 scheme.division_transforms();
  // The model is of one thread.
  std::optional<std::size_t> streamed_bytes;
  if (threads == 1) streamed_bytes = (babies + giants) * scheme.key_bytes() + transform.memory_bytes();
  count_work(state, transforms, streamed_bytes);
}

}  // namespace

void register_linear_transforms() {
  for (const Setting& setting : kSettings) {
    const Split split{4, 4};
    add("linear_transform16/" + std::to_string(setting.log_degree), [=](benchmark::State& state) {
      run(state, setting, split, 1);
    })->Unit(benchmark::kMillisecond);
    if (setting.log_degree != 13) continue;
    // Babies are the cheaper rotations, since they share their digits and are not divided.
    const Split dense{32, 16};
    for (std::size_t threads : {1, 2}) {
      auto* dense_benchmark =
          add("linear_transform512_threads" + std::to_string(threads) + "/13", [=](benchmark::State& state) {
            run(state, setting, dense, threads);
          })->Unit(benchmark::kMillisecond);
      // The processor time of one of two threads says nothing.
      if (threads > 1) dense_benchmark->UseRealTime();
    }
  }
}

}  // namespace tacit::bench
