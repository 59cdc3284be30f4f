// SPDX-License-Identifier: Apache-2.0
// One limb through each kernel, for every implementation that this machine has.
#include <benchmark/benchmark.h>

#include <random>

#include "ring/kernels/kernels.h"

namespace tacit::ring {
namespace {

AlignedVector<u64> random_limb(std::size_t n, u64 q) {
  std::mt19937_64 random(1);
  AlignedVector<u64> words(n);
  for (u64& word : words) word = random() % q;
  return words;
}

// Time for each butterfly, beside the time for the whole transform.
void count_butterflies(benchmark::State& state, int log_degree) {
  const double butterflies =
      static_cast<double>(log_degree) * static_cast<double>(std::size_t{1} << (log_degree - 1));
  state.counters["ns_per_butterfly"] = benchmark::Counter(
      butterflies * 1e-9, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void forward_ntt(benchmark::State& state, const Kernels& kernels, int log_degree) {
  const Modulus q(ntt_primes(log_degree, 49, 1).at(0));
  const NttTable table(log_degree, q);
  AlignedVector<u64> limb = random_limb(table.degree(), q.value());
  for (auto _ : state) {
    kernels.forward_ntt(table, limb.data(), limb.data());
    benchmark::ClobberMemory();
  }
  count_butterflies(state, log_degree);
}

void inverse_ntt(benchmark::State& state, const Kernels& kernels, int log_degree) {
  const Modulus q(ntt_primes(log_degree, 49, 1).at(0));
  const NttTable table(log_degree, q);
  AlignedVector<u64> limb = random_limb(table.degree(), q.value());
  for (auto _ : state) {
    kernels.inverse_ntt(table, table.inverse_degree, nullptr, limb.data(), limb.data());
    benchmark::ClobberMemory();
  }
  count_butterflies(state, log_degree);
}

void multiply(benchmark::State& state, const Kernels& kernels, int log_degree) {
  const std::size_t n = std::size_t{1} << log_degree;
  const Modulus q(ntt_primes(log_degree, 49, 1).at(0));
  const AlignedVector<u64> a = random_limb(n, q.value()), b = random_limb(n, q.value());
  AlignedVector<u64> out(n);
  for (auto _ : state) {
    kernels.multiply(q, out.data(), a.data(), b.data(), n);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * 3 * n * sizeof(u64)));
}

// Eight digits, as in a key switch, with constants of the given size.
void key_product(benchmark::State& state, const Kernels& kernels, int log_degree, int bits) {
  constexpr std::size_t kTerms = 8;
  const std::size_t n = std::size_t{1} << log_degree;
  const Modulus q(ntt_primes(log_degree, bits, 1).at(0));
  std::vector<AlignedVector<u64>> words;
  std::vector<const u64*> x;
  Constants key(n, {q, q}, kTerms);
  words.reserve(kTerms);
  x.reserve(kTerms);
  for (std::size_t j = 0; j < kTerms; ++j) words.push_back(random_limb(n, q.value()));
  for (const auto& limb : words) x.push_back(limb.data());
  for (std::size_t j = 0; j < 2 * kTerms; ++j) key.store(j % 2, j / 2, random_limb(n, q.value()).data());
  const Automorphism automorphism(log_degree, 3);
  AlignedVector<u64> out0(n), out1(n);
  for (auto _ : state) {
    kernels.key_product(
        q, {x.data(), key.limb(0), key.limb(1), kTerms, &automorphism, out0.data(), out1.data(), false}, n);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(
      static_cast<std::int64_t>(state.iterations() * (kTerms * n * sizeof(u64) + key.memory_bytes())));
}

void keystream(benchmark::State& state, const Kernels& kernels, int log_degree) {
  const std::uint8_t key[32] = {};
  AlignedVector<std::uint8_t> bytes(std::size_t{8} << log_degree);
  for (auto _ : state) {
    kernels.keystream(key, 0, bytes.data(), bytes.size() / 64);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes.size()));
}

const bool registered = [] {
  for (const Kernels* kernels : all_kernels()) {
    if (!kernels->available()) continue;
    for (int log_degree = 12; log_degree <= 16; ++log_degree) {
      auto add = [&](const char* name, auto function) {
        const std::string full = std::string(name) + "/" + kernels->name + "/" + std::to_string(log_degree);
        benchmark::RegisterBenchmark(full.c_str(), function, *kernels, log_degree)
            ->Unit(benchmark::kMicrosecond);
      };
      add("forward_ntt", forward_ntt);
      add("inverse_ntt", inverse_ntt);
      add("multiply", multiply);
      add("key_product8_wide", [](auto& state, const Kernels& k, int n) { key_product(state, k, n, 49); });
      add("key_product8_narrow", [](auto& state, const Kernels& k, int n) { key_product(state, k, n, 27); });
      add("keystream", keystream);
    }
  }
  return true;
}();

}  // namespace
}  // namespace tacit::ring
