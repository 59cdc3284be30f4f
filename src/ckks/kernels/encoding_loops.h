// SPDX-License-Identifier: Apache-2.0
// The loops of EncodingKernels for vectors of any width, written once. Each file of an instruction set includes this,
// gets its own copy (the unnamed namespace: one that is shared would be compiled with the flags of only one of the
// files) and makes its table of it. GCC's vector extensions; a vector of width 1 is a plain double.
//
// The transform is a tree: node i holds a complex polynomial modulo X^len = zeta^E(i), and its children hold it modulo
// X^(len/2) = +-root(i), root(i) = zeta^(E(i)/2). So the root of a right child is i times that of its left sibling,
// and need not be stored. A butterfly is the same few operations in whichever pass it is done.
#pragma once

#include "ckks/kernels/encoding.h"

namespace tacit::ckks {
namespace {

template <size_t kWidth>
struct LanesOf {
  typedef double Double __attribute__((vector_size(8 * kWidth), may_alias));
  typedef int64_t Word __attribute__((vector_size(8 * kWidth), may_alias));
};
template <>
struct LanesOf<1> {
  using Double = double;
  using Word = int64_t;
};

template <size_t kWidth>
struct EncodingLoops {
  using Double = typename LanesOf<kWidth>::Double;
  using Word = typename LanesOf<kWidth>::Word;

  // Integers below 2^52 stand in the low bits of a double from 2^52 on, whose unit in the last place is 1.
  static constexpr double kUnitUlp = 0x1p52;
  static constexpr int64_t kUnitUlpBits = 0x4330000000000000;
  static constexpr int64_t kSignBit = INT64_MIN;

  static Double load(const double* p) { return *reinterpret_cast<const Double*>(p); }
  static void store(double* p, Double v) { *reinterpret_cast<Double*>(p) = v; }
  static Word load(const uint64_t* p) { return *reinterpret_cast<const Word*>(p); }
  static void store(uint64_t* p, Word v) { *reinterpret_cast<Word*>(p) = v; }
  static Word bits(Double v) { return __builtin_bit_cast(Word, v); }
  static Double from_bits(Word v) { return __builtin_bit_cast(Double, v); }

  struct Complex {
    Double re, im;
  };
  // A root in every lane, or one for each.
  template <class T>
  struct Root {
    T re, im;
  };

  // x + y, (x - y) conj(w).
  template <class T>
  static void inverse_butterfly(Complex& x, Complex& y, Root<T> w) {
    const Double re = x.re - y.re, im = x.im - y.im;
    x = {x.re + y.re, x.im + y.im};
    y = {re * w.re + im * w.im, im * w.re - re * w.im};
  }
  // x + y, (x - y) conj(i w).
  template <class T>
  static void inverse_butterfly_right(Complex& x, Complex& y, Root<T> w) {
    const Double re = y.re - x.re, im = y.im - x.im;
    x = {x.re + y.re, x.im + y.im};
    y = {re * w.im - im * w.re, re * w.re + im * w.im};
  }
  // x + w y, x - w y.
  template <class T>
  static void forward_butterfly(Complex& x, Complex& y, Root<T> w) {
    const Double re = y.re * w.re - y.im * w.im, im = y.re * w.im + y.im * w.re;
    y = {x.re - re, x.im - im};
    x = {x.re + re, x.im + im};
  }
  // x + i w y, x - i w y.
  template <class T>
  static void forward_butterfly_right(Complex& x, Complex& y, Root<T> w) {
    const Double re = y.re * w.re - y.im * w.im, im = y.re * w.im + y.im * w.re;
    y = {x.re + im, x.im - re};
    x = {x.re - im, x.im + re};
  }

