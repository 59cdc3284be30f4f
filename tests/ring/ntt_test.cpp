// SPDX-License-Identifier: Apache-2.0
// The transforms: the portable one against its definition, every other one against the portable one, on random and extreme
// inputs of every size.
#include "ring/context.h"
#include "support/every_kernel.h"

namespace tacit::ring {
namespace {

using namespace test;

TEST(PortableNtt, EvaluatesAtOddPowersOfTheRoot) {
  std::mt19937_64 random(kSeed);
  for (int log_degree : {3, 4, 5, 7}) {
    const Modulus q(ntt_primes(log_degree, 30, 1).at(0));
    const NttTable table(log_degree, q);
    const std::size_t n = table.degree();
    const Words a = make_words(Pattern::kRandom, n, q.value(), random);
    Words values = a;
    kPortableKernels.forward_ntt(table, values.data(), values.data());
    for (std::size_t j = 0; j < n; ++j) {
      const u64 point = q.power(table.psi, 2 * reverse_bits(j, log_degree) + 1);
      u64 expected = 0;
      for (std::size_t i = n; i-- > 0;) expected = q.add(q.multiply(expected, point), a[i]);
      ASSERT_EQ(values[j], expected) << "log_degree " << log_degree << " position " << j << " seed " << kSeed;
    }
    kPortableKernels.inverse_ntt(table, table.inverse_degree, nullptr, values.data(), values.data());
    EXPECT_EQ(values, a);
  }
}

TEST(PortableNtt, RootIsTheSmallestPrimitiveOne) {
  const Modulus q(97);
  const u64 psi = smallest_primitive_root(3, q);
  u64 expected = 0;
  for (u64 x = 2; expected == 0; ++x) {
    if (q.power(x, 8) == 96) expected = x;
  }
  EXPECT_EQ(psi, expected);
}

// The words of an array for each transform, and where what comes of them goes; counts how often each place is made and
// finished.
class ArrayStreams final : public NttStream {
 public:
  ArrayStreams(std::vector<Words> words, std::size_t n)
      : in(std::move(words)),
        values(in.size(), Words(n)),
        out(in.size(), Words(n)),
        made(in.size(), std::vector<int>(n)),
        finished(made) {}
  void make(std::size_t t, std::size_t first, u64* words, std::size_t count) const override {
    for (std::size_t i = 0; i < count; ++i) words[i] = in[t][first + i], ++made[t][first + i];
  }
  void finish(std::size_t t, std::size_t first, std::size_t count) const override {
    for (std::size_t i = first; i < first + count; ++i) out[t][i] = values[t][i], ++finished[t][i];
  }

