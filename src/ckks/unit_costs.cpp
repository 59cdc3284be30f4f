// SPDX-License-Identifier: Apache-2.0
// How fast this machine is at the loops that KernelCounts counts.
#include <algorithm>
#include <chrono>
#include <limits>
#include <thread>

#include "base/parallel.h"
#include "ckks/cost.h"
#include "ckks/linear_transform.h"
#include "ring/kernels/kernels.h"
#include "ring/poly.h"

namespace tacit::ckks {

namespace {

using ring::Poly;

constexpr std::size_t kDigits = 4;                // of a key
constexpr std::size_t kBabies = 16, kGroups = 8;  // of a matrix
// Of digits and ciphertexts: what there is to go through before one comes again.
constexpr std::size_t kLimbs = 5;
static_assert(kGroups <= kBabies);
// Constants of all cores together: several times what a last-level cache keeps for them.
constexpr std::size_t kConstantBytes = std::size_t{96} << 20;

// Elapsed nanoseconds of one round: the best of many, since other programs only ever make a round longer.
template <class Round>
double time_round(const Round& run) {
  using Clock = std::chrono::steady_clock;
  constexpr double kNanoseconds = 5e6;
  constexpr std::size_t kLeastRounds = 5;
  const auto begin = Clock::now();
  double best = std::numeric_limits<double>::infinity();
  for (std::size_t round = 0;; ++round) {
    const auto start = Clock::now();
    run();
    const auto end = Clock::now();
    best = std::min(best, std::chrono::duration<double, std::nano>(end - start).count());
    if (std::chrono::duration<double, std::nano>(end - begin).count() >= kNanoseconds &&
        round >= kLeastRounds)
      break;
  }
  return best;
}

// Elapsed nanoseconds for one limb, where body(lane) works on `limbs` limbs and all lanes run at once.
template <class Body>
double time_per_limb(std::size_t lanes, std::size_t limbs, const Body& body) {
  return time_round([&] { parallel_for(lanes, body); }) / static_cast<double>(lanes * limbs);
}

// One limb of residues that look random enough for arithmetic whose time does not depend on them.
Poly filled(std::size_t degree, const ring::Modulus& q) {
  Poly poly(degree, 1);
  u64 state = 1;
  for (u64& x : poly.limb(0)) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    x = q.reduce(state >> 8);
  }
  return poly;
}

// An even number of limbs of `rows` constants each, about `bytes` in all.
ring::Constants filled_constants(std::size_t degree, std::size_t rows, std::size_t bytes,
                                 const ring::Modulus& q) {
  const Poly poly = filled(degree, q);
  const std::size_t pair = 2 * rows * degree * ring::ConstantRows::width(q);
  ring::Constants constants(degree, std::vector<ring::Modulus>(2 * std::max<std::size_t>(1, bytes / pair), q),
                            rows);
  for (std::size_t i = 0; i < constants.limbs(); ++i)
    for (std::size_t row = 0; row < rows; ++row) constants.store(i, row, poly.data(0));
  return constants;
}

// Constants for all lanes, `rows` that are multiplied at once, and `words` polynomials of one limb to read and to write:
// each for itself, as those of ciphertexts are, since a cache has few places for what is a power of two apart.
struct Streams {
  Streams(std::size_t lanes, std::size_t degree, std::size_t rows, std::size_t words, const ring::Modulus& q)
      : constants(lanes), in(lanes), out(lanes) {
    parallel_for(lanes, [&](std::size_t lane) {
      constants[lane] = filled_constants(degree, rows, kConstantBytes / lanes, q);
      for (std::size_t i = 0; i < words; ++i) {
        in[lane].push_back(filled(degree, q));
        out[lane].emplace_back(degree, 1);
      }
    });
  }

