// SPDX-License-Identifier: Apache-2.0
// The loops of the encoder over doubles. The portable implementation is the definition; every other one does the same
// operations on the same numbers in the same order, without fused multiply-add, and so gives the same doubles: a
// plaintext does not depend on the machine that made it. (Only the bits of a NaN are free.)
// Buffers are aligned to a cache line, counts are multiples of 8.
//
// Files compiled for an instruction set include this header and no other of the project or of C++, so that no inline
// function that others share is compiled for a machine that they may not run on.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace tacit::ckks {

// The tables of an embedding of `points` complex values, a power of two of at least 64 (see Embedding).
struct EmbeddingTables {
  size_t points;
  // The slot that stands at each leaf of the tree. Those in the second half stand there conjugated.
  const uint32_t* slot_of_leaf;
  // The roots of the three lowest stages, for eight groups of eight leaves together: for each 64 leaves eight rows of
  // eight numbers, the real and the imaginary parts of the roots of stage 4, 2, the left one of stage 1, the right one.
  const double* leaf_roots;
  // Real and imaginary part of the root of each node above.
  const double* roots;
};

// One mixed-radix digit of a decoded number: digit = (word + shift mod modulus) - middle, of the given weight.
struct Digit {
  uint64_t modulus, shift, middle;
  double weight;
};

struct EncodingKernels {
  const char* name;
  // Whether this machine has the instructions.
  bool (*available)();

  // The inverse embedding, times the number of points: coefficients[k] + i coefficients[points + k] = c_k. The slots'
  // real parts are `stride` doubles apart; stride 2: imaginary parts stand between them; stride 1: they are zero.
  void (*inverse_embedding)(const EmbeddingTables& tables, const double* slots, size_t stride,
                            double* coefficients);
  // The embedding. Overwrites the coefficients. stride 1: writes the real parts only.
  void (*forward_embedding)(const EmbeddingTables& tables, double* coefficients, double* slots,
                            size_t stride);

  // x[i] = round(x[i] factor), half away from zero. -> the largest |x[i]|, NaN where there is a NaN among them.
  double (*scale_and_round)(double* x, size_t n, double factor);
  // words[i] = x[i] mod q in [0, q), for integers |x[i]| < kMaxReducible and q < 2^50.
  void (*reduce)(const double* x, size_t n, uint64_t q, uint64_t* words);
  // words[i] = words[i] + shift mod modulus; sums[i] += digit weight, nothing where the digit is zero even if the weight
  // is infinite. Words are residues modulo a prime below 2^50.
  void (*add_digit)(const Digit& digit, uint64_t* words, double* sums, size_t n);
};

inline constexpr double kMaxReducible = 0x1p51;

extern const EncodingKernels kPortableEncoding;
extern const EncodingKernels kAvx2Encoding;
extern const EncodingKernels kAvx512Encoding;

}  // namespace tacit::ckks
