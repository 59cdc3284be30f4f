// SPDX-License-Identifier: Apache-2.0
// The transforms where their arithmetic is closest to its limits: numbers that are reduced late are exact only as long as
// the analysis at the head of each kernel file holds, and random inputs never come near the bounds that it allows.
// Inputs are made backwards from extreme numbers within a transform, stage by stage, by arithmetic that shares nothing
// with the kernels.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "ring/kernels/kernels.h"

namespace tacit::ring {
namespace {

constexpr std::uint64_t kSeed = 20250119;

using Words = AlignedVector<u64>;

// One ring and its stages as the definition has them: stage s = 1 .. log N pairs the positions that differ by N / 2^s.
class Stages {
 public:
  Stages(int log_degree, u64 prime) : table(log_degree, Modulus(prime)), q(table.modulus), roots_(n()) {
    for (std::size_t i = 1; i < n(); ++i) roots_[i] = q.power(table.psi, reverse_bits(i, log_degree));
    for (u64 root : roots_) half_inverse_roots_.push_back(root == 0 ? 0 : q.inverse(q.add(root, root)));
  }

  std::size_t n() const { return table.degree(); }
  int count() const { return table.log_degree; }
  std::size_t distance(int s) const { return n() >> s; }
  // That of the block in which `position` is.
  u64 root(int s, std::size_t position) const { return roots_[root_index(s, position)]; }

  // Stage s, and its inverse.
  void forward(int s, Words& a) const {
    for_each_pair(s, [&](std::size_t i, std::size_t j) {
      const u64 product = q.multiply(a[j], roots_[root_index(s, i)]);
      a[j] = q.subtract(a[i], product);
      a[i] = q.add(a[i], product);
    });
  }
  void inverse(int s, Words& a) const {
    for_each_pair(s, [&](std::size_t i, std::size_t j) {
      const u64 sum = q.add(a[i], a[j]), difference = q.subtract(a[i], a[j]);
      a[i] = (sum % 2 == 0 ? sum : sum + q.value()) / 2;
      a[j] = q.multiply(difference, half_inverse_roots_[root_index(s, i)]);
    });
  }
  // Horner's rule.
  u64 value_at(const Words& coefficients, std::size_t position) const {
    const u64 point = q.power(table.psi, 2 * reverse_bits(position, count()) + 1);
    u64 value = 0;
    for (std::size_t i = n(); i-- > 0;) value = q.add(q.multiply(value, point), coefficients[i]);
    return value;
  }

  NttTable table;
  Modulus q;

 private:
  std::size_t root_index(int s, std::size_t position) const {
    return (std::size_t{1} << (s - 1)) + (position >> (count() - s + 1));
  }
  template <class Run>
  void for_each_pair(int s, const Run& run) const {
    for (std::size_t i = 0; i < n(); ++i) {
      if ((i & distance(s)) == 0) run(i, i + distance(s));
    }
  }