  std::vector<ring::Constants> constants;
  std::vector<std::vector<Poly>> in, out;
};

// The words of `count` polynomials from `first` on, every `step`-th.
template <class Word>
std::vector<Word*> words(std::vector<Poly>& polys, std::size_t first, std::size_t count,
                         std::size_t step = 1) {
  std::vector<Word*> result;
  for (std::size_t i = 0; i < count; ++i) result.push_back(polys[first + i * step].data(0));
  return result;
}

double time_key_product(std::size_t lanes, const Parameters& parameters, const ring::Modulus& q,
                        Streams& streams, const ring::Automorphism* permutation) {
  return time_per_limb(lanes, streams.constants[0].limbs() * kDigits, [&](std::size_t lane) {
    const ring::Constants& keys = streams.constants[lane];
    for (std::size_t i = 0; i < keys.limbs(); i += 2) {
      const std::size_t limb = i / 2 % kLimbs;
      const auto digits = words<const u64>(streams.in[lane], limb * kDigits, kDigits);
      ring::kernels().key_product(
          q,
          {digits.data(), keys.limb(i), keys.limb(i + 1), kDigits, permutation,
           streams.out[lane][2 * limb].data(0), streams.out[lane][2 * limb + 1].data(0), false},
          parameters.degree());
    }
  });
}

// As LinearTransform multiplies a dense matrix.
double time_plain_product(std::size_t lanes, const Parameters& parameters, const ring::Modulus& q) {
  constexpr std::size_t kTerms = kGroups * kBabies;
  Streams streams(lanes, parameters.degree(), kTerms, 2 * kBabies, q);
  std::vector<std::uint32_t> factor;
  std::vector<std::size_t> ends;
  for (std::size_t j = 0; j < kTerms; ++j) factor.push_back(static_cast<std::uint32_t>(j % kBabies));
  for (std::size_t g = 1; g <= kGroups; ++g) ends.push_back(g * kBabies);
  return time_per_limb(lanes, 2 * streams.constants[0].limbs() * kTerms, [&](std::size_t lane) {
    const ring::Constants& plain = streams.constants[lane];
    const auto x0 = words<const u64>(streams.in[lane], 0, kBabies, 2);
    const auto x1 = words<const u64>(streams.in[lane], 1, kBabies, 2);
    const auto out0 = words<u64>(streams.out[lane], 0, kGroups, 2);
    const auto out1 = words<u64>(streams.out[lane], 1, kGroups, 2);
    AlignedVector<u64> scratch(ring::PlainProduct::kScratchWords * kBabies);
    for (std::size_t i = 0; i < plain.limbs(); ++i) {
      ring::kernels().plain_product(q,
                                    {plain.limb(i), x0.data(), x1.data(), kBabies, factor.data(), ends.data(),
                                     kGroups, out0.data(), out1.data(), scratch.data()},
                                    parameters.degree());
    }
  });
}

// As ScalarMatrix multiplies a dense matrix of small numbers.
double time_scalar_product(std::size_t lanes, const Parameters& parameters, const ring::Modulus& q,
                           Streams& streams) {
  using ring::ScalarProduct;
  constexpr std::uint32_t kInputs = 64, kBlocks = 5, kOutputs = kBlocks * ScalarProduct::kMaxOutputs;
  const std::size_t n = parameters.degree(), tile = ScalarProduct::tile(q, kInputs, n);
  const std::vector<ScalarProduct::Block> blocks(kBlocks, {ScalarProduct::kMaxOutputs, kInputs});
  std::vector<std::uint32_t> input;
  for (std::uint32_t j = 0; j < kBlocks * kInputs; ++j) input.push_back(j % kInputs);
  const std::vector<std::int64_t> weights(std::size_t{kOutputs} * kInputs, 1000);
  return time_per_limb(lanes, std::size_t{kOutputs} * kInputs, [&](std::size_t lane) {
    std::vector<const u64*> x;
    std::vector<u64*> out;
    for (std::size_t j = 0; j < kInputs; ++j)
      x.push_back(streams.in[lane][j % streams.in[lane].size()].data(0));
    for (std::size_t o = 0; o < kOutputs; ++o)
      out.push_back(streams.out[lane][o % streams.out[lane].size()].data(0));
    AlignedVector<u64> scratch(ScalarProduct::scratch_words(kInputs, tile));
    for (std::size_t first = 0; first < n; first += tile) {
      ring::kernels().scalar_product(q,
                                     {blocks, input.data(), weights.data(), ScalarProduct::kWindow * 1000,
                                      nullptr, x.data(), kInputs, out.data(), scratch.data(), first},
                                     tile);
    }
  });
}

// A key with something in it.
SwitchingKey filled_key(const Parameters& parameters, const KeyRequest& request) {
  const std::vector<ring::Modulus> moduli =
      parameters.extended_moduli(request.shape.level, request.shape.special_count);
  SwitchingKey key{request, {}, {}, {}, {}};
  for (ring::Constants* half : {&key.b, &key.a}) {
    *half = ring::Constants(parameters.degree(), moduli, request.shape.digits());
    for (std::size_t i = 0; i < moduli.size(); ++i) {
      const Poly poly = filled(parameters.degree(), moduli[i]);
      for (std::size_t row = 0; row < request.shape.digits(); ++row) half->store(i, row, poly.data(0));
    }
  }
  return key;
}

// A dense matrix on a ciphertext a few levels high, as large as takes more memory than caches have, up to 256 diagonals.
double measure_overhead(const Parameters& parameters, const UnitCosts& unit) {
  if (parameters.max_level() == 0) return 1;  // no transform fits
  const int level = std::min(3, parameters.max_level()), special_count = parameters.special_count();
  const std::size_t limb_bytes = ring::ConstantRows::kMaxWidth * parameters.degree();
  const std::size_t room = kConstantBytes / 2 / (extended_limbs(level, special_count) * limb_bytes);
  const std::size_t width = room >= 256 ? 16 : room >= 64 ? 8 : 4;
  LinearTransform::Diagonals diagonals{width * width, {}};
  for (std::size_t d = 0; d < diagonals.period; ++d) diagonals.values[d] = {0.5};
  const int digit_size = std::min(special_count, level + 1);
  const TransformDomain domain{level, special_count, digit_size, digit_size};
  const auto transform =
      LinearTransform::create(Encoder(parameters), diagonals, domain, 0x1p20, BsgsSplit{width, 0});
  if (!transform.ok()) return 1;
  EvaluationKeys keys;
  for (const KeyRequest& request : transform->key_requests(parameters))
    keys.insert(filled_key(parameters, request));
  Ciphertext input;
  for (std::size_t part = 0; part < 2; ++part) {
    input.parts.emplace_back(parameters.degree(), static_cast<std::size_t>(level) + 1);
    for (int i = 0; i <= level; ++i)
      std::ranges::copy(filled(parameters.degree(), parameters.prime(i)).limb(0),
                        input.parts[part].limb(static_cast<std::size_t>(i)).begin());
  }
  const Evaluator evaluator(parameters);
  const double measured =
      time_round([&] { static_cast<void>(transform->apply(evaluator, input, keys).ok()); });
  return std::max(1.0, 1e-6 * measured / estimate_ms(transform->counts(), unit));
}

UnitCosts measure_kernels(const Parameters& parameters) {
  const std::size_t n = parameters.degree();
  const std::size_t lanes = std::max(1u, std::thread::hardware_concurrency());
  const int typical = std::min(1, parameters.max_level());  // the first prime may be longer than the others
  const ring::Modulus& q = parameters.prime(typical);
  const ring::NttTable& table = parameters.ring().ntt(static_cast<std::size_t>(typical));
  const ring::Kernels& kernels = ring::kernels();

  UnitCosts costs;
  costs.degree = n;
  costs.plain_product = time_plain_product(lanes, parameters, q);
  Streams streams(lanes, n, kDigits, kDigits * kLimbs, q);
  costs.key_product = time_key_product(lanes, parameters, q, streams, nullptr);
  const ring::Automorphism rotation(parameters.log_degree(), rotation_element(parameters, 1));
  costs.hoisted_product = time_key_product(lanes, parameters, q, streams, &rotation);
  costs.scalar_product = time_scalar_product(lanes, parameters, q, streams);
  auto &in = streams.in, &out = streams.out;
  costs.ntt = time_per_limb(lanes, 2 * kLimbs, [&](std::size_t lane) {
    for (std::size_t i = 0; i < kLimbs; ++i) {
      u64* limb = out[lane][i].data(0);
      kernels.inverse_ntt(table, table.inverse_degree, nullptr, limb, limb);
      kernels.forward_ntt(table, limb, limb);
    }
  });
  // From the first special prime, as when a ciphertext is divided by it.
  const u64 special = parameters.ring().modulus(parameters.special_index(0)).value();
  const u64 offset = (special / 2 / q.value() + 1) * q.value();
  costs.conversion = time_per_limb(lanes, kLimbs, [&](std::size_t lane) {
    for (std::size_t i = 0; i < kLimbs; ++i)
      kernels.lift_centred(special, offset, out[lane][i].data(0), in[lane][i].data(0), n);
  });
  costs.pointwise = time_per_limb(lanes, 2 * kLimbs, [&](std::size_t lane) {
    for (std::size_t i = 0; i < kLimbs; ++i) {
      u64* limb = out[lane][i].data(0);
      kernels.permute(rotation, 0, limb, in[lane][i].data(0), n);
      kernels.add(q, limb, limb, in[lane][kLimbs + i].data(0), n);
    }
  });
  return costs;
}

}  // namespace

UnitCosts measure_unit_costs(const Parameters& parameters) {
  UnitCosts costs = measure_kernels(parameters);
  costs.overhead = measure_overhead(parameters, costs);
  return costs;
}

}  // namespace tacit::ckks