  const std::vector<Words> in;
  std::vector<Words> values;
  mutable std::vector<Words> out;
  mutable std::vector<std::vector<int>> made, finished;
};

// Every size and both ranges of primes: those that need a reduction in each stage, and those that do not.
TEST_P(EveryKernel, ForwardNttMatchesPortableAtEverySize) {
  std::mt19937_64 random(kSeed);
  for (int log_degree = 3; log_degree <= 16; ++log_degree) {
    for (int bits : {22, 27, 40, 45, 46, 47, 48, 49, 50}) {
      if (bits <= log_degree + 2) continue;
      const Modulus q(ntt_primes(log_degree, bits, 1, true).at(0));
      const NttTable table(log_degree, q);
      for (u64 limit : {q.value(), kLazyLimit}) {
        for (Pattern pattern : kPatterns) {
          const Words a = make_words(pattern, table.degree(), limit, random);
          Words expected(a.size()), actual(a.size()), in_place = a;
          kPortableKernels.forward_ntt(table, expected.data(), a.data());
          tested().forward_ntt(table, actual.data(), a.data());
          ASSERT_EQ(actual, expected)
              << "log_degree " << log_degree << ", " << bits << " bits, seed " << kSeed;
          tested().forward_ntt(table, in_place.data(), in_place.data());
          ASSERT_EQ(in_place, expected) << "in place, log_degree " << log_degree << ", " << bits << " bits";
          for (u64 x : expected) ASSERT_LT(x, q.value());
        }
      }
    }
  }
}

// The same alone, and together with transforms for the next of the primes.
TEST_P(EveryKernel, StreamedNttMatchesPortableAtEverySize) {
  std::mt19937_64 random(kSeed);
  for (int log_degree = 3; log_degree <= 16; ++log_degree) {
    std::vector<NttTable> tables;
    for (int bits : {22, 27, 40, 45, 46, 47, 48, 49, 50}) {
      if (bits > log_degree + 2)
        tables.emplace_back(log_degree, Modulus(ntt_primes(log_degree, bits, 1, true).at(0)));
    }
    const std::size_t n = tables[0].degree();
    for (std::size_t first = 0; first < tables.size(); ++first) {
      for (bool lazy : {false, true}) {
        for (Pattern pattern : kPatterns) {
          for (std::size_t count : {1u, 2u, 3u}) {
            std::vector<StreamedNtt> transforms(count);
            std::vector<Words> in;
            for (std::size_t i = 0; i < count; ++i) {
              transforms[i].table = &tables[(first + i) % tables.size()];
              const u64 limit = lazy ? kLazyLimit : transforms[i].table->modulus.value();
              in.push_back(make_words(pattern, n, limit, random));
            }
            ArrayStreams streams(std::move(in), n);
            for (std::size_t i = 0; i < count; ++i) transforms[i].out = streams.values[i].data();
            tested().forward_ntt_streamed(transforms, streams);
            for (std::size_t i = 0; i < count; ++i) {
              Words expected(n);
              kPortableKernels.forward_ntt(*transforms[i].table, expected.data(), streams.in[i].data());
              ASSERT_EQ(streams.out[i], expected)
                  << "log_degree " << log_degree << ", " << transforms[i].table->modulus.bits()
                  << " bits, transform " << i << " of " << count << ", seed " << kSeed;
              ASSERT_EQ(streams.made[i], std::vector<int>(n, 1));
              ASSERT_EQ(streams.finished[i], streams.made[i]);
            }
          }
        }
      }
    }
  }
}

TEST_P(EveryKernel, InverseNttMatchesPortableAtEverySize) {
  std::mt19937_64 random(kSeed);
  for (int log_degree = 3; log_degree <= 16; ++log_degree) {
    const Automorphism automorphism(log_degree, 5);
    for (int bits : {22, 27, 40, 45, 46, 47, 48, 49, 50}) {
      if (bits <= log_degree + 2) continue;
      const Modulus q(ntt_primes(log_degree, bits, 1, true).at(0));
      const NttTable table(log_degree, q);
      const InverseScale scale = table.inverse_scale(random() % q.value());
      for (Pattern pattern : kPatterns) {
        const Words a = make_words(pattern, table.degree(), q.value(), random);
        for (const Automorphism* permutation :
             std::initializer_list<const Automorphism*>{nullptr, &automorphism}) {
          Words expected(a.size()), actual(a.size());
          kPortableKernels.inverse_ntt(table, scale, permutation, expected.data(), a.data());
          tested().inverse_ntt(table, scale, permutation, actual.data(), a.data());
          ASSERT_EQ(actual, expected)
              << "log_degree " << log_degree << ", " << bits << " bits, seed " << kSeed;
        }
        Words there_and_back = a;
        tested().inverse_ntt(table, table.inverse_degree, nullptr, there_and_back.data(),
                             there_and_back.data());
        tested().forward_ntt(table, there_and_back.data(), there_and_back.data());
        ASSERT_EQ(there_and_back, a) << "log_degree " << log_degree << ", " << bits << " bits, seed "
                                     << kSeed;
      }
    }
  }
}

TEST(PortableNtt, InverseTakesPermutationAndScale) {
  std::mt19937_64 random(kSeed);
  const int log_degree = 5;
  const Modulus q(ntt_primes(log_degree, 30, 1).at(0));
  const NttTable table(log_degree, q);
  const Automorphism automorphism(log_degree, 9);
  const Words a = make_words(Pattern::kRandom, table.degree(), q.value(), random);
  Words permuted(a.size()), actual(a.size());
  kPortableKernels.permute(automorphism, 0, permuted.data(), a.data(), a.size());
  kPortableKernels.inverse_ntt(table, table.inverse_degree, nullptr, permuted.data(), permuted.data());
  for (u64& x : permuted) x = q.multiply(x, 7);
  kPortableKernels.inverse_ntt(table, table.inverse_scale(7), &automorphism, actual.data(), a.data());
  EXPECT_EQ(actual, permuted);
}

}  // namespace
}  // namespace tacit::ring
