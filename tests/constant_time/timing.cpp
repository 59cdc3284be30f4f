// SPDX-License-Identifier: Apache-2.0
// Whether the time of encryption and decryption tells two kinds of secrets apart: Welch's t-test between operations on one
// fixed secret and on random ones, taken in random order (Reparaz, Balasch and Verbauwhede, "Dude, is my code constant
// time?", DATE 2017). |t| above 4.5 would. A measurement, which other programs on the machine disturb, and no test:
// check.cpp finds branches on secrets whatever the machine does.
#include <x86intrin.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <random>

#include "constant_time/parameters.h"
#include "secret/keygen.h"

namespace tacit {
namespace {

using program::unwrap;

constexpr std::size_t kSecrets = 16;  // random ones
enum Kind { kFixed, kRandom };

struct Moments {
  double count = 0, mean = 0, sum_of_squares = 0;

  void add(double x) {
    ++count;
    const double before = x - mean;
    mean += before / count;
    sum_of_squares += before * (x - mean);
  }
  double variance_of_mean() const { return sum_of_squares / (count - 1) / count; }
};

// The largest |t| over all measurements and over those below several quantiles, where interruptions are cut off.
double largest_t(const std::vector<std::pair<Kind, double>>& times) {
  std::vector<double> sorted(times.size());
  std::ranges::transform(times, sorted.begin(), &std::pair<Kind, double>::second);
  std::ranges::sort(sorted);
  double largest = 0;
  for (const double quantile : {0.5, 0.9, 0.99, 1.0}) {
    const double limit = sorted[static_cast<std::size_t>(quantile * static_cast<double>(sorted.size() - 1))];
    Moments moments[2];
    for (const auto& [kind, time] : times)
      if (time <= limit) moments[kind].add(time);
    const double t = (moments[kFixed].mean - moments[kRandom].mean) /
                     std::sqrt(moments[kFixed].variance_of_mean() + moments[kRandom].variance_of_mean());
    largest = std::max(largest, std::abs(t));
  }
  return largest;
}

// `prepare` puts the secret where the operation finds it, one place for all, so that caches treat all alike.
double measure(std::size_t count, std::mt19937_64& random,
               const std::function<void(Kind, std::size_t)>& prepare,
               const std::function<void()>& operation) {
  std::vector<std::pair<Kind, double>> times;
  for (std::size_t i = 0; i < count; ++i) {
    const Kind kind = random() % 2 == 0 ? kFixed : kRandom;
    prepare(kind, random() % kSecrets);
    const unsigned long long start = __rdtsc();
    operation();
    times.emplace_back(kind, static_cast<double>(__rdtsc() - start));
  }
  // The first ones warm up caches and the clock.
  times.erase(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(count / 20));
  return largest_t(times);
}

int run(std::size_t count) {
  const ckks::Parameters parameters = small_parameters();
  std::random_device device;
  const std::uint64_t seed = (std::uint64_t{device()} << 32) | device();
  std::mt19937_64 random(seed);

  // [kFixed]: always the same key, and zeros; [kRandom]: several keys, and random numbers.
  std::vector<secret::SecretKey> keys[2];
  std::vector<ckks::Plaintext> plaintexts[2];
  const secret::SecretKey key = unwrap(secret::SecretKey::generate(parameters.log_degree()));
  for (std::size_t i = 0; i < kSecrets; ++i) {
    for (const Kind kind : {kFixed, kRandom}) {
      keys[kind].push_back(kind == kFixed ? unwrap(secret::SecretKey::from_coefficients(key.coefficients()))
                                          : unwrap(secret::SecretKey::generate(parameters.log_degree())));
      ckks::Plaintext plaintext{ring::Poly(parameters.degree(), 2), 1};
      for (std::size_t limb = 0; limb < 2; ++limb)
        for (ring::u64& x : plaintext.poly.limb(limb))
          x = kind == kFixed ? 0 : random() % parameters.ring().modulus(limb).value();
      plaintexts[kind].push_back(std::move(plaintext));
    }
  }
  secret::KeyHolder holder = unwrap(secret::KeyHolder::create(parameters, key));
  ckks::Plaintext plaintext = plaintexts[kRandom][0];
  const ckks::SeededCiphertext seeded = unwrap(holder.encrypt(plaintext));
  const ckks::Ciphertext ciphertext{{seeded.c0, seeded.c0}, 1};
  const auto choose_plaintext = [&](Kind kind, std::size_t i) {
    for (std::size_t limb = 0; limb < 2; ++limb)
      std::ranges::copy(plaintexts[kind][i].poly.limb(limb), plaintext.poly.limb(limb).begin());
  };
  const auto choose_key = [&](Kind kind, std::size_t i) {
    holder = unwrap(secret::KeyHolder::create(parameters, keys[kind][i]));
  };
  volatile bool any = false;

  std::printf("seed %llu, %zu measurements of each operation\n", static_cast<unsigned long long>(seed),
              count);
  std::printf("encryption of zeros or of random numbers: |t| = %.2f\n",
              measure(count, random, choose_plaintext, [&] { unwrap(holder.encrypt(plaintext)); }));
  std::printf("decryption with one key or with random keys: |t| = %.2f\n",
              measure(count, random, choose_key, [&] { unwrap(holder.decrypt(ciphertext)); }));
  // What the test must see to believe that it sees anything.
  std::printf("a search for a number other than 0, which leaks: |t| = %.2f\n",
              measure(count, random, choose_plaintext, [&] {
                any = std::ranges::any_of(plaintext.poly.limb(0), [](ring::u64 x) { return x != 0; });
              }));
  return 0;
}

}  // namespace
}  // namespace tacit

int main(int argc, char** argv) {
  const long count = argc > 1 ? std::atol(argv[1]) : 100'000;
  if (argc > 2 || count < 1000) {
    std::cerr << "usage: tacit_timing_check [COUNT], at least 1000\n";
    return 2;
  }
  return tacit::run(static_cast<std::size_t>(count));
}
