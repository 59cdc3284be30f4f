// SPDX-License-Identifier: Apache-2.0
// The parts of encoding at one ring degree on each instruction set that this machine has: the embedding of N/2 slots,
// the rounding of N coefficients, their reduction modulo one prime.
#include <benchmark/benchmark.h>

#include <cmath>

#include "base/aligned.h"
#include "ckks/embedding.h"
#include "ring/kernels/kernels.h"

namespace tacit::ckks {
namespace {

struct Bench {
  Bench(const EncodingKernels& k, int log_degree)
      : kernels(k),
        embedding(std::size_t{1} << (log_degree - 1)),
        slots(embedding.points()),
        coefficients(2 * embedding.points()),
        words(2 * embedding.points()) {
    for (std::size_t i = 0; i < slots.size(); ++i) slots[i] = std::sin(static_cast<double>(i));
    for (std::size_t i = 0; i < coefficients.size(); ++i) coefficients[i] = slots[i / 2];
  }

  const EncodingKernels& kernels;
  const Embedding embedding;
  AlignedVector<double> slots, coefficients;
  AlignedVector<std::uint64_t> words;
};

const bool registered = [] {
  auto add = [](const char* name, const EncodingKernels* kernels, int log_degree, auto operation) {
    const std::string full = std::string(name) + "/" + kernels->name + "/" + std::to_string(log_degree);
    benchmark::RegisterBenchmark(full.c_str(), [=](benchmark::State& state) {
      Bench bench(*kernels, log_degree);
      for (auto _ : state) {
        operation(bench);
        benchmark::ClobberMemory();
      }
    })->Unit(benchmark::kMicrosecond);
  };
  for (const EncodingKernels* kernels : all_encoding_kernels()) {
    if (!kernels->available()) continue;
    for (int log_degree : {13, 14, 15}) {
      add("inverse_embedding", kernels, log_degree,
          [](Bench& b) { b.embedding.inverse(b.slots, b.coefficients, b.kernels); });
      // Not overwritten by ever larger numbers: the factor is 1.
      add("scale_and_round", kernels, log_degree, [](Bench& b) {
        benchmark::DoNotOptimize(b.kernels.scale_and_round(b.coefficients.data(), b.coefficients.size(), 1));
      });
      add("reduce", kernels, log_degree, [](Bench& b) {
        b.kernels.reduce(b.coefficients.data(), b.coefficients.size(), 1125899906826241, b.words.data());
      });
    }
  }
  return true;
}();

}  // namespace
}  // namespace tacit::ckks
