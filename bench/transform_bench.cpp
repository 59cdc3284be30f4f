// SPDX-License-Identifier: Apache-2.0
// The transforms of one limb, for every implementation that this machine has: at 40 bits, where the fastest ones need
// the fewest reductions, and at 49.
#include "ring/kernels/kernels.h"
#include "suite.h"

namespace tacit::bench {
namespace {

using ring::Kernels;
using ring::Modulus;
using ring::NttTable;
using ring::u64;

template <class Transform>
void run(benchmark::State& state, int log_degree, int bits, const Transform& transform) {
  const Modulus q(ring::ntt_primes(log_degree, bits, 1).at(0));
  const NttTable table(log_degree, q);
  AlignedVector<u64> limb = random_limb(table.degree(), q.value());
  // What turns the time into cycles.
  state.counters["clock_ghz"] = clock_ghz();
  for (auto _ : state) {
    transform(table, limb.data());
    benchmark::ClobberMemory();
  }
}

}  // namespace

void register_transforms() {
  for (const Kernels* kernels : ring::all_kernels()) {
    if (!kernels->available()) continue;
    for (int log_degree = 12; log_degree <= 16; ++log_degree) {
      for (int bits : {40, 49}) {
        const std::string suffix =
            std::to_string(bits) + "/" + kernels->name + "/" + std::to_string(log_degree);
        add("forward_ntt" + suffix, [=](benchmark::State& state) {
          run(state, log_degree, bits,
              [&](const NttTable& table, u64* limb) { kernels->forward_ntt(table, limb, limb); });
        })->Unit(benchmark::kMicrosecond);
        add("inverse_ntt" + suffix, [=](benchmark::State& state) {
          run(state, log_degree, bits, [&](const NttTable& table, u64* limb) {
            kernels->inverse_ntt(table, table.inverse_degree, nullptr, limb, limb);
          });
        })->Unit(benchmark::kMicrosecond);
      }
    }
  }
}

}  // namespace tacit::bench
