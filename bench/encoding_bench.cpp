// SPDX-License-Identifier: Apache-2.0
// The parts of encoding at one ring degree on each instruction set that this machine has: the embedding of N/2 slots,
// the rounding of N coefficients, their reduction modulo one prime.
#include <cmath>

#include "base/aligned.h"
#include "ckks/embedding.h"
#include "ring/kernels/kernels.h"
#include "suite.h"

namespace tacit::bench {
namespace {

using ckks::Embedding;
using ckks::EncodingKernels;

struct EncodingData {
  EncodingData(const EncodingKernels& k, int log_degree)
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

}  // namespace

void register_encoding() {
  auto add_part = [](const char* name, const EncodingKernels* kernels, int log_degree, auto operation) {
    const std::string full = std::string(name) + "/" + kernels->name + "/" + std::to_string(log_degree);
    add(full, [=](benchmark::State& state) {
      EncodingData data(*kernels, log_degree);
      for (auto _ : state) {
        operation(data);
        benchmark::ClobberMemory();
      }
    })->Unit(benchmark::kMicrosecond);
  };
  for (const EncodingKernels* kernels : ckks::all_encoding_kernels()) {
    if (!kernels->available()) continue;
    for (int log_degree : {12, 13, 14, 15, 16}) {
      add_part("inverse_embedding", kernels, log_degree,
               [](EncodingData& d) { d.embedding.inverse(d.slots, d.coefficients, d.kernels); });
      // Not overwritten by ever larger numbers: the factor is 1.
      add_part("scale_and_round", kernels, log_degree, [](EncodingData& d) {
        benchmark::DoNotOptimize(d.kernels.scale_and_round(d.coefficients.data(), d.coefficients.size(), 1));
      });
      add_part("reduce", kernels, log_degree, [](EncodingData& d) {
        d.kernels.reduce(d.coefficients.data(), d.coefficients.size(), 1125899906826241, d.words.data());
      });
    }
  }
}

}  // namespace tacit::bench