  // kWidth rows of kWidth numbers become columns: each step exchanges one bit of the row with that bit of the column.
  static void transpose(Double* r) {
    if constexpr (kWidth == 4) {
      for (size_t i = 0; i < 4; i += 2) {
        const Double a = r[i], b = r[i + 1];
        r[i] = __builtin_shufflevector(a, b, 0, 4, 2, 6);
        r[i + 1] = __builtin_shufflevector(a, b, 1, 5, 3, 7);
      }
      for (size_t i = 0; i < 2; ++i) {
        const Double a = r[i], b = r[i + 2];
        r[i] = __builtin_shufflevector(a, b, 0, 1, 4, 5);
        r[i + 2] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
      }
    } else if constexpr (kWidth == 8) {
      for (size_t i = 0; i < 8; i += 2) {
        const Double a = r[i], b = r[i + 1];
        r[i] = __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
        r[i + 1] = __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
      }
      for (size_t j = 0; j < 4; ++j) {
        const size_t i = j < 2 ? j : j + 2;
        const Double a = r[i], b = r[i + 2];
        r[i] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
        r[i + 2] = __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
      }
      for (size_t i = 0; i < 4; ++i) {
        const Double a = r[i], b = r[i + 4];
        r[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
        r[i + 4] = __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
      }
    } else {
      static_assert(kWidth == 1);
    }
  }

  // 64 leaves as they are worked on: row j holds leaf j of each of eight groups of eight.
  struct Tile {
    alignas(64) double re[64], im[64];
  };

  // The roots of the lowest stages for kWidth groups.
  struct LeafRoots {
    explicit LeafRoots(const double* p)
        : four{load(p), load(p + 8)},
          two{load(p + 16), load(p + 24)},
          left{load(p + 32), load(p + 40)},
          right{load(p + 48), load(p + 56)} {}
    Root<Double> four, two, left, right;
  };

  // Groups of eight consecutive numbers at p from, or to, eight rows of kWidth groups.
  static void load_groups(const double* p, Double* rows) {
    for (size_t first = 0; first < 8; first += kWidth) {
      for (size_t i = 0; i < kWidth; ++i) rows[first + i] = load(p + 8 * i + first);
      transpose(rows + first);
    }
  }
  static void store_groups(double* p, Double* rows) {
    for (size_t first = 0; first < 8; first += kWidth) {
      transpose(rows + first);
      for (size_t i = 0; i < kWidth; ++i) store(p + 8 * i + first, rows[first + i]);
    }
  }

  // Stages of half 1, 2 and 4, from the tile to the polynomials modulo X^8 - zeta^E of its eight groups.
  static void inverse_leaves(const Tile& tile, const double* leaf_roots, double* re, double* im) {
    for (size_t group = 0; group < 8; group += kWidth) {
      const LeafRoots w(leaf_roots + group);
      Complex x[8];
      for (size_t j = 0; j < 8; ++j) x[j] = {load(tile.re + 8 * j + group), load(tile.im + 8 * j + group)};
      inverse_butterfly(x[0], x[1], w.left);
      inverse_butterfly_right(x[2], x[3], w.left);
      inverse_butterfly(x[4], x[5], w.right);
      inverse_butterfly_right(x[6], x[7], w.right);
      inverse_butterfly(x[0], x[2], w.two);
      inverse_butterfly(x[1], x[3], w.two);
      inverse_butterfly_right(x[4], x[6], w.two);
      inverse_butterfly_right(x[5], x[7], w.two);
      for (size_t j = 0; j < 4; ++j) inverse_butterfly(x[j], x[j + 4], w.four);
      Double rows_re[8], rows_im[8];
      for (size_t j = 0; j < 8; ++j) rows_re[j] = x[j].re, rows_im[j] = x[j].im;
      store_groups(re + 8 * group, rows_re);
      store_groups(im + 8 * group, rows_im);
    }
  }
  static void forward_leaves(const double* re, const double* im, const double* leaf_roots, Tile& tile) {
    for (size_t group = 0; group < 8; group += kWidth) {
      const LeafRoots w(leaf_roots + group);
      Double rows_re[8], rows_im[8];
      load_groups(re + 8 * group, rows_re);
      load_groups(im + 8 * group, rows_im);
      Complex x[8];
      for (size_t j = 0; j < 8; ++j) x[j] = {rows_re[j], rows_im[j]};
      for (size_t j = 0; j < 4; ++j) forward_butterfly(x[j], x[j + 4], w.four);
      forward_butterfly(x[0], x[2], w.two);
      forward_butterfly(x[1], x[3], w.two);
      forward_butterfly_right(x[4], x[6], w.two);
      forward_butterfly_right(x[5], x[7], w.two);
      forward_butterfly(x[0], x[1], w.left);
      forward_butterfly_right(x[2], x[3], w.left);
      forward_butterfly(x[4], x[5], w.right);
      forward_butterfly_right(x[6], x[7], w.right);
      for (size_t j = 0; j < 8; ++j) {
        store(tile.re + 8 * j + group, x[j].re);
        store(tile.im + 8 * j + group, x[j].im);
      }
    }
  }

  static Root<double> root(const EmbeddingTables& tables, size_t node) {
    return {tables.roots[2 * node], tables.roots[2 * node + 1]};
  }
  static Complex load(const double* re, const double* im, size_t i) { return {load(re + i), load(im + i)}; }
  static void store(double* re, double* im, size_t i, Complex v) {
    store(re + i, v.re);
    store(im + i, v.im);
  }

  // The stage of the tree's top alone, where the number of stages above the leaves is odd.
  static constexpr bool has_single_stage(size_t points) { return __builtin_ctzll(points) % 2 == 0; }

  static void inverse_stages(const EmbeddingTables& tables, double* re, double* im) {
    const size_t n = tables.points;
    size_t row = 8;
    for (; 4 * row <= n; row *= 4) {
      const size_t blocks = n / (4 * row);
      for (size_t block = 0; block < blocks; ++block) {
        const Root<double> w = root(tables, blocks + block), v = root(tables, 2 * (blocks + block));
        for (size_t i = 4 * row * block; i < 4 * row * block + row; i += kWidth) {
          Complex x0 = load(re, im, i), x1 = load(re, im, i + row), x2 = load(re, im, i + 2 * row),
                  x3 = load(re, im, i + 3 * row);
          inverse_butterfly(x0, x1, v);
          inverse_butterfly_right(x2, x3, v);
          inverse_butterfly(x0, x2, w);
          inverse_butterfly(x1, x3, w);
          store(re, im, i, x0);
          store(re, im, i + row, x1);
          store(re, im, i + 2 * row, x2);
          store(re, im, i + 3 * row, x3);
        }
      }
    }
    if (has_single_stage(n)) {
      for (size_t i = 0; i < row; i += kWidth) {
        Complex x = load(re, im, i), y = load(re, im, i + row);
        inverse_butterfly(x, y, root(tables, 1));
        store(re, im, i, x);
        store(re, im, i + row, y);
      }
    }
  }
  static void forward_stages(const EmbeddingTables& tables, double* re, double* im) {
    const size_t n = tables.points;
    size_t row = n / 4;
    if (has_single_stage(n)) {
      for (size_t i = 0; i < n / 2; i += kWidth) {
        Complex x = load(re, im, i), y = load(re, im, i + n / 2);
        forward_butterfly(x, y, root(tables, 1));
        store(re, im, i, x);
        store(re, im, i + n / 2, y);
      }
      row = n / 8;
    }
    for (; row >= 8; row /= 4) {
      const size_t blocks = n / (4 * row);
      for (size_t block = 0; block < blocks; ++block) {
        const Root<double> w = root(tables, blocks + block), v = root(tables, 2 * (blocks + block));
        for (size_t i = 4 * row * block; i < 4 * row * block + row; i += kWidth) {
          Complex x0 = load(re, im, i), x1 = load(re, im, i + row), x2 = load(re, im, i + 2 * row),
                  x3 = load(re, im, i + 3 * row);
          forward_butterfly(x0, x2, w);
          forward_butterfly(x1, x3, w);
          forward_butterfly(x0, x1, v);
          forward_butterfly_right(x2, x3, v);
          store(re, im, i, x0);
          store(re, im, i + row, x1);
          store(re, im, i + 2 * row, x2);
          store(re, im, i + 3 * row, x3);
        }
      }
    }
  }

  // The sign of the imaginary parts in a group of eight leaves: those of the tree's right half stand conjugated.
  static double sign(const EmbeddingTables& tables, size_t leaf) { return leaf < tables.points / 2 ? 1 : -1; }

  template <size_t kStride>
  static void inverse_of(const EmbeddingTables& tables, const double* slots, double* coefficients) {
    const size_t n = tables.points;
    Tile tile;
    if (kStride == 1) {
      for (double& x : tile.im) x = 0;
    }
    for (size_t first = 0; first < n; first += 64) {
      for (size_t group = 0; group < 8; ++group) {
        const uint32_t* slot = tables.slot_of_leaf + first + 8 * group;
        for (size_t j = 0; j < 8; ++j) {
          const double* z = slots + kStride * slot[j];
          tile.re[8 * j + group] = z[0];
          if (kStride == 2) tile.im[8 * j + group] = sign(tables, first + 8 * group) * z[1];
        }
      }
      inverse_leaves(tile, tables.leaf_roots + first, coefficients + first, coefficients + n + first);
    }
    inverse_stages(tables, coefficients, coefficients + n);
  }
  static void inverse_embedding(const EmbeddingTables& tables, const double* slots, size_t stride,
                                double* coefficients) {
    stride == 1 ? inverse_of<1>(tables, slots, coefficients) : inverse_of<2>(tables, slots, coefficients);
  }

  template <size_t kStride>
  static void forward_of(const EmbeddingTables& tables, double* coefficients, double* slots) {
    const size_t n = tables.points;
    forward_stages(tables, coefficients, coefficients + n);
    Tile tile;
    for (size_t first = 0; first < n; first += 64) {
      forward_leaves(coefficients + first, coefficients + n + first, tables.leaf_roots + first, tile);
      for (size_t group = 0; group < 8; ++group) {
        const uint32_t* slot = tables.slot_of_leaf + first + 8 * group;
        for (size_t j = 0; j < 8; ++j) {
          double* z = slots + kStride * slot[j];
          z[0] = tile.re[8 * j + group];
          if (kStride == 2) z[1] = sign(tables, first + 8 * group) * tile.im[8 * j + group];
        }
      }
    }
  }
  static void forward_embedding(const EmbeddingTables& tables, double* coefficients, double* slots,
                                size_t stride) {
    stride == 1 ? forward_of<1>(tables, coefficients, slots) : forward_of<2>(tables, coefficients, slots);
  }

  // Below 2^52, adding 2^52 and subtracting it again rounds to an integer, ties to even: at most the half that a tie was
  // rounded down by is missing, and that difference is exact. From 2^52 on, every double is an integer.
  static double scale_and_round(double* x, size_t n, double factor) {
    Double largest = {}, sum = {};
    for (size_t i = 0; i < n; i += kWidth) {
      const Double value = load(x + i) * factor;
      const Word sign_bit = bits(value) & kSignBit;
      const Double magnitude = from_bits(bits(value) ^ sign_bit);
      const Double even = (magnitude + kUnitUlp) - kUnitUlp;
      Double rounded = magnitude - even == 0.5 ? even + 1.0 : even;
      rounded = magnitude < kUnitUlp ? rounded : magnitude;
      largest = rounded > largest ? rounded : largest;
      sum += rounded;  // a NaN, which a maximum may lose, stays in a sum; infinities of one sign make none
      store(x + i, from_bits(bits(rounded) | sign_bit));
    }
    alignas(64) double maxima[kWidth], sums[kWidth];
    store(maxima, largest);
    store(sums, sum);
    double result = 0;
    for (size_t i = 0; i < kWidth; ++i) {
      if (__builtin_isnan(sums[i])) return sums[i];
      if (maxima[i] > result) result = maxima[i];
    }
    return result;
  }

  // The quotient is x / q but for a relative error of 2^-52 by two roundings, which is below 1 / (2q) as |x| < 2^51. So
  // its nearest integer t has |x - t q| <= (q + 1) / 2 < q, and |t q| < 2^52: the product, the difference and the sum
  // are exact.
  static void reduce(const double* x, size_t n, uint64_t modulus, uint64_t* words) {
    const double q = static_cast<double>(modulus), inverse = 1 / q;
    // 1.5 2^52 keeps the sum in [2^52, 2^53) for either sign.
    constexpr double kRound = 0x1.8p52;
    for (size_t i = 0; i < n; i += kWidth) {
      const Double value = load(x + i);
      const Double quotient = (value * inverse + kRound) - kRound;
      Double rest = value - quotient * q;
      rest = rest < 0.0 ? rest + q : rest;
      store(words + i, bits(rest + kUnitUlp) ^ kUnitUlpBits);
    }
  }

  static void add_digit(const Digit& digit, uint64_t* words, double* sums, size_t n) {
    const auto modulus = static_cast<int64_t>(digit.modulus), shift = static_cast<int64_t>(digit.shift);
    const double offset = kUnitUlp + static_cast<double>(digit.middle);
    for (size_t i = 0; i < n; i += kWidth) {
      Word word = load(words + i) + shift;
      word = word >= modulus ? word - modulus : word;
      store(words + i, word);
      const Double centred = from_bits(word | kUnitUlpBits) - offset;
      const Double term = centred * digit.weight;
      store(sums + i, load(sums + i) + (centred == 0.0 ? Double{} : term));
    }
  }

  static constexpr EncodingKernels table(const char* name, bool (*available)()) {
    return {name, available, inverse_embedding, forward_embedding, scale_and_round, reduce, add_digit};
  }
};

}  // namespace
}  // namespace tacit::ckks
