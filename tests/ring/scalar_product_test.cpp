// SPDX-License-Identifier: Apache-2.0
// The product of a sparse matrix of numbers with limbs: every kernel against the portable one and against integers, on
// random and extreme weights and words, for every size of a ring and every range of primes.

#include <cmath>
#include <tuple>

#include "support/every_kernel.h"

namespace tacit::ring {
namespace {

using namespace test;

using ScalarProductTest = EveryKernel;

// The weight of largest magnitude that a prime allows, of either sign; for longer primes, whose weights have none, q - 1.
std::int64_t extreme(const Modulus& q, bool negative) {
  const auto value = static_cast<std::int64_t>(q.value());
  if (!ScalarProduct::narrow(q)) return negative ? value / 2 : value - 1;
  return negative ? -(value / 2) : value / 2;
}

// A matrix of blocks of all sizes on a few inputs.
struct Case {
  // `weight_bits` of the weights, which are all extreme where it is 0.
  Case(int log_degree, int prime_bits, std::size_t input_count,
       const std::vector<ScalarProduct::Block>& shape, Pattern pattern, int weight_bits,
       std::mt19937_64& random)
      : q(ntt_primes(log_degree, prime_bits, 1, true).at(0)), n(std::size_t{1} << log_degree), blocks(shape) {
    const auto modulus = static_cast<std::int64_t>(q.value());
    for (std::size_t j = 0; j < input_count; ++j) x.push_back(make_words(pattern, n, q.value(), random));
    // Next to q/2 the representatives next to zero are largest; (q - 1) / 2 itself is a multiple of a power of two, which
    // would hide what is lost of a sum's last bits.
    if (pattern == Pattern::kAlternating) {
      constexpr int kOffsets[] = {0, 1, -1, 2};
      for (Words& words : x)
        for (std::size_t i = 0; i < n; ++i) words[i] = q.value() / 2 + static_cast<u64>(kOffsets[i % 4]);
    }
    const bool negative = random() % 2 != 0;
    for (const ScalarProduct::Block& block : blocks) {
      for (std::uint32_t j = 0; j < block.inputs; ++j) {
        input.push_back(static_cast<std::uint32_t>(random() % input_count));
        for (std::uint32_t o = 0; o < block.outputs; ++o) {
          if (weight_bits == 0) {
            weights.push_back(extreme(q, negative));
            continue;
          }
          std::int64_t weight = static_cast<std::int64_t>(random() >> (64 - weight_bits)) % modulus;
          if (ScalarProduct::narrow(q)) {
            if (weight > modulus / 2) weight -= modulus;
            if (random() % 2 != 0) weight = -weight;
          }
          weights.push_back(weight);
        }
      }
      for (std::uint32_t o = 0; o < block.outputs; ++o)
        start.push_back(pattern == Pattern::kLargest ? q.value() - 1 : random() % q.value());
    }
    measure_windows();
  }

  void measure_windows() {
    std::size_t first = 0;
    for (const ScalarProduct::Block& block : blocks) {
      for (std::size_t o = 0; o < block.outputs; ++o) {
        u64 sum = 0;
        for (std::size_t j = 0; j < block.inputs; ++j) {
          if (j % ScalarProduct::kWindow == 0) sum = 0;
          sum += static_cast<u64>(std::abs(weights[first + j * block.outputs + o]));
          window_sum = std::max(window_sum, sum);
        }
      }
      first += std::size_t{block.inputs} * block.outputs;
    }
  }

  std::vector<Words> run(const Kernels& kernels, bool with_start, std::size_t tile) const {
    std::vector<Words> out(start.size(), Words(n));
    Words scratch(ScalarProduct::scratch_words(x.size(), tile));
    std::vector<const u64*> in;
    std::vector<u64*> to;
    for (const Words& words : x) in.push_back(words.data());
    for (Words& words : out) to.push_back(words.data());
    for (std::size_t first = 0; first < n; first += tile) {
      kernels.scalar_product(
          q,
          {blocks, input.data(), weights.data(), window_sum, with_start ? start.data() : nullptr, in.data(),
           x.size(), to.data(), scratch.data(), first},
          tile);
    }
    return out;
  }

