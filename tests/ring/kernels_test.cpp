// SPDX-License-Identifier: Apache-2.0
// The NTT against its definition, and every kernel against the portable one, on random and extreme inputs.
#include "ring/kernels/kernels.h"

#include <gtest/gtest.h>

#include <random>

#include "ring/context.h"

namespace tacit::ring {
namespace {

constexpr std::uint64_t kSeed = 20240607;

using Words = AlignedVector<u64>;

// Random residues, all zero, all q - 1, and alternating extremes.
enum class Pattern { kRandom, kZero, kLargest, kAlternating };
constexpr Pattern kPatterns[] = {Pattern::kRandom, Pattern::kZero, Pattern::kLargest, Pattern::kAlternating};

Words make_words(Pattern pattern, std::size_t n, u64 limit, std::mt19937_64& random) {
  Words words(n);
  for (std::size_t i = 0; i < n; ++i) {
    switch (pattern) {
      case Pattern::kRandom:
        words[i] = random() % limit;
        break;
      case Pattern::kZero:
        words[i] = 0;
        break;
      case Pattern::kLargest:
        words[i] = limit - 1;
        break;
      case Pattern::kAlternating:
        words[i] = i % 2 ? limit - 1 : 0;
        break;
    }
  }
  return words;
}

TEST(PortableNtt, EvaluatesAtOddPowersOfTheRoot) {
  std::mt19937_64 random(kSeed);
  for (int log_degree : {3, 4, 5, 7}) {
    const Modulus q(ntt_primes(log_degree, 30, 1).at(0));
    const NttTable table(log_degree, q);
    const std::size_t n = table.degree();
    const Words a = make_words(Pattern::kRandom, n, q.value(), random);
    Words values = a;
    kPortableKernels.forward_ntt(table, values.data());
    for (std::size_t j = 0; j < n; ++j) {
      const u64 point = q.power(table.psi, 2 * reverse_bits(j, log_degree) + 1);
      u64 expected = 0;
      for (std::size_t i = n; i-- > 0;) expected = q.add(q.multiply(expected, point), a[i]);
      ASSERT_EQ(values[j], expected) << "log_degree " << log_degree << " position " << j << " seed " << kSeed;
    }
    kPortableKernels.inverse_ntt(table, values.data());
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

// One parameter: the position of the kernels in all_kernels().
class EveryKernel : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (!tested().available()) GTEST_SKIP() << tested().name << " is not available on this machine";
  }
  const Kernels& tested() const { return *all_kernels()[GetParam()]; }
};

TEST_P(EveryKernel, NttMatchesPortableAtEverySize) {
  std::mt19937_64 random(kSeed);
  for (int log_degree = 3; log_degree <= 16; ++log_degree) {
    for (int bits : {22, 27, 40, 50}) {
      if (bits <= log_degree + 2) continue;
      const Modulus q(ntt_primes(log_degree, bits, 1).at(0));
      const NttTable table(log_degree, q);
      for (Pattern pattern : kPatterns) {
        const Words a = make_words(pattern, table.degree(), q.value(), random);
        Words expected = a, actual = a;
        kPortableKernels.forward_ntt(table, expected.data());
        tested().forward_ntt(table, actual.data());
        ASSERT_EQ(actual, expected) << "forward, log_degree " << log_degree << ", " << bits << " bits";
        expected = a, actual = a;
        kPortableKernels.inverse_ntt(table, expected.data());
        tested().inverse_ntt(table, actual.data());
        ASSERT_EQ(actual, expected) << "inverse, log_degree " << log_degree << ", " << bits << " bits";
      }
    }
  }
}

TEST_P(EveryKernel, ElementwiseOperationsMatchPortable) {
  std::mt19937_64 random(kSeed);
  const std::size_t n = 256;
  for (int bits : {20, 27, 38, 49, 50}) {
    const Modulus q(ntt_primes(10, bits, 1).at(0));
    for (Pattern left : kPatterns) {
      for (Pattern right : kPatterns) {
        const Words a = make_words(left, n, q.value(), random), b = make_words(right, n, q.value(), random);
        const Words wide = make_words(left, n, u64{1} << 52, random);
        const ShoupConstant w = q.shoup(random() % q.value());
        auto compare = [&](const char* what, auto&& call) {
          Words expected(n), actual(n);
          call(kPortableKernels, expected.data());
          call(tested(), actual.data());
          ASSERT_EQ(actual, expected) << what << ", " << bits << " bits, seed " << kSeed;
          for (u64 x : expected) ASSERT_LT(x, q.value()) << what;
        };
        compare("add", [&](const Kernels& k, u64* out) { k.add(q, out, a.data(), b.data(), n); });
        compare("subtract", [&](const Kernels& k, u64* out) { k.subtract(q, out, a.data(), b.data(), n); });
        compare("negate", [&](const Kernels& k, u64* out) { k.negate(q, out, a.data(), n); });
        compare("multiply", [&](const Kernels& k, u64* out) { k.multiply(q, out, a.data(), b.data(), n); });
        compare("multiply_montgomery",
                [&](const Kernels& k, u64* out) { k.multiply_montgomery(q, out, a.data(), b.data(), n); });
        compare("multiply_constant",
                [&](const Kernels& k, u64* out) { k.multiply_constant(q, w, out, wide.data(), n); });
        compare("subtract_multiply",
                [&](const Kernels& k, u64* out) { k.subtract_multiply(q, w, out, a.data(), b.data(), n); });
      }
    }
  }
}

TEST_P(EveryKernel, ProductsAreThoseOfIntegers) {
  std::mt19937_64 random(kSeed);
  const std::size_t n = 64;
  const Modulus q(ntt_primes(10, 50, 1).at(0));
  const Words a = make_words(Pattern::kRandom, n, q.value(), random),
              b = make_words(Pattern::kRandom, n, q.value(), random);
  Words out(n);
  tested().multiply(q, out.data(), a.data(), b.data(), n);
  for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(out[i], static_cast<u64>(u128{a[i]} * b[i] % q.value()));
  Words montgomery(n);
  for (std::size_t i = 0; i < n; ++i) montgomery[i] = q.to_montgomery(b[i]);
  tested().multiply_montgomery(q, montgomery.data(), a.data(), montgomery.data(), n);
  EXPECT_EQ(montgomery, out);
}

TEST_P(EveryKernel, InnerProductMatchesPortable) {
  std::mt19937_64 random(kSeed);
  const int log_degree = 7;
  const std::size_t n = std::size_t{1} << log_degree;
  const Automorphism automorphism(log_degree, 27);
  for (int bits : {27, 50}) {
    const Modulus q(ntt_primes(log_degree, bits, 1).at(0));
    for (std::size_t terms : {1, 2, 5, 15, 16, 17, 40}) {
      for (Pattern pattern : {Pattern::kRandom, Pattern::kLargest}) {
        std::vector<Words> words;
        std::vector<const u64*> x, y0, y1;
        for (std::size_t j = 0; j < 3 * terms; ++j)
          words.push_back(make_words(pattern, n, q.value(), random));
        for (std::size_t j = 0; j < terms; ++j) {
          x.push_back(words[3 * j].data());
          y0.push_back(words[3 * j + 1].data());
          y1.push_back(words[3 * j + 2].data());
        }
        const Words start = make_words(Pattern::kRandom, n, q.value(), random);
        for (bool accumulate : {false, true}) {
          for (const Automorphism* permutation :
               std::initializer_list<const Automorphism*>{nullptr, &automorphism}) {
            Words expected[2] = {start, start}, actual[2] = {start, start};
            auto run = [&](const Kernels& k, Words* out) {
              k.inner_product(q,
                              {x.data(), y0.data(), y1.data(), terms, permutation, out[0].data(),
                               out[1].data(), accumulate},
                              n);
            };
            run(kPortableKernels, expected);
            run(tested(), actual);
            ASSERT_EQ(actual[0], expected[0]) << terms << " terms, " << bits << " bits";
            ASSERT_EQ(actual[1], expected[1]) << terms << " terms, " << bits << " bits";
          }
        }
      }
    }
  }
}

TEST_P(EveryKernel, BaseConversionMatchesPortable) {
  std::mt19937_64 random(kSeed);
  const std::size_t n = 128;
  const std::vector<u64> sources = ntt_primes(10, 49, 20);
  for (int bits : {27, 50}) {
    const Modulus q(ntt_primes(10, bits, 1).at(0));
    for (std::size_t terms : {1, 2, 3, 16, 20}) {
      for (Pattern pattern : kPatterns) {
        std::vector<Words> words;
        std::vector<const u64*> y;
        std::vector<u64> factors;
        std::vector<double> inverses;
        for (std::size_t j = 0; j < terms; ++j) {
          words.push_back(make_words(pattern, n, sources[j], random));
          factors.push_back(random() % q.value());
          inverses.push_back(1.0 / static_cast<double>(sources[j]));
        }
        for (const Words& w : words) y.push_back(w.data());
        for (const double* corrected : std::initializer_list<const double*>{nullptr, inverses.data()}) {
          Words expected(n), actual(n);
          auto run = [&](const Kernels& k, Words& out) {
            k.convert_base(q, {y.data(), factors.data(), terms, corrected, q.value() / 3, out.data()}, n);
          };
          run(kPortableKernels, expected);
          run(tested(), actual);
          ASSERT_EQ(actual, expected) << terms << " terms, " << bits << " bits";
        }
      }
    }
  }
}

TEST_P(EveryKernel, PermutationsAreTheAutomorphism) {
  std::mt19937_64 random(kSeed);
  for (int log_degree : {3, 5, 10, 13}) {
    const Modulus q(ntt_primes(log_degree, 30, 1).at(0));
    const NttTable table(log_degree, q);
    const std::size_t n = table.degree();
    for (std::uint32_t g :
         {3u, 9u, 5u, static_cast<std::uint32_t>(2 * n - 1), static_cast<std::uint32_t>(n + 1)}) {
      Words a = make_words(Pattern::kRandom, n, q.value(), random), image(n), permuted(n);
      for (std::size_t i = 0; i < n; ++i) {  // X^i -> X^(g i), and X^N = -1
        const std::size_t exponent = i * g % (2 * n);
        image[exponent % n] = exponent < n ? a[i] : q.negate(a[i]);
      }
      tested().forward_ntt(table, a.data());
      tested().forward_ntt(table, image.data());
      tested().permute(Automorphism(log_degree, g), permuted.data(), a.data(), n);
      ASSERT_EQ(permuted, image) << "log_degree " << log_degree << " element " << g;
    }
  }
}

TEST_P(EveryKernel, UniformSamplingMatchesPortable) {
  std::mt19937_64 random(kSeed);
  for (int bits : {20, 27, 40, 50}) {
    const Modulus q(ntt_primes(10, bits, 1).at(0));
    Words words(512);
    for (u64& word : words) word = random();
    words[3] = 0;  // rejected: 0 is below any threshold but zero
    for (std::size_t capacity : {0, 1, 7, 8, 9, 500, 512}) {
      Words expected(512), actual(512);
      auto run = [&](const Kernels& k, Words& out) {
        return k.sample_uniform(q, q.radix(), out.data(), capacity, words.data(), words.size());
      };
      const std::size_t count = run(kPortableKernels, expected);
      ASSERT_EQ(run(tested(), actual), count);
      ASSERT_LE(count, capacity);
      for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(actual[i], expected[i]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, EveryKernel, testing::Range(std::size_t{0}, all_kernels().size()),
                         [](const auto& instance) {
                           return std::string(all_kernels()[instance.param]->name);
                         });

}  // namespace
}  // namespace tacit::ring
