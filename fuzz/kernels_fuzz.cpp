// SPDX-License-Identifier: Apache-2.0
// Every kernel that this machine can run against the portable one: the input chooses a ring, a prime, an entry of
// Kernels and its operands, which lean to the ends of their ranges; any difference aborts.
//
//   cmake --preset fuzz && cmake --build --preset fuzz
//   build/fuzz/bin/kernels_fuzz -max_total_time=180 -max_len=512
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>

#include "ring/kernels/kernels.h"

namespace tacit::ring {
namespace {

using Words = AlignedVector<u64>;

constexpr int kMinLogDegree = 3, kMaxLogDegree = 12;
constexpr std::size_t kMaxTerms = 40;  // more than one reduction of any kernel takes for primes of 50 bits

// Two primes below 2^bits and two above, as far as there are any.
const std::vector<u64>& primes_of(int log_degree, int bits) {
  static std::map<std::pair<int, int>, std::vector<u64>> cache;
  auto [entry, fresh] = cache.try_emplace({log_degree, bits});
  for (std::size_t count = 4; fresh && entry->second.empty() && count > 0; --count)
    entry->second = ntt_primes(log_degree, bits, count);
  return entry->second;
}

const NttTable& table_of(int log_degree, u64 prime) {
  static std::map<std::pair<int, u64>, std::unique_ptr<NttTable>> cache;
  auto& table = cache[{log_degree, prime}];
  if (table == nullptr) table = std::make_unique<NttTable>(log_degree, Modulus(prime));
  return *table;
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : provider_(data, size) {}

  template <class Integer>
  Integer integer(Integer first, Integer last) {
    return provider_.ConsumeIntegralInRange<Integer>(first, last);
  }
  bool flag() { return provider_.ConsumeBool(); }
  u64 residue(u64 limit) { return word(integer<unsigned>(0, 7), limit); }

  // A prime for this ring, of any size that has one.
  u64 prime(int log_degree) {
    const std::vector<u64>* primes = nullptr;
    for (int bits = integer(log_degree + 2, kMaxPrimeBits); primes == nullptr || primes->empty(); ++bits)
      primes = &primes_of(log_degree, std::min(bits, kMaxPrimeBits));
    return (*primes)[integer<std::size_t>(0, primes->size() - 1)];
  }

  // Words below `limit`, in runs of a power of two words each of one kind: the stages of a transform pair words that are
  // a power of two apart.
  Words words(std::size_t n, u64 limit) {
    const int log_run = integer(0, 12);
    const std::string kinds = provider_.ConsumeBytesAsString(integer<std::size_t>(1, 8));
    state_ = state_ * 31 + provider_.ConsumeIntegral<std::uint16_t>();
    Words result(n);
    for (std::size_t i = 0; i < n; ++i) {
      const auto kind = kinds.empty() ? 7u : static_cast<std::uint8_t>(kinds[(i >> log_run) % kinds.size()]);
      result[i] = word(kind % 8, limit);
    }
    return result;
  }

 private:
  u64 word(unsigned kind, u64 limit) {
    const u64 few = std::min<u64>(limit, 16);
    switch (kind) {
      case 0:
        return 0;
      case 1:
        return limit - 1;
      case 2:
        return limit / 2;
      case 3:
        return (limit / 2 + 1) % limit;
      case 4:
        return random() % few;
      case 5:
        return limit - 1 - random() % few;
      default:
        return random() % limit;
    }
  }
  // splitmix64 (Steele, Lea and Flood 2014).
  u64 random() {
    u64 z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }

  FuzzedDataProvider provider_;
  u64 state_ = 0;
};

// Runs call(kernels, buffers) for every available implementation on its own copy of the buffers, which must end alike.
template <class Call>
void compare(const char* entry, const Modulus& q, std::size_t n, const std::vector<Words>& buffers,
             const Call& call) {
  std::vector<Words> expected = buffers;
  call(kPortableKernels, expected);
  for (const Kernels* kernels : all_kernels()) {
    if (kernels == &kPortableKernels || !kernels->available()) continue;
    std::vector<Words> actual = buffers;
    call(*kernels, actual);
    for (std::size_t b = 0; b < buffers.size(); ++b) {
      const auto [e, a] = std::ranges::mismatch(expected[b], actual[b]);
      if (e == expected[b].end()) continue;
      std::fprintf(stderr, "%s of %s, q = %llu, n = %zu: word %td of buffer %zu is %llu, not %llu\n", entry,
                   kernels->name, static_cast<unsigned long long>(q.value()), n, e - expected[b].begin(), b,
                   static_cast<unsigned long long>(*a), static_cast<unsigned long long>(*e));
      std::abort();
    }
  }
}

// The ring and what all entries take from the input.
struct Case {
  explicit Case(Input& in)
      : input(in),
        log_degree(in.integer(kMinLogDegree, kMaxLogDegree)),
        q(in.prime(log_degree)),
        n(std::size_t{1} << log_degree) {}

