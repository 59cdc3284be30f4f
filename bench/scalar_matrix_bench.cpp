// SPDX-License-Identifier: Apache-2.0
// Matrices of numbers times ciphertexts: the kernel alone, for primes of each kind, and the layers of the network of
// CryptoNets (Gilad-Bachrach et al. 2016) on as many images as a ciphertext has slots, on one thread and on two.
#include "ckks/scalar_matrix.h"

#include <tbb/global_control.h>

#include <cmath>

#include "settings.h"
#include "suite.h"

namespace tacit::bench {
namespace {

using ckks::ScalarMatrix;
using ring::Kernels;
using ring::Modulus;
using ring::ScalarProduct;
using ring::u64;

// Multiply-adds of residues, and what turns the time into cycles.
void count_products(benchmark::State& state, std::size_t products) {
  state.counters["multiply_adds"] = static_cast<double>(products);
  state.counters["clock_ghz"] = clock_ghz();
}

// A dense matrix on a tile, weights of up to `weight_bits`.
void run_kernel(benchmark::State& state, const Kernels& kernels, int bits) {
  constexpr std::uint32_t kInputs = 845, kBlocks = 16, kOutputs = kBlocks * ScalarProduct::kMaxOutputs;
  constexpr int kWeightBits = 25;
  const std::size_t n = 8192;
  const Modulus q(ring::ntt_primes(13, bits, 1, true).at(0));
  const std::size_t tile = ScalarProduct::tile(q, kInputs, n);
  std::mt19937_64 random(1);
  std::vector<AlignedVector<u64>> in(kInputs, random_limb(tile, q.value())), out(kOutputs, in[0]);
  std::vector<const u64*> x;
  std::vector<u64*> to;
  x.reserve(in.size());
  to.reserve(out.size());
  for (const auto& words : in) x.push_back(words.data());
  for (auto& words : out) to.push_back(words.data());
  const std::vector<ScalarProduct::Block> blocks(kBlocks, {ScalarProduct::kMaxOutputs, kInputs});
  std::vector<std::uint32_t> input;
  std::vector<std::int64_t> weights;
  for (std::uint32_t j = 0; j < kBlocks * kInputs; ++j) input.push_back(j % kInputs);
  for (std::uint32_t j = 0; j < kOutputs * kInputs; ++j)
    weights.push_back(static_cast<std::int64_t>(random() >> (64 - kWeightBits)));
  AlignedVector<u64> scratch(ScalarProduct::scratch_words(kInputs, tile));
  for (auto _ : state) {
    kernels.scalar_product(q,
                           {blocks, input.data(), weights.data(), u64{ScalarProduct::kWindow} << kWeightBits,
                            nullptr, x.data(), kInputs, to.data(), scratch.data()},
                           tile);
    benchmark::ClobberMemory();
  }
  count_products(state, std::size_t{kOutputs} * kInputs * tile);
}

// q_0 of 31 bits and five primes of 27: four squares and linear layers at 2^13.
const Setting kSetting{13, 31, 27, 5, 1, 45, 1};

double weight(std::mt19937_64& random, std::size_t inputs) {
  return std::normal_distribution<double>(0, 1 / std::sqrt(static_cast<double>(inputs)))(random);
}

// 5 channels of 5 × 5 windows, two pixels apart, on 28 × 28 pixels padded by one above and on the left.
std::vector<ScalarMatrix::Row> convolution(std::mt19937_64& random) {
  constexpr int kChannels = 5, kSide = 13, kWindow = 5, kStride = 2, kPixels = 28;
  std::vector<ScalarMatrix::Row> rows;
  for (int channel = 0; channel < kChannels; ++channel) {
    for (int place = 0; place < kSide * kSide; ++place) {
      ScalarMatrix::Row& row = rows.emplace_back();
      for (int tap = 0; tap < kWindow * kWindow; ++tap) {
        const int y = place / kSide * kStride + tap / kWindow - 1,
                  x = place % kSide * kStride + tap % kWindow - 1;
        if (y >= 0 && x >= 0 && y < kPixels && x < kPixels)
          row.push_back(
              {static_cast<std::uint32_t>(y * kPixels + x), weight(random, std::size_t{kWindow} * kWindow)});
      }
    }
  }
  return rows;
}

std::vector<ScalarMatrix::Row> dense(std::size_t outputs, std::size_t inputs, std::mt19937_64& random) {
  std::vector<ScalarMatrix::Row> rows(outputs);
  for (ScalarMatrix::Row& row : rows)
    for (std::uint32_t i = 0; i < inputs; ++i) row.push_back({i, weight(random, inputs)});
  return rows;
}

struct Layer {
  const char* name;
  std::size_t inputs;
  int level;
  std::vector<ScalarMatrix::Row> (*make)(std::mt19937_64&);
};
constexpr Layer kLayers[] = {
    {"convolution_845x25", 784, 5, convolution},
    {"dense_100x845", 845, 3, [](std::mt19937_64& random) { return dense(100, 845, random); }},
    {"dense_10x100", 100, 1, [](std::mt19937_64& random) { return dense(10, 100, random); }}};

void run_layer(benchmark::State& state, const Layer& layer, std::size_t threads) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
  static const Scheme scheme(kSetting);
  std::mt19937_64 random(1);
  const auto rows = layer.make(random);
  const auto matrix =
      unwrap(ScalarMatrix::create(scheme.parameters, layer.inputs, rows, std::vector<double>(rows.size()),
                                  {layer.level, scheme.scale, scheme.scale}));
  const ckks::Ciphertext input = unwrap(scheme.evaluator.drop(scheme.ciphertext, layer.level));
  const std::vector<ckks::Ciphertext> inputs(layer.inputs, input);
  // Once before, too: the first run finds no memory in the pool.
  unwrap(matrix.apply(scheme.evaluator, inputs));
  for (auto _ : state) benchmark::DoNotOptimize(matrix.apply(scheme.evaluator, inputs));
  std::size_t products = 0;
  for (const ScalarMatrix::Row& row : rows) products += row.size();
  const auto limbs = static_cast<std::size_t>(layer.level) + 1;
  count_products(state, products * 2 * limbs * scheme.parameters.degree());
}

}  // namespace

void register_scalar_matrices() {
  for (const Kernels* kernels : ring::all_kernels()) {
    if (!kernels->available()) continue;
    for (int bits : {27, 31, 40, 50}) {
      add("scalar_product/" + std::string(kernels->name) + "/" + std::to_string(bits),
          [=](benchmark::State& state) { run_kernel(state, *kernels, bits); })
          ->Unit(benchmark::kMicrosecond);
    }
  }
  for (const Layer& layer : kLayers) {
    for (std::size_t threads : {1, 2}) {
      add(std::string(layer.name) + "_threads" + std::to_string(threads) + "/13",
          [=](benchmark::State& state) { run_layer(state, layer, threads); })
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    }
  }
}

}  // namespace tacit::bench