  std::vector<u64> roots_, half_inverse_roots_;
};

// The first prime that is 1 modulo 2^(log_degree + 1) from `from` on.
u64 prime_from(int log_degree, u64 from) {
  const u64 step = u64{2} << log_degree;
  u64 p = (from + step - 2) / step * step + 1;
  while (!is_prime(p)) p += step;
  return p;
}

// The smallest there is, the largest there is, and both sides of each size at which some kernel changes its way.
std::vector<u64> primes_at_limits(int log_degree) {
  std::vector<u64> primes = {prime_from(log_degree, 3)};
  for (int bits : {45, 46, 47, 49, 50}) {
    primes.push_back(ntt_primes(log_degree, bits, 1, true).at(0));
    if (bits < kMaxPrimeBits) primes.push_back(prime_from(log_degree, u64{1} << bits));
  }
  return primes;
}

// The largest word below `limit` of the class of x.
u64 largest_word(u64 x, const Modulus& q, u64 limit) {
  return limit - 1 - q.subtract(q.reduce(limit - 1), x);
}

// Every kernel set takes the coefficients to the values, from any words that stand for them, and back.
void expect_transforms(const Stages& stages, const Words& coefficients, const Words& values,
                       const std::string& what) {
  const NttTable& table = stages.table;
  Words raised = coefficients;
  for (u64& x : raised) x = largest_word(x, stages.q, kLazyLimit);
  for (const Kernels* kernels : all_kernels()) {
    if (!kernels->available()) continue;
    const auto context = [&] {
      return std::string(kernels->name) + ", log_degree " + std::to_string(table.log_degree) + ", prime " +
             std::to_string(stages.q.value()) + ", " + what + ", seed " + std::to_string(kSeed);
    };
    Words out(stages.n());
    kernels->forward_ntt(table, out.data(), coefficients.data());
    ASSERT_EQ(out, values) << "forward, " << context();
    kernels->forward_ntt(table, out.data(), raised.data());
    ASSERT_EQ(out, values) << "forward of the largest words, " << context();
    kernels->inverse_ntt(table, table.inverse_degree, nullptr, out.data(), values.data());
    ASSERT_EQ(out, coefficients) << "inverse, " << context();
  }
}

// One parameter: log2 N.
class NttLimits : public testing::TestWithParam<int> {};

// All numbers after stage s are the largest residue, or next to q/2, where signed residues are largest, alike or unlike
// within each pair of the stage that follows, and of the third one on the way back: for every s.
TEST_P(NttLimits, ExtremesWithinATransform) {
  std::mt19937_64 random(kSeed);
  for (u64 prime : primes_at_limits(GetParam())) {
    const Stages stages(GetParam(), prime);
    const u64 half = prime / 2;
    for (const auto& [first, second] :
         {std::pair{half, half}, {half, half + 1}, {prime - 1, prime - 1}, {prime - 1, u64{0}}}) {
      for (int job = 0; job <= 2 * stages.count() + 1; ++job) {
        const int s = job / 2;
        if (job % 2 == 1 && first == second) continue;  // the same again
        const std::size_t partner = stages.distance(std::clamp(job % 2 ? s - 2 : s + 1, 1, stages.count()));
        Words coefficients(stages.n());
        for (std::size_t i = 0; i < stages.n(); ++i) coefficients[i] = (i & partner) == 0 ? first : second;
        Words values = coefficients;
        for (int t = s; t >= 1; --t) stages.inverse(t, coefficients);
        for (int t = s + 1; t <= stages.count(); ++t) stages.forward(t, values);
        const std::size_t position = random() >> (64 - stages.count());
        ASSERT_EQ(values[position], stages.value_at(coefficients, position)) << "the stages themselves";
        expect_transforms(stages, coefficients, values, "extremes after stage " + std::to_string(s));
        if (HasFatalFailure()) return;
      }
    }
  }
}

// A word y below `limit` whose product with the root is, before it is reduced, as large as a butterfly makes it: next to
// q/2 of the given sign as a signed residue, or the largest of many that Shoup's quotient leaves above q.
u64 steepest(const Modulus& q, u64 root, bool negative, bool signed_residues, u64 limit,
             std::mt19937_64& random) {
  const u64 inverse = q.inverse(root);
  const auto word = [&](u64 product) { return largest_word(q.multiply(product, inverse), q, limit); };
  if (signed_residues) return word(negative ? q.value() / 2 + 1 : q.value() / 2);
  u64 best = word(negative ? 1 : q.value() - 1), largest = 0;
  for (int i = 0; i < 32 && !negative; ++i) {
    const u64 y = word(random() % q.value());
    if (const u64 product = q.multiply_shoup_lazy(q.shoup(root), y); product > largest) {
      largest = product;
      best = y;
    }
  }
  return best;
}

// A number on its way through a forward transform to which every stage adds as much as one can, up to a stage that
// multiplies it, for every such stage and several ways.
TEST_P(NttLimits, SteepestWays) {
  std::mt19937_64 random(kSeed);
  for (u64 prime : primes_at_limits(GetParam())) {
    const Stages stages(GetParam(), prime);
    const Modulus& q = stages.q;
    for (int last = 2; last <= stages.count() + 1; ++last) {  // count() + 1: it is never multiplied
      for (bool signed_residues : {true, false}) {
        for (bool falling : {false, true}) {
          const std::size_t start = last > stages.count() ? 0 : stages.distance(last);
          const std::size_t end =
              falling && !signed_residues ? stages.n() - 1 : random() >> (64 - stages.count());
          const u64 limit = random() % 2 ? kLazyLimit : q.value();
          Words words(stages.n());
          std::ranges::fill(words, 0);
          words[start] = signed_residues ? (falling ? q.value() / 2 + 1 : q.value() / 2) : limit - 1;
          for (int s = 1; s < last; ++s) {
            const bool subtracted = (end & stages.distance(s)) != 0;
            words[start + stages.distance(s)] =
                steepest(q, stages.root(s, end), subtracted != falling, signed_residues, limit, random);
          }
          Words coefficients = words;
          for (u64& x : coefficients) x = q.reduce(x);
          Words values = coefficients;
          for (int s = 1; s <= stages.count(); ++s) stages.forward(s, values);
          const std::string what = "multiplied in stage " + std::to_string(last);
          expect_transforms(stages, coefficients, values, what);
          if (HasFatalFailure()) return;
          for (const Kernels* kernels : all_kernels()) {
            if (!kernels->available()) continue;
            Words out(stages.n());
            kernels->forward_ntt(stages.table, out.data(), words.data());
            ASSERT_EQ(out, values) << kernels->name << ", log_degree " << GetParam() << ", prime " << prime
                                   << ", " << what << ", seed " << kSeed;
          }
        }
      }
    }
  }
}

// The largest words in runs of every length, and of every place in a run: stage s adds and subtracts them in pairs alike
// and unlike. Against the portable kernels, and these at some places against the sum that defines the transform.
TEST_P(NttLimits, RunsOfTheLargestWords) {
  std::mt19937_64 random(kSeed);
  for (u64 prime : primes_at_limits(GetParam())) {
    const Stages stages(GetParam(), prime);
    for (u64 limit : {prime, kLazyLimit}) {
      for (int s = 0; s <= stages.count(); ++s) {
        for (bool begins_with_zero : {false, true}) {
          Words words(stages.n()), expected(stages.n());
          for (std::size_t i = 0; i < stages.n(); ++i)
            words[i] = ((i & stages.distance(s)) != 0) == begins_with_zero ? limit - 1 : 0;
          kPortableKernels.forward_ntt(stages.table, expected.data(), words.data());
          if (s % 4 == 0) {
            Words coefficients = words;
            for (u64& x : coefficients) x = stages.q.reduce(x);
            const std::size_t position = random() >> (64 - stages.count());
            ASSERT_EQ(expected[position], stages.value_at(coefficients, position)) << "seed " << kSeed;
          }
          for (const Kernels* kernels : all_kernels()) {
            if (!kernels->available()) continue;
            Words out(stages.n());
            kernels->forward_ntt(stages.table, out.data(), words.data());
            ASSERT_EQ(out, expected) << kernels->name << ", prime " << prime << ", runs of "
                                     << stages.distance(s) << " below " << limit;
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Degrees, NttLimits, testing::Range(10, 17),
                         [](const auto& test) { return "N2to" + std::to_string(test.param); });

}  // namespace
}  // namespace tacit::ring
