// SPDX-License-Identifier: Apache-2.0
// What the benchmark files share. tools/bench_table reads names and counters from the JSON that they end up in.
#pragma once

#include <benchmark/benchmark.h>

#include <optional>
#include <random>
#include <string>
#include <utility>

#include "base/aligned.h"
#include "ring/modulus.h"

namespace tacit::bench {

// Each adds its benchmarks, in the order in which they run.
void register_machine();
void register_transforms();
void register_kernels();
void register_encoding();
void register_operations();
void register_linear_transforms();
void register_scalar_matrices();

// The processor's clock frequency now, in GHz, from a chain of additions that each take a cycle: the time stamp counter
// runs at another one.
double clock_ghz();

template <class Function>
benchmark::internal::Benchmark* add(const std::string& name, Function function) {
  return benchmark::RegisterBenchmark(name.c_str(), std::move(function));
}

// Bytes that each iteration reads and writes.
inline void count_bytes(benchmark::State& state, std::size_t bytes) {
  state.counters["bytes"] = static_cast<double>(bytes);
}

// Transforms of one limb, and bytes of keys and constants read, if the model of docs/performance.md makes a limit of both.
inline void count_work(benchmark::State& state, std::size_t transforms,
                       std::optional<std::size_t> streamed_bytes) {
  state.counters["transforms"] = static_cast<double>(transforms);
  if (streamed_bytes) state.counters["streamed_bytes"] = static_cast<double>(*streamed_bytes);
}

// n residues modulo q, the same in every run.
inline AlignedVector<ring::u64> random_limb(std::size_t n, ring::u64 q) {
  std::mt19937_64 random(1);
  AlignedVector<ring::u64> words(n);
  for (ring::u64& word : words) word = random() % q;
  return words;
}

}  // namespace tacit::bench
