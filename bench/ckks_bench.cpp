// SPDX-License-Identifier: Apache-2.0
// Operations on ciphertexts at the three parameter sets that SEAL and OpenFHE are compared at, on one thread.
#include <benchmark/benchmark.h>
#include <tbb/global_control.h>

#include <cstdlib>
#include <iostream>

#include "ckks/evaluator.h"
#include "secret/keygen.h"

namespace tacit::ckks {
namespace {

template <class T>
T unwrap(Result<T> result) {
  if (!result.ok()) {
    std::cerr << result.error().to_line() << "\n";
    std::exit(1);
  }
  return std::move(result).value();
}

struct Setting {
  int log_degree, base_bits, scale_bits, levels, special_bits;
};
constexpr Setting kSettings[] = {{13, 38, 26, 5, 40}, {14, 50, 40, 7, 49}, {15, 49, 40, 17, 50}};

struct Bench {
  explicit Bench(const Setting& s)
      : parameters(make(s)),
        key(unwrap(secret::SecretKey::generate(s.log_degree))),
        holder(unwrap(secret::KeyHolder::create(parameters, key))),
        encoder(parameters),
        evaluator(parameters) {
    const KeyShape shape{parameters.max_level(), 1, 1};
    keys.insert(unwrap(holder.make_key({kRelinearisation, shape})));
    for (int step : {1, 2}) keys.insert(unwrap(holder.make_key({rotation_element(parameters, step), shape})));
    values.resize(parameters.slots());
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i % 17) / 17;
    plaintext = unwrap(encoder.encode(values, 0x1p30, parameters.max_level()));
    ciphertext.scale = plaintext.scale;
    SeededCiphertext seeded = unwrap(holder.encrypt(plaintext));
    ciphertext.parts = {seeded.c0, seeded.c0};
  }
  static Parameters make(const Setting& s) {
    ParametersLiteral literal;
    literal.log_degree = s.log_degree;
    literal.primes = ring::ntt_primes(s.log_degree, s.base_bits, 1);
    for (u64 p : ring::ntt_primes(s.log_degree, s.scale_bits, static_cast<std::size_t>(s.levels)))
      literal.primes.push_back(p);
    literal.special_primes = ring::ntt_primes(s.log_degree, s.special_bits, 1, true);
    if (literal.special_primes[0] == literal.primes[0])
      literal.special_primes = {ring::ntt_primes(s.log_degree, s.special_bits, 2, true)[1]};
    return unwrap(Parameters::create(literal));
  }

  Parameters parameters;
  secret::SecretKey key;
  secret::KeyHolder holder;
  Encoder encoder;
  Evaluator evaluator;
  EvaluationKeys keys;
  std::vector<double> values;
  Plaintext plaintext;
  Ciphertext ciphertext;
};

const bool registered = [] {
  for (const Setting& setting : kSettings) {
    auto add = [&](const char* name, auto operation) {
      const std::string full = std::string(name) + "/" + std::to_string(setting.log_degree);
      benchmark::RegisterBenchmark(full.c_str(), [setting, operation](benchmark::State& state) {
        const tbb::global_control one_thread(tbb::global_control::max_allowed_parallelism, 1);
        const Bench bench(setting);
        operation(state, bench);
      })->Unit(benchmark::kMillisecond);
    };
    add("rotate", [](benchmark::State& state, const Bench& b) {
      for (auto _ : state) benchmark::DoNotOptimize(b.evaluator.rotate(b.ciphertext, 1, b.keys));
    });
    add("rotate_hoisted", [](benchmark::State& state, const Bench& b) {
      const auto hoisted = unwrap(b.evaluator.hoist(b.ciphertext, {b.parameters.max_level(), 1, 1}));
      for (auto _ : state) benchmark::DoNotOptimize(b.evaluator.rotate_hoisted(hoisted, 2, b.keys));
    });
    add("multiply_relinearise", [](benchmark::State& state, const Bench& b) {
      for (auto _ : state) {
        const Ciphertext product = unwrap(b.evaluator.multiply(b.ciphertext, b.ciphertext));
        benchmark::DoNotOptimize(b.evaluator.relinearise(product, b.keys));
      }
    });
    add("rescale", [](benchmark::State& state, const Bench& b) {
      for (auto _ : state) benchmark::DoNotOptimize(b.evaluator.rescale(b.ciphertext));
    });
    add("encode", [](benchmark::State& state, const Bench& b) {
      for (auto _ : state)
        benchmark::DoNotOptimize(b.encoder.encode(b.values, 0x1p30, b.parameters.max_level()));
    });
    add("encode_repeated", [](benchmark::State& state, const Bench& b) {
      const std::span<const double> period(b.values.data(), 1024);
      for (auto _ : state)
        benchmark::DoNotOptimize(b.encoder.encode(period, 0x1p30, b.parameters.max_level(), true));
    });
    add("decode", [](benchmark::State& state, const Bench& b) {
      for (auto _ : state) benchmark::DoNotOptimize(b.encoder.decode(b.plaintext));
    });
    add("encrypt", [](benchmark::State& state, const Bench& b) {
      for (auto _ : state) benchmark::DoNotOptimize(b.holder.encrypt(b.plaintext));
    });
    add("decrypt", [](benchmark::State& state, const Bench& b) {
      for (auto _ : state) benchmark::DoNotOptimize(b.holder.decrypt(b.ciphertext));
    });
  }
  return true;
}();

}  // namespace
}  // namespace tacit::ckks
