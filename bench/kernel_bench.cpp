// SPDX-License-Identifier: Apache-2.0
// One limb through each kernel that streams, for every implementation that this machine has, with a prime of 49 bits
// unless said otherwise.
#include "ring/kernels/kernels.h"
#include "suite.h"

namespace tacit::bench {
namespace {

using ring::Constants;
using ring::Kernels;
using ring::Modulus;
using ring::u64;

constexpr std::size_t kWord = sizeof(u64);
constexpr std::size_t kTerms = 8;   // of a sum of products: digits of a key switch, diagonals of a group
constexpr std::size_t kGroups = 4;  // of products with plaintexts
constexpr std::size_t kLimbs =
    24;  // different ones that a kernel may be given: two for each term, and outputs
constexpr std::size_t kSources = 3;              // of a base conversion
constexpr int kWideBits = 49, kNarrowBits = 27;  // seven bytes for each constant, and four

// Limbs and constants modulo one prime.
struct Data {
  Data(const Kernels& k, int log_degree, int bits)
      : kernels(k),
        n(std::size_t{1} << log_degree),
        q(ring::ntt_primes(log_degree, bits, 1).at(0)),
        limbs(kLimbs, random_limb(n, q.value())),
        keys(n, {q, q}, kTerms),
        plaintexts(n, {q}, kGroups * kTerms),
        automorphism(log_degree, 3) {
    for (const auto& words : limbs) x.push_back(words.data());
    for (std::size_t row = 0; row < kTerms; ++row) {
      keys.store(0, row, limbs[0].data());
      keys.store(1, row, limbs[1].data());
    }
    for (std::size_t row = 0; row < kGroups * kTerms; ++row) plaintexts.store(0, row, limbs[2].data());
  }

  u64* out(std::size_t i) { return limbs[kLimbs - 1 - i].data(); }
  std::size_t permutation_bytes() const { return automorphism.blocks.size() * sizeof(std::uint32_t); }

