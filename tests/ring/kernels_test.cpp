// SPDX-License-Identifier: Apache-2.0
// Every kernel but the transforms against the portable one, on random and extreme inputs.
#include <cstring>

#include "ring/context.h"
#include "support/every_kernel.h"

namespace tacit::ring {
namespace {

using namespace test;

TEST_P(EveryKernel, ElementwiseOperationsMatchPortable) {
  std::mt19937_64 random(kSeed);
  const std::size_t n = 248;  // an odd number of blocks of eight
  for (int bits : {20, 27, 38, 49, 50}) {
    const Modulus q(ntt_primes(10, bits, 1).at(0));
    // The constants of largest magnitude as signed residues stand next to q/2.
    std::vector<ShoupConstant> constants;
    for (u64 w : {u64{0}, u64{1}, q.value() / 2, q.value() / 2 + 1, q.value() - 1, random() % q.value()})
      constants.push_back(q.shoup(w));
    for (Pattern left : kPatterns) {
      for (Pattern right : kPatterns) {
        const Words a = make_words(left, n, q.value(), random), b = make_words(right, n, q.value(), random);
        const Words wide = make_words(left, n, u64{1} << 52, random);
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
        for (const ShoupConstant& w : constants) {
          compare("multiply_constant",
                  [&](const Kernels& k, u64* out) { k.multiply_constant(q, w, out, wide.data(), n); });
          compare("add_multiple", [&](const Kernels& k, u64* out) {
            std::ranges::copy(b, out);
            k.add_multiple(q, w, out, wide.data(), n);
          });
          compare("subtract_multiply",
                  [&](const Kernels& k, u64* out) { k.subtract_multiply(q, w, out, a.data(), b.data(), n); });
        }
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
}

// One more row than terms, as a key has that is used below its level.
Constants make_constants(Pattern pattern, std::size_t n, const Modulus& q, std::size_t terms,
                         std::mt19937_64& random) {
  Constants constants(n, {q}, terms + 1);
  for (std::size_t row = 0; row <= terms; ++row)
    constants.store(0, row, make_words(pattern, n, q.value(), random).data());
  return constants;
}

TEST(Constants, GiveBackWhatIsStored) {
  std::mt19937_64 random(kSeed);
  const std::size_t n = 64;
  const std::vector<Modulus> moduli = {
      Modulus(ntt_primes(10, 50, 1).at(0)), Modulus(ntt_primes(10, 32, 1, true).at(0)),
      Modulus(ntt_primes(10, 27, 1).at(0)), Modulus(ntt_primes(10, 33, 1, true).at(0))};
  Constants constants(n, moduli, 3);
  EXPECT_EQ(constants.memory_bytes(), n * 3 * (7 + 4 + 4 + 5) + ConstantRows::kReadAhead);
  EXPECT_EQ(constants.memory_bytes(), Constants::memory_bytes(n, moduli, 3));
  std::vector<Words> stored;
  for (std::size_t i = 0; i < moduli.size(); ++i) {
    for (std::size_t row = 0; row < 3; ++row) {
      stored.push_back(make_words(Pattern::kRandom, n, moduli[i].value(), random));
      constants.store(i, row, stored.back().data());
    }
  }
  for (std::size_t i = 0; i < moduli.size(); ++i) {
    for (std::size_t row = 0; row < 3; ++row) {
      Words words(n);
      constants.load(i, row, words.data());
      EXPECT_EQ(words, stored[3 * i + row]);
      const std::size_t width = ConstantRows::width(moduli[i]);
      u64 word = 0;
      std::memcpy(&word, constants.limb(i, 16).at(5, row, width), width);
      EXPECT_EQ(word, words[21]);
    }
  }
}

// Both sums of products on one set of terms; the 32-bit and the 64-bit form of constants; primes next to the border, and
// next to where the AVX2 kernels stop to add up integers.
struct SumCase {
  SumCase(int bits, std::size_t term_count, Pattern pattern, std::mt19937_64& random)
      : q(ntt_primes(kLogDegree, bits, 1, true).at(0)),
        constants0(make_constants(pattern, kSize, q, term_count, random)),
        constants1(make_constants(pattern, kSize, q, term_count, random)),
        start(make_words(Pattern::kRandom, kSize, q.value(), random)) {
    for (std::size_t j = 0; j < 2 * term_count; ++j)
      words.push_back(make_words(pattern, kSize, q.value(), random));
    for (std::size_t j = 0; j < term_count; ++j) {
      x0.push_back(words[2 * j].data());
      x1.push_back(words[2 * j + 1].data());
    }
  }
  static constexpr int kLogDegree = 7;
  static constexpr std::size_t kSize = std::size_t{1} << kLogDegree;
  std::size_t terms() const { return x0.size(); }

  Modulus q;
  Constants constants0, constants1;
  Words start;
  std::vector<Words> words;
  std::vector<const u64*> x0, x1;
};

template <class Check>
void for_each_sum_case(const Check& check) {
  std::mt19937_64 random(kSeed);
  for (int bits : {27, 30, 31, 32, 33, 40, 41, 48, 49, 50}) {
    for (std::size_t terms : {1, 2, 5, 7, 8, 9, 15, 16, 17, 33, 40}) {
      for (Pattern pattern : {Pattern::kRandom, Pattern::kLargest})
        check(SumCase(bits, terms, pattern, random));
    }
  }
}

TEST_P(EveryKernel, KeyProductMatchesPortable) {
  const Automorphism automorphism(SumCase::kLogDegree, 27), other(SumCase::kLogDegree, 5);
  for_each_sum_case([&](const SumCase& c) {
    const u64 *words0 = c.x1.front(), *words1 = c.start.data();
    const ShoupConstant factor = c.q.shoup(c.q.value() - 1);
    const std::pair<const Automorphism*, KeyAddend> variants[] = {
        {nullptr, {}},
        {&automorphism, {}},
        {nullptr, {words0, nullptr, factor, &automorphism, nullptr, nullptr}},
        {nullptr, {nullptr, words1, factor, nullptr, nullptr, nullptr}},
        {&automorphism, {words0, words1, c.q.shoup_one(), &other, nullptr, nullptr}},
        {nullptr, {words0, words1, factor, nullptr, c.x0.back(), c.x1.back()}}};
    for (bool accumulate : {false, true}) {
      for (const auto& variant : variants) {
        Words expected[2] = {c.start, c.start}, actual[2] = {c.start, c.start};
        auto run = [&](const Kernels& k, Words* out, std::size_t first, std::size_t count) {
          k.key_product(c.q,
                        {c.x0.data(), c.constants0.limb(0, first), c.constants1.limb(0, first), c.terms(),
                         variant.first, out[0].data() + first, out[1].data() + first, accumulate, first,
                         variant.second},
                        count);
        };
        run(kPortableKernels, expected, 0, c.kSize);
        for (std::size_t first = 0, count = c.kSize / 2; count > 0; first += count, count /= 2) {
          if (count < 8) count = c.kSize - first;  // the last pieces are one
          run(tested(), actual, first, count);
          if (first + count == c.kSize) break;
        }
        ASSERT_EQ(actual[0], expected[0]) << c.terms() << " terms, " << c.q.bits() << " bits, seed " << kSeed;
        ASSERT_EQ(actual[1], expected[1]) << c.terms() << " terms, " << c.q.bits() << " bits, seed " << kSeed;
      }
    }
  });
}

// The terms of a case in groups, of 0, 1, 2 .. terms or all in one, with any of its factors for each.
struct Grouping {
  Grouping(const SumCase& c, bool all_in_one, std::mt19937_64& random) {
    for (std::size_t j = 0; j < c.terms(); ++j)
      factor.push_back(static_cast<std::uint32_t>(all_in_one ? j : random() % c.terms()));
    for (std::size_t end = all_in_one ? c.terms() : 0, size = 1; ends.empty() || ends.back() < c.terms();
         end = std::min(end + size++, c.terms()))
      ends.push_back(end);
    scratch.resize(PlainProduct::kScratchWords * c.terms());
  }

  // Both columns of each group.
  std::vector<Words> run(const Kernels& k, const SumCase& c) {
    std::vector<Words> out(2 * ends.size(), Words(c.kSize));
    std::vector<u64*> out0, out1;
    for (std::size_t g = 0; g < ends.size(); ++g) {
      out0.push_back(out[2 * g].data());
      out1.push_back(out[2 * g + 1].data());
    }
    k.plain_product(c.q,
                    {c.constants0.limb(0), c.x0.data(), c.x1.data(), c.terms(), factor.data(), ends.data(),
                     ends.size(), out0.data(), out1.data(), scratch.data()},
                    c.kSize);
    return out;
  }

  std::vector<std::uint32_t> factor;
  std::vector<std::size_t> ends;
  Words scratch;
};

TEST_P(EveryKernel, PlainProductMatchesPortable) {
  std::mt19937_64 random(kSeed);
  for_each_sum_case([&](const SumCase& c) {
    for (bool all_in_one : {false, true}) {
      Grouping grouping(c, all_in_one, random);
      ASSERT_EQ(grouping.run(tested(), c), grouping.run(kPortableKernels, c))
          << c.terms() << " terms, " << c.q.bits() << " bits, seed " << kSeed;
    }
  });
}

// The sums against 128-bit arithmetic that shares nothing with the kernels.
TEST_P(EveryKernel, SumsOfProductsAreThoseOfIntegers) {
  std::mt19937_64 random(kSeed);
  for_each_sum_case([&](const SumCase& c) {
    const u64 q = c.q.value(), inverse_radix = c.q.inverse(c.q.radix()), factor = random() % q;
    const auto by_key = [&](const KeyAddend& addend) {
      std::array<Words, 2> out = {Words(c.kSize), Words(c.kSize)};
      const KeyProduct product{c.x0.data(),
                               c.constants0.limb(0),
                               c.constants1.limb(0),
                               c.terms(),
                               nullptr,
                               out[0].data(),
                               out[1].data(),
                               false,
                               0,
                               addend};
      tested().key_product(c.q, product, c.kSize);
      return out;
    };
    const u64 *a0 = c.start.data(), *a1 = c.x1.front(), *b0 = c.x0.back(), *b1 = c.x1.back();
    const std::array<Words, 2> onto_words =
                                   by_key({nullptr, a1, c.q.shoup(factor), nullptr, nullptr, nullptr}),
                               onto_product = by_key({a0, a1, c.q.shoup(factor), nullptr, b0, b1});
    const std::vector<Words> by_plain = Grouping(c, true, random).run(tested(), c);
    ASSERT_EQ(by_plain.size(), 2u);
    Words constant0(c.kSize), constant1(c.kSize);
    Words expected[3] = {Words(c.kSize), Words(c.kSize), Words(c.kSize)};
    for (Words& words : expected) std::ranges::fill(words, 0);
    for (std::size_t j = 0; j < c.terms(); ++j) {
      c.constants0.load(0, j, constant0.data());
      c.constants1.load(0, j, constant1.data());
      auto product = [&](u64 a, u64 b) { return static_cast<u64>(u128{a} * b % q * inverse_radix % q); };
      for (std::size_t i = 0; i < c.kSize; ++i) {
        expected[0][i] = (expected[0][i] + product(c.x0[j][i], constant0[i])) % q;
        expected[1][i] = (expected[1][i] + product(c.x0[j][i], constant1[i])) % q;
        expected[2][i] = (expected[2][i] + product(c.x1[j][i], constant0[i])) % q;
      }
    }
    for (std::size_t i = 0; i < c.kSize; ++i) {
      const auto plus_factor_times = [&](u64 sum, u64 x) {
        return static_cast<u64>((sum + u128{factor} * x) % q);
      };
      ASSERT_EQ(onto_words[0][i], expected[0][i]);
      ASSERT_EQ(onto_words[1][i], plus_factor_times(expected[1][i], a1[i]));
      const u64 d0 = c.q.multiply(a0[i], b0[i]);
      const u64 d1 = static_cast<u64>((u128{a0[i]} * b1[i] + u128{a1[i]} * b0[i]) % q);
      ASSERT_EQ(onto_product[0][i], plus_factor_times(expected[0][i], d0));
      ASSERT_EQ(onto_product[1][i], plus_factor_times(expected[1][i], d1));
    }
    ASSERT_EQ(by_plain[0], expected[0]);
    ASSERT_EQ(by_plain[1], expected[2]);
  });
}

// Products next to an odd multiple of 2^bits, all on the same side of it: the largest rest there is for sums in floating
// point, whose high part counts in units of twice that, and which must not let the rests outgrow a double's 53 bits.
TEST_P(EveryKernel, SumsOfProductsKeepTheLargestRests) {
  std::mt19937_64 random(kSeed);
  const std::size_t n = 64;
  for (int bits : {33, 49, 50}) {
    const Modulus q(ntt_primes(7, bits, 1, true).at(0));
    const u64 unit_mask = (u64{2} << bits) - 1;
    for (u64 rest : {(u64{1} << bits) - 1, (u64{1} << bits) + 1}) {
      Words x(n), constant(n);
      for (std::size_t i = 0; i < n; ++i) {
        do {
          constant[i] = (random() % q.value()) | 1;
          u64 inverse = constant[i];  // modulo 2^3, then by Newton's iteration
          for (int step = 0; step < 5; ++step) inverse *= 2 - constant[i] * inverse;
          x[i] = rest * inverse & unit_mask;
        } while (x[i] >= q.value());
      }
      for (std::size_t terms : {7, 8, 9, 15, 16, 17, 33, 40}) {
        Constants constants(n, {q}, terms);
        for (std::size_t j = 0; j < terms; ++j) constants.store(0, j, constant.data());
        const std::vector<const u64*> pointers(terms, x.data());
        Words out0(n), out1(n);
        tested().key_product(q,
                             {pointers.data(), constants.limb(0), constants.limb(0), terms, nullptr,
                              out0.data(), out1.data(), false},
                             n);
        for (std::size_t i = 0; i < n; ++i) {
          const u64 product = q.multiply(x[i], constant[i]);
          const u64 expected = q.reduce_montgomery(u128{product} * terms);
          ASSERT_EQ(out0[i], expected) << terms << " terms, " << bits << " bits, seed " << kSeed;
          ASSERT_EQ(out1[i], expected) << terms << " terms, " << bits << " bits, seed " << kSeed;
        }
      }
    }
  }
}

TEST_P(EveryKernel, TensorProductIsThatOfIntegers) {
  std::mt19937_64 random(kSeed);
  const std::size_t n = 128;
  for (int bits : {20, 27, 38, 49, 50}) {
    const Modulus q(ntt_primes(10, bits, 1, true).at(0));
    for (Pattern pattern : kPatterns) {
      Words in[4], out[3] = {Words(n), Words(n), Words(n)};
      for (Words& words : in) words = make_words(pattern, n, q.value(), random);
      tested().tensor_product(q,
                              {in[0].data(), in[1].data(), in[2].data(), in[3].data(), out[0].data(),
                               out[1].data(), out[2].data()},
                              n);
      for (std::size_t i = 0; i < n; ++i) {
        ASSERT_EQ(out[0][i], q.multiply(in[0][i], in[2][i]));
        ASSERT_EQ(out[1][i], q.add(q.multiply(in[0][i], in[3][i]), q.multiply(in[1][i], in[2][i])));
        ASSERT_EQ(out[2][i], q.multiply(in[1][i], in[3][i]));
      }
    }
  }
}

TEST_P(EveryKernel, LiftedResiduesAreCentred) {
  std::mt19937_64 random(kSeed);
  const std::size_t n = 128;
  for (int bits : {27, 50}) {
    const u64 m = ntt_primes(10, bits, 1, true).at(0);
    const u64 offset = 3 * m;
    for (Pattern pattern : kPatterns) {
      Words a = make_words(pattern, n, m, random), out(n);
      a[0] = m / 2;
      a[1] = m / 2 + 1;
      tested().lift_centred(m, offset, out.data(), a.data(), n);
      for (std::size_t i = 0; i < n; ++i)
        ASSERT_EQ(out[i], a[i] <= (m - 1) / 2 ? a[i] + offset : a[i] + offset - m);
    }
  }
}

// The keystream of a key that counts 0, 1, 2, ... (RFC 8439, section 2.3.2, has it as the key of its block test, at
// another nonce), and equality at every count around the width of a vector, over the carry into the counter's high word.
TEST_P(EveryKernel, KeystreamMatchesPortable) {
  std::uint8_t key[32];
  for (std::size_t i = 0; i < sizeof key; ++i) key[i] = static_cast<std::uint8_t>(i);
  for (u64 first : {u64{0}, u64{1}, u64{0xFFFFFFF5}, u64{1} << 40}) {
    for (std::size_t count : {0, 1, 7, 8, 9, 15, 16, 17, 40}) {
      AlignedVector<std::uint8_t> expected(64 * count + 1), actual(64 * count + 1);
      expected.back() = actual.back() = 0xA5;  // must stay
      kPortableKernels.keystream(key, first, expected.data(), count);
      tested().keystream(key, first, actual.data(), count);
      ASSERT_EQ(actual, expected) << count << " blocks from " << first;
    }
  }
}

TEST_P(EveryKernel, BaseConversionMatchesPortable) {
  std::mt19937_64 random(kSeed);
  const std::size_t n = 128;
  for (auto [bits, source_bits] : {std::pair{27, 49}, {27, 50}, {50, 49}, {50, 50}, {50, 27}}) {
    const std::vector<u64> sources = ntt_primes(10, source_bits, 20);
    const Modulus q(ntt_primes(10, bits, 21).at(20));
    for (std::size_t terms : {1, 2, 3, 4, 5, 6, 8, 9, 16, 20}) {
      for (Pattern pattern : kPatterns) {
        std::vector<Words> words;
        std::vector<const u64*> y;
        std::vector<u64> factors;
        std::vector<double> inverses;
        inverses.reserve(terms);
        for (std::size_t j = 0; j < terms; ++j) {
          words.push_back(make_words(pattern, n, sources[j], random));
          factors.push_back(pattern == Pattern::kLargest ? q.value() - 1 : random() % q.value());
          inverses.push_back(1.0 / static_cast<double>(sources[j]));
        }
        y.reserve(terms);
        for (const Words& w : words) y.push_back(w.data());
        Words expected(n), actual(n);
        auto convert = [&](const Kernels& k, Words& out) {
          k.convert_base(q, {y.data(), factors.data(), terms, out.data()}, n);
        };
        convert(kPortableKernels, expected);
        convert(tested(), actual);
        ASSERT_EQ(actual, expected) << terms << " terms, " << bits << " bits, seed " << kSeed;
        for (u64 x : expected) ASSERT_LT(x, q.value());
        auto round = [&](const Kernels& k, Words& out) {
          k.rounded_quotient({y.data(), inverses.data(), terms, out.data()}, n);
        };
        round(kPortableKernels, expected);
        round(tested(), actual);
        ASSERT_EQ(actual, expected) << terms << " terms, " << source_bits << " bits, seed " << kSeed;
        for (u64 x : expected) ASSERT_LE(x, terms);
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
      tested().forward_ntt(table, a.data(), a.data());
      tested().forward_ntt(table, image.data(), image.data());
      tested().permute(Automorphism(log_degree, g), 0, permuted.data(), a.data(), n);
      ASSERT_EQ(permuted, image) << "log_degree " << log_degree << " element " << g;
      const std::size_t first = n / 8 / 2 * 8;  // the second half alone
      std::ranges::fill(permuted, 0);
      tested().permute(Automorphism(log_degree, g), first, permuted.data() + first, a.data(), n - first);
      EXPECT_TRUE(std::equal(permuted.begin() + static_cast<std::ptrdiff_t>(first), permuted.end(),
                             image.begin() + static_cast<std::ptrdiff_t>(first)));
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
                         kernel_name);

}  // namespace
}  // namespace tacit::ring
