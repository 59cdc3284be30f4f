// SPDX-License-Identifier: Apache-2.0
// How fast this machine is at the loops that a Cost counts.
#include <algorithm>
#include <chrono>
#include <limits>
#include <thread>

#include "base/parallel.h"
#include "ring/base_converter.h"
#include "ring/kernels/kernels.h"
#include "ring/poly.h"
#include "runtime/cost.h"

namespace tacit::runtime {

namespace {

using ring::u64;

constexpr std::size_t kTerms = 8;     // of one inner product
constexpr std::size_t kProducts = 6;  // different ones: together more than a core's second-level cache holds
constexpr double kNanoseconds = 5e6;
constexpr std::size_t kLeastRounds = 20;

// Elapsed nanoseconds for one limb, where body(lane, round) works on `limbs` limbs and all lanes run at once: the best
// of many short rounds, since other programs only ever make a round longer.
template <class Body>
double time_per_limb(std::size_t lanes, std::size_t limbs, const Body& body) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  double best = std::numeric_limits<double>::infinity();
  for (std::size_t round = 0;; ++round) {
    const auto start = Clock::now();
    parallel_for(lanes, [&](std::size_t lane) { body(lane, round); });
    const auto end = Clock::now();
    best = std::min(best, std::chrono::duration<double, std::nano>(end - start).count());
    if (std::chrono::duration<double, std::nano>(end - begin).count() >= kNanoseconds &&
        round >= kLeastRounds)
      break;
  }
  return best / static_cast<double>(lanes * limbs);
}

// Residues that look random enough for arithmetic whose time does not depend on them.
ring::Poly filled(std::size_t degree, std::size_t limbs, const ring::Modulus& q) {
  ring::Poly poly(degree, limbs);
  u64 state = 1;
  for (std::size_t i = 0; i < limbs; ++i)
    for (u64& x : poly.limb(i)) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      x = q.reduce(state >> 8);
    }
  return poly;
}

// The two columns of kProducts keys of kTerms digits each.
ring::Constants filled_keys(std::size_t degree, const ring::Modulus& q) {
  const ring::Poly poly = filled(degree, 1, q);
  ring::Constants keys(degree, std::vector<ring::Modulus>(2 * kProducts, q), kTerms);
  for (std::size_t i = 0; i < keys.limbs(); ++i)
    for (std::size_t row = 0; row < kTerms; ++row) keys.store(i, row, poly.data(0));
  return keys;
}

}  // namespace

UnitCosts measure_unit_costs(const ckks::Parameters& parameters) {
  const std::size_t n = parameters.degree();
  const std::size_t lanes = std::max(1u, std::thread::hardware_concurrency());
  const ring::Modulus& q = parameters.prime(0);
  const ring::NttTable& table = parameters.ring().ntt(0);
  const ring::Kernels& kernels = ring::kernels();
  std::vector<ring::Poly> x, out;
  std::vector<ring::Constants> y;
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    x.push_back(filled(n, kTerms, q));
    y.push_back(filled_keys(n, q));
    out.push_back(filled(n, 2, q));
  }

  UnitCosts costs;
  costs.degree = n;
  costs.ntt = time_per_limb(lanes, 4, [&](std::size_t lane, std::size_t) {
    for (std::size_t i = 0; i < 2; ++i) {
      u64* limb = out[lane].data(i);
      kernels.inverse_ntt(table, table.inverse_degree, nullptr, limb, limb);
      kernels.forward_ntt(table, limb, limb);
    }
  });
  costs.product = time_per_limb(lanes, 2 * kTerms, [&](std::size_t lane, std::size_t round) {
    const u64* digits[kTerms];
    for (std::size_t i = 0; i < kTerms; ++i) digits[i] = x[lane].data(i);
    const std::size_t key = 2 * (round % kProducts);
    kernels.key_product(q,
                        {digits, y[lane].limb(key), y[lane].limb(key + 1), kTerms, nullptr, out[lane].data(0),
                         out[lane].data(1), false},
                        n);
  });
  // From the first special prime, as when a ciphertext is divided by P.
  const ring::BaseConverter converter(parameters.ring(), {parameters.special_index(0)}, {0});
  costs.conversion = time_per_limb(lanes, 1, [&](std::size_t lane, std::size_t) {
    const u64* source = x[lane].data(0);
    converter.convert_rounded(0, out[lane].data(0), &source, n);
  });
  costs.pointwise = time_per_limb(lanes, 2, [&](std::size_t lane, std::size_t) {
    kernels.add(q, out[lane].data(0), x[lane].data(0), x[lane].data(1), n);
    kernels.multiply_constant(q, q.shoup(q.radix()), out[lane].data(1), out[lane].data(1), n);
  });
  return costs;
}

}  // namespace tacit::runtime
