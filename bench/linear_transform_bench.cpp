// SPDX-License-Identifier: Apache-2.0
// Matrices times an encrypted vector: a small one at every ring degree, and one like a network's dense layer, on one
// thread and on two.
#include "ckks/linear_transform.h"

#include <tbb/global_control.h>

#include <map>
#include <optional>
#include <utility>

#include "settings.h"
#include "suite.h"

namespace tacit::bench {
namespace {

using ckks::LinearTransform;

// A dense matrix of random diagonals, whose time does not depend on their values, split into babies of this width.
LinearTransform make_transform(const Scheme& s, std::size_t size, std::size_t width) {
  LinearTransform::Diagonals diagonals{size, {}};
  std::size_t first = 0;
  for (std::size_t d = 0; d < size; ++d) {
    std::vector<double>& values = diagonals.values[d];
    for (std::size_t t = 0; t < size; ++t) values.push_back(s.values[first++ % s.values.size()]);
  }
  const LinearTransform::Domain domain{s.level(), s.parameters.special_count(), s.shape.digit_size,
                                       s.shape.digit_size};
  return unwrap(LinearTransform::create(s.encoder, diagonals, domain, s.scale, ckks::BsgsSplit{width}));
}

// With all keys that it takes; kept as the scheme is.
const LinearTransform& prepare(Scheme& scheme, std::size_t size, std::size_t width) {
  static std::map<std::pair<int, std::size_t>, LinearTransform> transforms;
  const std::pair name(scheme.parameters.log_degree(), size);
  auto found = transforms.find(name);
  if (found == transforms.end()) found = transforms.emplace(name, make_transform(scheme, size, width)).first;
  for (const ckks::KeyRequest& request : found->second.key_requests(scheme.parameters))
    scheme.need_key(request.element);
  unwrap(found->second.apply(scheme.evaluator, scheme.ciphertext, scheme.keys));
  return found->second;
}

void run(benchmark::State& state, const Setting& setting, std::size_t size, std::size_t width,
         std::size_t threads) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
  Scheme& scheme = Scheme::of(setting);
  const LinearTransform& transform = prepare(scheme, size, width);
  for (auto _ : state)
    benchmark::DoNotOptimize(transform.apply(scheme.evaluator, scheme.ciphertext, scheme.keys));
  // The model is of one thread.
  std::optional<std::size_t> streamed_bytes;
  if (threads == 1) {
    streamed_bytes =
        transform.key_requests(scheme.parameters).size() * scheme.key_bytes() + transform.memory_bytes();
  }
  count_work(state, transform.counts().ntt_limbs, streamed_bytes);
}

}  // namespace

void register_linear_transforms() {
  for (const Setting& setting : kSettings) {
    add("linear_transform16/" + std::to_string(setting.log_degree), [=](benchmark::State& state) {
      run(state, setting, 16, 4, 1);
    })->Unit(benchmark::kMillisecond);
    if (setting.log_degree != 13) continue;
    for (std::size_t threads : {1, 2}) {
      // Babies are the cheaper rotations, since they share their digits and are not divided.
      auto* dense_benchmark =
          add("linear_transform512_threads" + std::to_string(threads) + "/13", [=](benchmark::State& state) {
            run(state, setting, 512, 32, threads);
          })->Unit(benchmark::kMillisecond);
      // The processor time of one of two threads says nothing.
      if (threads > 1) dense_benchmark->UseRealTime();
    }
  }
}

}  // namespace tacit::bench
