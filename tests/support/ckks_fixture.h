// SPDX-License-Identifier: Apache-2.0
// Parameters, keys and random vectors for tests that compute on ciphertexts.
#pragma once

#include <gtest/gtest.h>

#include <complex>
#include <random>
#include <vector>

#include "ckks/encoder.h"
#include "ckks/evaluator.h"
#include "ckks/wire.h"
#include "secret/keygen.h"

namespace tacit::test {

// Of messages whose values are about 1, under primes of about 35 bits.
inline constexpr double kScale = 0x1p35;
// Of every object on the wire.
inline constexpr std::size_t kHeaderBytes = 72;

// q_0 of base_bits, `levels` primes of scale_bits, `special` primes of special_bits; passes the gate or fails the test.
inline ckks::Parameters make_parameters(int log_degree, int base_bits, int scale_bits, std::size_t levels,
                                        int special_bits, std::size_t special) {
  ckks::ParametersLiteral literal;
  literal.log_degree = log_degree;
  literal.primes = ring::ntt_primes(log_degree, base_bits, 1);
  for (ring::u64 p : ring::ntt_primes(log_degree, scale_bits, levels)) literal.primes.push_back(p);
  literal.special_primes = ring::ntt_primes(log_degree, special_bits, special, true);
  auto parameters = ckks::Parameters::create(literal);
  if (!parameters.ok()) {
    ADD_FAILURE() << parameters.error().to_line();
    std::abort();
  }
  return std::move(parameters).value();
}

template <class T>
T unwrap(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.error().to_line());
  return std::move(result).value();
}

// A secret key, its holder, an encoder and an evaluator for one parameter set.
struct Scheme {
  explicit Scheme(const ckks::Parameters& p, std::uint64_t seed = 1)
      : parameters(p),
        key(unwrap(secret::SecretKey::generate(p.log_degree()))),
        holder(unwrap(secret::KeyHolder::create(p, key))),
        encoder(p),
        evaluator(p),
        random(seed) {}

  void add_key(std::uint32_t element, ckks::KeyShape shape) {
    keys.insert(unwrap(holder.make_key({element, shape})));
  }
  void add_rotation(std::int64_t step, ckks::KeyShape shape) {
    add_key(ckks::rotation_element(parameters, step), shape);
  }

  ckks::EvaluationKeys make_keys(const std::vector<ckks::KeyRequest>& requests) {
    ckks::EvaluationKeys made;
    for (const ckks::KeyRequest& request : requests) made.insert(unwrap(holder.make_key(request)));
    return made;
  }

  // Uniform in [-1, 1].
  std::vector<double> uniform(std::size_t count) {
    std::uniform_real_distribution<double> distribution(-1, 1);
    std::vector<double> v(count);
    for (double& x : v) x = distribution(random);
    return v;
  }
  std::vector<double> random_vector() { return uniform(parameters.slots()); }
  // The slots of a vector that repeats with `period`.
  std::vector<double> repeated(std::size_t period) {
    const std::vector<double> x = uniform(period);
    std::vector<double> slots(parameters.slots());
    for (std::size_t t = 0; t < slots.size(); ++t) slots[t] = x[t % period];
    return slots;
  }

  ckks::Ciphertext encrypt(const std::vector<double>& values, double scale, int level) {
    const ckks::Plaintext plaintext = unwrap(encoder.encode(values, scale, level));
    const ckks::SeededCiphertext seeded = unwrap(holder.encrypt(plaintext));
    const Bytes bytes = ckks::write_ciphertext(parameters, seeded, holder.tag());
    return unwrap(ckks::read_ciphertext(parameters, bytes)).ciphertext;
  }
  std::vector<std::complex<double>> decrypt(const ckks::Ciphertext& ciphertext) {
    return encoder.decode(unwrap(holder.decrypt(ciphertext)));
  }

  ckks::Parameters parameters;
  secret::SecretKey key;
  secret::KeyHolder holder;
  ckks::Encoder encoder;
  ckks::Evaluator evaluator;
  ckks::EvaluationKeys keys;
  std::mt19937_64 random;
};

// The largest distance between slots.
inline double distance(const std::vector<std::complex<double>>& a, const std::vector<double>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

}  // namespace tacit::test