  const Kernels& kernels;
  std::size_t n;
  Modulus q;
  std::vector<AlignedVector<u64>> limbs;
  std::vector<const u64*> x;
  Constants keys, plaintexts;
  ring::Automorphism automorphism;
};

// Each calls its kernel once and says how many bytes that read and wrote.
std::size_t add_limbs(Data& d) {
  d.kernels.add(d.q, d.out(0), d.x[0], d.x[1], d.n);
  return 3 * d.n * kWord;
}
std::size_t subtract(Data& d) {
  d.kernels.subtract(d.q, d.out(0), d.x[0], d.x[1], d.n);
  return 3 * d.n * kWord;
}
std::size_t negate(Data& d) {
  d.kernels.negate(d.q, d.out(0), d.x[0], d.n);
  return 2 * d.n * kWord;
}
std::size_t multiply(Data& d) {
  d.kernels.multiply(d.q, d.out(0), d.x[0], d.x[1], d.n);
  return 3 * d.n * kWord;
}
std::size_t multiply_constant(Data& d) {
  d.kernels.multiply_constant(d.q, d.q.shoup(d.q.radix()), d.out(0), d.x[0], d.n);
  return 2 * d.n * kWord;
}
std::size_t add_multiple(Data& d) {
  d.kernels.add_multiple(d.q, d.q.shoup(d.q.radix()), d.out(0), d.x[0], d.n);
  return 3 * d.n * kWord;
}
std::size_t subtract_multiply(Data& d) {
  d.kernels.subtract_multiply(d.q, d.q.shoup(d.q.radix()), d.out(0), d.x[0], d.x[1], d.n);
  return 3 * d.n * kWord;
}
std::size_t permute(Data& d) {
  d.kernels.permute(d.automorphism, 0, d.out(0), d.x[0], d.n);
  return 2 * d.n * kWord + d.permutation_bytes();
}
std::size_t key_product(Data& d) {
  d.kernels.key_product(
      d.q, {d.x.data(), d.keys.limb(0), d.keys.limb(1), kTerms, &d.automorphism, d.out(0), d.out(1), false},
      d.n);
  return (kTerms + 2) * d.n * kWord + d.keys.memory_bytes() + d.permutation_bytes();
}
std::size_t plain_product(Data& d) {
  constexpr std::size_t kProducts = kGroups * kTerms;
  std::uint32_t factor[kProducts];
  std::size_t ends[kGroups];
  u64 *out0[kGroups], *out1[kGroups];
  for (std::size_t j = 0; j < kProducts; ++j) factor[j] = j % kTerms;
  for (std::size_t g = 0; g < kGroups; ++g) {
    ends[g] = (g + 1) * kTerms;
    out0[g] = d.out(2 * g);
    out1[g] = d.out(2 * g + 1);
  }
  alignas(kCacheLine) u64 scratch[ring::PlainProduct::kScratchWords * kTerms];
  d.kernels.plain_product(d.q,
                          {d.plaintexts.limb(0), d.x.data(), d.x.data() + kTerms, kTerms, factor, ends,
                           kGroups, out0, out1, scratch},
                          d.n);
  return 2 * (kTerms + kGroups) * d.n * kWord + d.plaintexts.memory_bytes();
}
std::size_t tensor_product(Data& d) {
  d.kernels.tensor_product(d.q, {d.x[0], d.x[1], d.x[2], d.x[3], d.out(0), d.out(1), d.out(2)}, d.n);
  return 7 * d.n * kWord;
}
std::size_t convert_base(Data& d) {
  // Any numbers below q do as factors.
  d.kernels.convert_base(d.q, {d.x.data(), d.x[0], kSources, d.out(0)}, d.n);
  return (kSources + 1) * d.n * kWord;
}
std::size_t rounded_quotient(Data& d) {
  const double inverse = 1.0 / static_cast<double>(d.q.value());
  const double inverses[kSources] = {inverse, inverse, inverse};
  d.kernels.rounded_quotient({d.x.data(), inverses, kSources, d.out(0)}, d.n);
  return (kSources + 1) * d.n * kWord;
}
std::size_t lift_centred(Data& d) {
  d.kernels.lift_centred(d.q.value(), d.q.value(), d.out(0), d.x[0], d.n);
  return 2 * d.n * kWord;
}
std::size_t sample_uniform(Data& d) {
  return (d.n + d.kernels.sample_uniform(d.q, d.q.radix(), d.out(0), d.n, d.x[0], d.n)) * kWord;
}
std::size_t keystream(Data& d) {
  static constexpr std::uint8_t kKey[32] = {};
  d.kernels.keystream(kKey, 0, reinterpret_cast<std::uint8_t*>(d.out(0)), d.n * kWord / 64);
  return d.n * kWord;
}

struct Entry {
  const char* name;
  std::size_t (*run)(Data&);
  int bits = kWideBits;
};
constexpr Entry kEntries[] = {
    {"add", add_limbs},
    {"subtract", subtract},
    {"negate", negate},
    {"multiply", multiply},
    {"multiply_constant", multiply_constant},
    {"add_multiple", add_multiple},
    {"subtract_multiply", subtract_multiply},
    {"permute", permute},
    {"key_product8_wide", key_product},
    {"key_product8_narrow", key_product, kNarrowBits},
    {"plain_product8x4_wide", plain_product},
    {"plain_product8x4_narrow", plain_product, kNarrowBits},
    {"tensor_product", tensor_product},
    {"convert_base3", convert_base},
    {"rounded_quotient3", rounded_quotient},
    {"lift_centred", lift_centred},
    {"sample_uniform", sample_uniform},
    {"keystream", keystream},
};

}  // namespace

void register_kernels() {
  for (const Kernels* kernels : ring::all_kernels()) {
    if (!kernels->available()) continue;
    for (int log_degree = 12; log_degree <= 16; ++log_degree) {
      for (const Entry& entry : kEntries) {
        add(std::string(entry.name) + "/" + kernels->name + "/" + std::to_string(log_degree),
            [=](benchmark::State& state) {
              Data data(*kernels, log_degree, entry.bits);
              std::size_t bytes = 0;
              for (auto _ : state) {
                bytes = entry.run(data);
                benchmark::ClobberMemory();
              }
              count_bytes(state, bytes);
            })
            ->Unit(benchmark::kMicrosecond);
      }
    }
  }
}

}  // namespace tacit::bench