  Modulus q;
  std::size_t n;
  std::vector<ScalarProduct::Block> blocks;
  std::vector<std::uint32_t> input;
  std::vector<std::int64_t> weights;
  std::vector<u64> start;
  std::vector<Words> x;
  u64 window_sum = 0;
};

constexpr int kPrimeBits[] = {16, 19, 20, 21, 26, 27, 30, 31, 32, 33, 40, 41, 45, 48, 49, 50};

// From one input to more than any reduction takes at once of the longest primes of either kind.
std::vector<ScalarProduct::Block> some_blocks() {
  return {{1, 1}, {2, 3}, {3, 7}, {4, 8}, {5, 9}, {6, 16}, {6, 17}, {1, 33}, {5, 25}, {2, 70}};
}

TEST_P(ScalarProductTest, MatchesPortable) {
  std::mt19937_64 random(kSeed);
  for (int bits : kPrimeBits) {
    for (Pattern pattern : kPatterns) {
      for (int weight_bits : {0, 3, 12, 25, 50}) {
        const Case c(8, bits, 70, some_blocks(), pattern, weight_bits, random);
        const auto expected = c.run(kPortableKernels, true, c.n);
        ASSERT_EQ(c.run(tested(), true, c.n), expected)
            << bits << " bits, weights of " << weight_bits << ", seed " << kSeed;
        ASSERT_EQ(c.run(tested(), true, ScalarProduct::kPanel), expected);
        for (const Words& words : expected)
          for (u64 word : words) ASSERT_LT(word, c.q.value());
        ASSERT_EQ(c.run(tested(), false, c.n), c.run(kPortableKernels, false, c.n));
      }
    }
  }
}

TEST_P(ScalarProductTest, MatchesPortableAtEverySizeOfARing) {
  std::mt19937_64 random(kSeed);
  for (int log_degree = 10; log_degree <= 16; ++log_degree) {
    for (int bits : {27, 31, 50}) {
      const Case c(log_degree, bits, 3, {{6, 3}, {3, 2}}, Pattern::kRandom, 27, random);
      for (std::size_t tile : {c.n, c.n / 8})
        ASSERT_EQ(c.run(tested(), true, tile), c.run(kPortableKernels, true, tile))
            << "log_degree " << log_degree << ", " << bits << " bits, seed " << kSeed;
    }
  }
}

// As many inputs as a dense layer has: longer than one reduction of all but short weights.
TEST_P(ScalarProductTest, MatchesPortableOnLongSums) {
  std::mt19937_64 random(kSeed);
  for (int bits : {27, 31, 32, 45, 50}) {
    for (int weight_bits : {0, 24}) {
      for (Pattern pattern : {Pattern::kRandom, Pattern::kLargest, Pattern::kAlternating}) {
        const Case c(5, bits, 5000, {{6, 5000}, {1, 4999}}, pattern, weight_bits, random);
        ASSERT_EQ(c.run(tested(), true, c.n), c.run(kPortableKernels, true, c.n))
            << bits << " bits, weights of " << weight_bits << ", seed " << kSeed;
      }
    }
  }
}

// Weights of one sign that sum up to as much as the matrix claims, alike or in one of each window, on inputs of the largest
// magnitude: the largest sums there can be between two reductions, for weights of every length.
TEST_P(ScalarProductTest, MatchesPortableOnSumsAtTheirLimit) {
  constexpr std::size_t kWindow = ScalarProduct::kWindow;
  std::mt19937_64 random(kSeed);
  for (int bits : {19, 20, 26, 27, 30, 31, 32, 50}) {
    Case c(5, bits, 400, {{1, 400}, {1, 9}}, Pattern::kAlternating, 1, random);
    for (int weight_bits = 1; weight_bits < bits - 1; ++weight_bits) {
      for (double fraction : {0.51, 0.6, 0.7, 0.8, 0.9, 1.0}) {
        const std::int64_t weight = (static_cast<std::int64_t>(std::ldexp(fraction, weight_bits)) - 1) | 1;
        for (const auto& [sign, alike, place] :
             {std::tuple{1, true, 0}, {-1, true, 0}, {1, false, 0}, {1, false, 7}}) {
          if (sign < 0 && !ScalarProduct::narrow(c.q)) continue;
          for (std::size_t j = 0; j < c.weights.size(); ++j)
            c.weights[j] = alike || j % kWindow == static_cast<std::size_t>(place) ? sign * weight : 0;
          c.window_sum = (alike ? kWindow : 1) * static_cast<u64>(weight);
          ASSERT_EQ(c.run(tested(), true, c.n), c.run(kPortableKernels, true, c.n))
              << bits << " bits, weight " << sign * weight << (alike ? ", alike" : "") << ", seed " << kSeed;
        }
      }
    }
  }
}

// Against sums of residues that are reduced one by one.
TEST_P(ScalarProductTest, IsTheSumOfIntegers) {
  std::mt19937_64 random(kSeed);
  for (int bits : kPrimeBits) {
    for (int weight_bits : {0, 27}) {
      const Case c(6, bits, 70, some_blocks(), Pattern::kRandom, weight_bits, random);
      const auto out = c.run(tested(), true, c.n);
      std::size_t output = 0, first_input = 0, first_weight = 0;
      for (const ScalarProduct::Block& block : c.blocks) {
        for (std::size_t o = 0; o < block.outputs; ++o, ++output) {
          for (std::size_t i = 0; i < c.n; ++i) {
            u64 sum = c.start[output];
            for (std::size_t j = 0; j < block.inputs; ++j) {
              const u64 weight = c.q.reduce_signed(c.weights[first_weight + j * block.outputs + o]);
              sum = c.q.add(sum, c.q.multiply(weight, c.x[c.input[first_input + j]][i]));
            }
            ASSERT_EQ(out[output][i], sum) << "output " << output << ", " << bits << " bits, seed " << kSeed;
          }
        }
        first_input += block.inputs;
        first_weight += std::size_t{block.inputs} * block.outputs;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, ScalarProductTest, testing::Range(std::size_t{0}, all_kernels().size()),
                         kernel_name);

}  // namespace
}  // namespace tacit::ring
