// SPDX-License-Identifier: Apache-2.0
// The definition of every kernel, in plain C++.
#include <sodium.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ring/kernels/kernels.h"

namespace tacit::ring {

void forward_ntt_in_one_piece(decltype(Kernels::forward_ntt) forward_ntt,
                              std::span<const StreamedNtt> transforms, const NttStream& stream) {
  for (std::size_t i = 0; i < transforms.size(); ++i) {
    const auto& [table, out] = transforms[i];
    stream.make(i, 0, out, table->degree());
    forward_ntt(*table, out, out);
    stream.finish(i, 0, table->degree());
  }
}

namespace {

bool available() { return true; }

// Cooley-Tukey butterflies with values in [0, 4q) (Harvey 2014, section 3), decimation in time, natural to bit-reversed.
void forward_ntt(const NttTable& table, u64* out, const u64* in) {
  const Modulus& modulus = table.modulus;
  const u64 q = modulus.value(), two_q = 2 * q;
  const std::size_t n = table.degree();
  for (std::size_t i = 0; i < n; ++i) out[i] = modulus.multiply_shoup_lazy(modulus.shoup_one(), in[i]);
  for (std::size_t blocks = 1, half = n / 2; blocks < n; blocks *= 2, half /= 2) {
    for (std::size_t block = 0; block < blocks; ++block) {
      const ShoupConstant w{table.roots[blocks + block], table.root_quotients[blocks + block]};
      u64* x = out + 2 * block * half;
      u64* y = x + half;
      for (std::size_t i = 0; i < half; ++i) {
        u64 u = subtract_if_at_least(x[i], two_q);
        u64 v = modulus.multiply_shoup_lazy(w, y[i]);
        x[i] = u + v;
        y[i] = u + two_q - v;
      }
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    out[i] = subtract_if_at_least(subtract_if_at_least(out[i], two_q), q);
  }
}

void forward_ntt_streamed(std::span<const StreamedNtt> transforms, const NttStream& stream) {
  forward_ntt_in_one_piece(forward_ntt, transforms, stream);
}

// p(i) for the permutation p of an automorphism, or of none.
std::size_t permuted_place(const Automorphism* permutation, std::size_t i) {
  if (permutation == nullptr) return i;
  const std::uint32_t block = permutation->blocks[i / 8];
  return (block & ~7u) + permutation->order[block & 7][i % 8];
}

void permute(const Automorphism& automorphism, std::size_t first, u64* out, const u64* in, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = in[permuted_place(&automorphism, first + i)];
}

// Gentleman-Sande butterflies with values in [0, 2q); the last stage multiplies by the scale.
void inverse_ntt(const NttTable& table, const InverseScale& scale, const Automorphism* permutation, u64* out,
                 const u64* in) {
  const Modulus& modulus = table.modulus;
  const u64 two_q = 2 * modulus.value();
  const std::size_t n = table.degree();
  if (permutation != nullptr) {
    permute(*permutation, 0, out, in, n);
  } else if (out != in) {
    std::copy_n(in, n, out);
  }
  for (std::size_t blocks = n / 2, half = 1; blocks > 1; blocks /= 2, half *= 2) {
    for (std::size_t block = 0; block < blocks; ++block) {
      const ShoupConstant w{table.inverse_roots[blocks + block],
                            table.inverse_root_quotients[blocks + block]};
      u64* x = out + 2 * block * half;
      u64* y = x + half;
      for (std::size_t i = 0; i < half; ++i) {
        u64 sum = x[i] + y[i];
        u64 difference = x[i] + two_q - y[i];
        x[i] = subtract_if_at_least(sum, two_q);
        y[i] = modulus.multiply_shoup_lazy(w, difference);
      }
    }
  }
  for (std::size_t i = 0; i < n / 2; ++i) {
    u64 sum = out[i] + out[i + n / 2];
    u64 difference = out[i] + two_q - out[i + n / 2];
    out[i] = modulus.multiply_shoup(scale.sum, sum);
    out[i + n / 2] = modulus.multiply_shoup(scale.difference, difference);
  }
}

void add(const Modulus& q, u64* out, const u64* a, const u64* b, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = q.add(a[i], b[i]);
}

void subtract(const Modulus& q, u64* out, const u64* a, const u64* b, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = q.subtract(a[i], b[i]);
}

void negate(const Modulus& q, u64* out, const u64* a, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = q.negate(a[i]);
}

void multiply(const Modulus& q, u64* out, const u64* a, const u64* b, std::size_t n) {
  const ShoupConstant radix = q.shoup(q.radix());
  for (std::size_t i = 0; i < n; ++i) {
    out[i] = q.multiply_shoup(radix, q.reduce_montgomery(u128{a[i]} * b[i]));
  }
}

void multiply_constant(const Modulus& q, ShoupConstant w, u64* out, const u64* a, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = q.multiply_shoup(w, a[i]);
}

void add_multiple(const Modulus& q, ShoupConstant w, u64* out, const u64* a, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = q.add(out[i], q.multiply_shoup(w, a[i]));
}

void subtract_multiply(const Modulus& q, ShoupConstant w, u64* out, const u64* a, const u64* b,
                       std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = q.multiply_shoup(w, a[i] + q.value() - b[i]);
}

// Sums of products with one reduction for each kTermsPerReduction of them: a product is below 2^100, so that many fit
// what reduce_montgomery takes.
constexpr std::size_t kTermsPerReduction = 16;

// accumulator + sum_j product(j) / 2^52 over the terms.
template <class Product>
u64 sum_products(const Modulus& q, u64 accumulator, std::size_t terms, const Product& product) {
  for (std::size_t first = 0; first < terms; first += kTermsPerReduction) {
    const std::size_t last = std::min(first + kTermsPerReduction, terms);
    u128 sum = 0;
    for (std::size_t j = first; j < last; ++j) sum += product(j);
    accumulator = q.add(accumulator, q.reduce_montgomery(sum));
  }
  return accumulator;
}

u64 constant(const ConstantRows& rows, std::size_t place, std::size_t row, std::size_t width) {
  u64 word;  // its high bytes belong to what comes next
  std::memcpy(&word, rows.at(place, row, width), sizeof word);
  return word & ((u64{1} << (8 * width)) - 1);
}

void key_product(const Modulus& q, const KeyProduct& p, std::size_t n) {
  const std::size_t width = ConstantRows::width(q);
  const KeyAddend& addend = p.addend;
  const ShoupConstant radix = q.shoup(q.radix());
  const auto addend_at = [&](std::size_t c, std::size_t i) {
    const auto times_factor = [&](const u64* words) {
      return words == nullptr ? 0
                              : q.multiply_shoup(addend.factor, words[permuted_place(addend.permutation, i)]);
    };
    if (addend.b0 == nullptr) return times_factor(c == 0 ? addend.c0 : addend.c1);
    const u64 c0 = times_factor(addend.c0);
    const u128 product = c == 0 ? u128{c0} * addend.b0[i]
                                : u128{c0} * addend.b1[i] + u128{times_factor(addend.c1)} * addend.b0[i];
    return q.multiply_shoup(radix, q.reduce_montgomery(product));
  };
  const auto column = [&](std::size_t c, u64* out, const ConstantRows& key) {
    for (std::size_t i = 0; i < n; ++i) {
      const u64 start = q.add(p.accumulate ? out[i] : 0, addend_at(c, p.first + i));
      const std::size_t from = permuted_place(p.permutation, p.first + i);
      out[i] = sum_products(q, start, p.terms,
                            [&](std::size_t j) { return u128{p.x[j][from]} * constant(key, i, j, width); });
    }
  };
  column(0, p.out0, p.key0);
  column(1, p.out1, p.key1);
}

void plain_product(const Modulus& q, const PlainProduct& p, std::size_t n) {
  const std::size_t width = ConstantRows::width(q);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t g = 0; g < p.groups; ++g) {
      const std::size_t first = g == 0 ? 0 : p.ends[g - 1];
      const auto sum = [&](const u64* const* x) {
        return sum_products(q, 0, p.ends[g] - first, [&](std::size_t j) {
          return u128{x[p.factor[first + j]][i]} * constant(p.plain, i, first + j, width);
        });
      };
      p.out0[g][i] = sum(p.x0);
      p.out1[g][i] = sum(p.x1);
    }
  }
}

// A word and a weight make less than 2^100, so that no sum outgrows 127 bits.
void scalar_product(const Modulus& q, const ScalarProduct& p, std::size_t n) {
  using i128 = __int128;
  constexpr std::size_t kPlaces = 8;
  const i128 modulus = q.value();
  const std::uint32_t* input = p.input;
  const std::int64_t* weights = p.weights;
  std::size_t output = 0;
  for (const ScalarProduct::Block& block : p.blocks) {
    for (std::size_t o = 0; o < block.outputs; ++o, ++output) {
      for (std::size_t i = 0; i < n; i += kPlaces) {
        i128 sums[kPlaces];
        std::fill_n(sums, kPlaces, p.start != nullptr ? p.start[output] : 0);
        for (std::size_t j = 0; j < block.inputs; ++j) {
          const u64* x = p.x[input[j]] + p.first + i;
          const i128 weight = weights[j * block.outputs + o];
          for (std::size_t t = 0; t < kPlaces; ++t) sums[t] += weight * static_cast<std::int64_t>(x[t]);
        }
        for (std::size_t t = 0; t < kPlaces; ++t) {
          const auto residue = static_cast<std::int64_t>(sums[t] % modulus);
          p.out[output][p.first + i + t] = add_if_negative(static_cast<u64>(residue), q.value());
        }
      }
    }
    input += block.inputs;
    weights += std::size_t{block.inputs} * block.outputs;
  }
}

void tensor_product(const Modulus& q, const TensorProduct& p, std::size_t n) {
  const ShoupConstant radix = q.shoup(q.radix());
  auto reduce = [&](u128 sum) { return q.multiply_shoup(radix, q.reduce_montgomery(sum)); };
  for (std::size_t i = 0; i < n; ++i) {
    p.d0[i] = reduce(u128{p.a0[i]} * p.b0[i]);
    p.d1[i] = reduce(u128{p.a0[i]} * p.b1[i] + u128{p.a1[i]} * p.b0[i]);
    p.d2[i] = reduce(u128{p.a1[i]} * p.b1[i]);
  }
}

void convert_base(const Modulus& q, const BaseConversion& p, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i)
    p.out[i] =
        sum_products(q, 0, p.terms, [&](std::size_t j) { return u128{p.y[j][p.first + i]} * p.factors[j]; });
}