  Words residues() { return input.words(n, q.value()); }
  Automorphism automorphism() {
    return Automorphism(log_degree,
                        2 * input.integer<std::uint32_t>(0, static_cast<std::uint32_t>(n - 1)) + 1);
  }

  Input& input;
  int log_degree;
  Modulus q;
  std::size_t n;
};

// Each transform from one array to the next.
struct ArrayStreams final : NttStream {
  ArrayStreams(std::vector<Words>& all, const std::vector<Words>& transformed)
      : arrays(all), values(transformed) {}
  void make(std::size_t t, std::size_t first, u64* words, std::size_t count) const override {
    std::copy_n(arrays[2 * t].data() + first, count, words);
  }
  void finish(std::size_t t, std::size_t first, std::size_t count) const override {
    std::copy_n(values[t].data() + first, count, arrays[2 * t + 1].data() + first);
  }
  std::vector<Words>& arrays;
  const std::vector<Words>& values;
};

void forward_ntt(Case& c) {
  const NttTable& table = table_of(c.log_degree, c.q.value());
  const bool in_place = c.input.flag();
  compare("forward_ntt", c.q, c.n,
          {c.input.words(c.n, c.input.flag() ? kLazyLimit : c.q.value()), Words(c.n, 0)},
          [&](const Kernels& k, std::vector<Words>& b) {
            k.forward_ntt(table, b[in_place ? 0 : 1].data(), b[0].data());
          });
}

// One transform, or one together with another prime's.
void forward_ntt_streamed(Case& c) {
  const NttTable& table = table_of(c.log_degree, c.q.value());
  const NttTable& other = table_of(c.log_degree, c.input.prime(c.log_degree));
  const std::size_t count = c.input.flag() ? 2 : 1;
  compare("forward_ntt_streamed", c.q, c.n,
          {c.input.words(c.n, kLazyLimit), Words(c.n, 0), c.input.words(c.n, kLazyLimit), Words(c.n, 0)},
          [&](const Kernels& k, std::vector<Words>& b) {
            std::vector<Words> values(2, Words(c.n));
            const StreamedNtt transforms[] = {{&table, values[0].data()}, {&other, values[1].data()}};
            k.forward_ntt_streamed({transforms, count}, ArrayStreams(b, values));
          });
}

void inverse_ntt(Case& c) {
  const NttTable& table = table_of(c.log_degree, c.q.value());
  const InverseScale scale = table.inverse_scale(c.input.residue(c.q.value()));
  const bool permuted = c.input.flag(), in_place = !permuted && c.input.flag();
  const Automorphism automorphism = c.automorphism();
  compare("inverse_ntt", c.q, c.n, {c.residues(), Words(c.n, 0)},
          [&](const Kernels& k, std::vector<Words>& b) {
            k.inverse_ntt(table, scale, permuted ? &automorphism : nullptr, b[in_place ? 0 : 1].data(),
                          b[0].data());
          });
}

void elementwise(Case& c) {
  const int entry = c.input.integer(0, 6);
  const std::size_t out = c.input.integer<std::size_t>(0, 2);  // one of the inputs, or neither
  const ShoupConstant w = c.q.shoup(c.input.residue(c.q.value()));
  const bool wide = entry == 4 || entry == 5;
  const Words a = wide ? c.input.words(c.n, u64{1} << kRadixBits) : c.residues();
  const std::size_t sum = entry == 5 && out == 0 ? 2 : out;  // the sum starts as a residue
  compare("elementwise", c.q, c.n, {a, c.residues(), c.residues()},
          [&](const Kernels& k, std::vector<Words>& b) {
            u64* const o = b[out].data();
            switch (entry) {
              case 0:
                return k.add(c.q, o, b[0].data(), b[1].data(), c.n);
              case 1:
                return k.subtract(c.q, o, b[0].data(), b[1].data(), c.n);
              case 2:
                return k.negate(c.q, o, b[0].data(), c.n);
              case 3:
                return k.multiply(c.q, o, b[0].data(), b[1].data(), c.n);
              case 4:
                return k.multiply_constant(c.q, w, o, b[0].data(), c.n);
              case 5:
                return k.add_multiple(c.q, w, b[sum].data(), b[0].data(), c.n);
              default:
                return k.subtract_multiply(c.q, w, o, b[0].data(), b[1].data(), c.n);
            }
          });
}

void permute(Case& c) {
  const Automorphism automorphism = c.automorphism();
  const std::size_t first = 8 * c.input.integer<std::size_t>(0, c.n / 8 - 1);
  compare("permute", c.q, c.n, {c.residues(), Words(c.n, 0)}, [&](const Kernels& k, std::vector<Words>& b) {
    k.permute(automorphism, first, b[1].data() + first, b[0].data(), c.n - first);
  });
}

Constants random_constants(Case& c, std::size_t rows) {
  Constants constants(c.n, {c.q}, rows);
  for (std::size_t row = 0; row < rows; ++row) constants.store(0, row, c.residues().data());
  return constants;
}
struct Terms {
  Terms(Case& c, std::size_t terms) {
    for (std::size_t j = 0; j < terms; ++j) words.push_back(c.residues());
    for (const Words& w : words) pointers.push_back(w.data());
  }
  std::vector<Words> words;
  std::vector<const u64*> pointers;
};

void key_product(Case& c) {
  const std::size_t terms = c.input.integer<std::size_t>(1, kMaxTerms);
  const bool permuted = c.input.flag(), accumulate = c.input.flag();
  const bool added[2] = {c.input.flag(), c.input.flag()}, addends_permuted = c.input.flag();
  const bool by_product = added[0] && added[1] && c.input.flag();
  const Automorphism automorphism = c.automorphism(), of_addends = c.automorphism();
  const std::size_t first = 8 * c.input.integer<std::size_t>(0, c.n / 8 - 1);
  const Constants key0 = random_constants(c, terms), key1 = random_constants(c, terms);
  const Terms x(c, terms), addends(c, 4);
  KeyAddend addend{added[0] ? addends.pointers[0] : nullptr,
                   added[1] ? addends.pointers[1] : nullptr,
                   c.q.shoup(c.input.residue(c.q.value())),
                   addends_permuted && !by_product ? &of_addends : nullptr,
                   nullptr,
                   nullptr};
  if (by_product) addend.b0 = addends.pointers[2], addend.b1 = addends.pointers[3];
  compare("key_product", c.q, c.n, {c.residues(), c.residues()},
          [&](const Kernels& k, std::vector<Words>& b) {
            k.key_product(c.q,
                          {x.pointers.data(), key0.limb(0, first), key1.limb(0, first), terms,
                           permuted ? &automorphism : nullptr, b[0].data() + first, b[1].data() + first,
                           accumulate, first, addend},
                          c.n - first);
          });
}

void plain_product(Case& c) {
  const std::size_t factors = c.input.integer<std::size_t>(1, kMaxTerms),
                    groups = c.input.integer<std::size_t>(1, 4);
  std::vector<std::uint32_t> factor;
  std::vector<std::size_t> ends;
  for (std::size_t g = 0; g < groups; ++g) {
    for (std::size_t terms = c.input.integer<std::size_t>(g == 0 ? 1 : 0, kMaxTerms); terms > 0; --terms)
      factor.push_back(c.input.integer<std::uint32_t>(0, static_cast<std::uint32_t>(factors - 1)));
    ends.push_back(factor.size());
  }
  const Constants plain = random_constants(c, factor.size());
  const Terms x0(c, factors), x1(c, factors);
  Words scratch(PlainProduct::kScratchWords * factors);
  compare("plain_product", c.q, c.n, std::vector<Words>(2 * groups, Words(c.n, 0)),
          [&](const Kernels& k, std::vector<Words>& b) {
            std::vector<u64*> out0, out1;
            for (std::size_t g = 0; g < groups; ++g) {
              out0.push_back(b[2 * g].data());
              out1.push_back(b[2 * g + 1].data());
            }
            k.plain_product(c.q,
                            {plain.limb(0), x0.pointers.data(), x1.pointers.data(), factors, factor.data(),
                             ends.data(), groups, out0.data(), out1.data(), scratch.data()},
                            c.n);
          });
}

void scalar_product(Case& c) {
  constexpr std::size_t kPanel = ScalarProduct::kPanel;
  if (c.n < kPanel) return;
  const bool narrow = ScalarProduct::narrow(c.q);
  const Terms x(c, c.input.integer<std::size_t>(1, kMaxTerms));
  std::vector<ScalarProduct::Block> blocks(c.input.integer<std::size_t>(1, 4));
  std::vector<std::uint32_t> input;
  std::vector<std::int64_t> weights;
  std::size_t outputs = 0;
  u64 window_sum = 0;
  for (ScalarProduct::Block& block : blocks) {
    block.outputs = c.input.integer<std::uint32_t>(1, ScalarProduct::kMaxOutputs);
    block.inputs = c.input.integer<std::uint32_t>(1, static_cast<std::uint32_t>(x.words.size()));
    outputs += block.outputs;
    const Words residues = c.input.words(block.outputs * std::size_t{block.inputs}, c.q.value());
    u64 sums[ScalarProduct::kMaxOutputs];
    for (std::size_t k = 0; k < residues.size(); ++k) {
      const std::size_t j = k / block.outputs, o = k % block.outputs;
      if (o == 0)
        input.push_back(c.input.integer<std::uint32_t>(0, static_cast<std::uint32_t>(x.words.size() - 1)));
      weights.push_back(narrow ? c.q.centred(residues[k]) : static_cast<std::int64_t>(residues[k]));
      sums[o] = (j % ScalarProduct::kWindow == 0 ? 0 : sums[o]) + static_cast<u64>(std::abs(weights.back()));
      window_sum = std::max(window_sum, sums[o]);
    }
  }
  const Words start = c.input.words(outputs, c.q.value());
  const bool started = c.input.flag();
  const std::size_t first = kPanel * c.input.integer<std::size_t>(0, c.n / kPanel - 1);
  std::vector<Words> buffers(outputs, Words(c.n, 0));
  compare("scalar_product", c.q, c.n, buffers, [&](const Kernels& k, std::vector<Words>& b) {
    std::vector<u64*> out;
    for (Words& words : b) out.push_back(words.data());
    Words scratch(ScalarProduct::scratch_words(x.words.size(), c.n - first));
    k.scalar_product(c.q,
                     {blocks, input.data(), weights.data(), window_sum, started ? start.data() : nullptr,
                      x.pointers.data(), x.words.size(), out.data(), scratch.data(), first},
                     c.n - first);
  });
}

void tensor_product(Case& c) {
  const Terms in(c, 4);
  const auto& x = in.pointers;
  compare("tensor_product", c.q, c.n, std::vector<Words>(3, Words(c.n, 0)),
          [&](const Kernels& k, std::vector<Words>& b) {
            k.tensor_product(c.q, {x[0], x[1], x[2], x[3], b[0].data(), b[1].data(), b[2].data()}, c.n);
          });
}

void convert_base(Case& c) {
  const std::size_t terms = c.input.integer<std::size_t>(1, kMaxTerms);
  std::vector<Words> words;
  std::vector<const u64*> y;
  std::vector<u64> factors;
  std::vector<double> inverses;
  for (std::size_t j = 0; j < terms; ++j) {
    const u64 m = c.input.prime(c.log_degree);
    words.push_back(c.input.words(c.n, m));
    factors.push_back(c.input.residue(c.q.value()));
    inverses.push_back(1.0 / static_cast<double>(m));
  }
  for (const Words& w : words) y.push_back(w.data());
  compare("convert_base", c.q, c.n, {Words(c.n, 0), Words(c.n, 0)},
          [&](const Kernels& k, std::vector<Words>& b) {
            k.convert_base(c.q, {y.data(), factors.data(), terms, b[0].data()}, c.n);
            k.rounded_quotient({y.data(), inverses.data(), terms, b[1].data()}, c.n);
          });
}

void lift_centred(Case& c) {
  const u64 m = c.input.prime(c.log_degree);
  const u64 offset = (m / 2 + c.q.value() - 1) / c.q.value() * c.q.value();
  compare("lift_centred", c.q, c.n, {c.input.words(c.n, m), Words(c.n, 0)},
          [&](const Kernels& k, std::vector<Words>& b) {
            k.lift_centred(m, offset, b[1].data(), b[0].data(), c.n);
          });
}

void sample_uniform(Case& c) {
  Words words = c.input.words(c.n, u64{1} << kRadixBits);
  for (u64& word : words) word |= word << kRadixBits;  // the high bits must not matter
  const u64 threshold = c.input.flag() ? c.q.radix() : c.input.residue(c.q.value());
  const std::size_t capacity = c.input.integer<std::size_t>(0, c.n);
  compare("sample_uniform", c.q, c.n, {Words(c.n, 0)}, [&](const Kernels& k, std::vector<Words>& b) {
    const std::size_t count = k.sample_uniform(c.q, threshold, b[0].data(), capacity, words.data(), c.n);
    if (count > capacity) std::abort();
    // What stands beyond the values written, up to the capacity, is nobody's promise.
    std::fill(b[0].begin() + static_cast<std::ptrdiff_t>(count),
              b[0].begin() + static_cast<std::ptrdiff_t>(capacity), count);
  });
}

void keystream(Case& c) {
  Words key = c.input.words(8, ~u64{0});
  const u64 first = c.input.words(1, ~u64{0})[0];
  const std::size_t blocks = c.input.integer<std::size_t>(0, c.n / 8);
  compare("keystream", c.q, c.n, {Words(c.n, 0)}, [&](const Kernels& k, std::vector<Words>& b) {
    k.keystream(reinterpret_cast<const std::uint8_t*>(key.data()), first,
                reinterpret_cast<std::uint8_t*>(b[0].data()), blocks);
  });
}

constexpr void (*kEntries[])(Case&) = {forward_ntt,   forward_ntt_streamed, inverse_ntt,    elementwise,
                                       permute,       key_product,          plain_product,  tensor_product,
                                       convert_base,  lift_centred,         sample_uniform, keystream,
                                       scalar_product};

}  // namespace
}  // namespace tacit::ring

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tacit::ring::Input input(data, size);
  const auto entry =
      tacit::ring::kEntries[input.integer<std::size_t>(0, std::size(tacit::ring::kEntries) - 1)];
  tacit::ring::Case fuzzed(input);
  entry(fuzzed);
  return 0;
}