void rounded_quotient(const RoundedQuotient& p, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    double quotient = 0;
    for (std::size_t j = 0; j < p.terms; ++j) quotient += static_cast<double>(p.y[j][i]) * p.inverses[j];
    p.out[i] = static_cast<u64>(std::floor(quotient + 0.5));
  }
}

void lift_centred(u64 m, u64 offset, u64* out, const u64* a, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = a[i] + offset - (a[i] > m / 2 ? m : 0);
}

std::size_t sample_uniform(const Modulus& q, u64 threshold, u64* out, std::size_t capacity, const u64* words,
                           std::size_t n) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < n && count < capacity; ++i) {
    u128 product = u128{words[i] & kRadixMask} * q.value();
    if ((static_cast<u64>(product) & kRadixMask) >= threshold)
      out[count++] = static_cast<u64>(product >> kRadixBits);
  }
  return count;
}

void keystream(const std::uint8_t key[32], u64 first, std::uint8_t* out, std::size_t count) {
  static constexpr std::uint8_t kNonce[crypto_stream_chacha20_NONCEBYTES] = {};
  std::memset(out, 0, 64 * count);
  crypto_stream_chacha20_xor_ic(out, out, 64 * count, kNonce, first, key);
}

}  // namespace

const Kernels kPortableKernels = {
    "portable",       available,
    forward_ntt,      forward_ntt_streamed,
    inverse_ntt,      add,
    subtract,         negate,
    multiply,         multiply_constant,
    add_multiple,     subtract_multiply,
    permute,          key_product,
    plain_product,    scalar_product,
    tensor_product,   convert_base,
    rounded_quotient, lift_centred,
    sample_uniform,   keystream,
};

}  // namespace tacit::ring
