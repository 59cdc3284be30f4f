// SPDX-License-Identifier: Apache-2.0
// The loops over one limb that everything else is made of. The portable implementation is the definition; every other
// one gives the same canonical residues. Inputs and outputs are in [0, q) and in any domain unless said otherwise;
// n is a multiple of 8, at least 8; pointers are aligned to a cache line; an output may be one of its inputs.
#pragma once

#include <span>
#include <string_view>

#include "ring/automorphism.h"
#include "ring/ntt.h"

namespace tacit::ring {

// out_c[i] = [accumulate] out_c[i] + sum_j x_j[p(i)] y_{c,j}[i] / 2^52 for c = 0, 1, with one reduction for a run of
// terms. One factor of each product is in Montgomery form. p is the automorphism's permutation, or none. Two columns,
// since both halves of a key meet the same digit, and both halves of a ciphertext the same plaintext.
struct InnerProduct {
  const u64* const* x = nullptr;
  const u64* const* y0 = nullptr;
  const u64* const* y1 = nullptr;
  std::size_t terms = 0;
  const Automorphism* permutation = nullptr;
  u64* out0 = nullptr;
  u64* out1 = nullptr;
  bool accumulate = false;
};

// out[i] = sum_j y_j[i] factor_j - v[i] excess modulo q, where v[i] = floor(sum_j y_j[i] / m_j + 1/2) if `inverses`
// is given, else 0. y_j may be any residues below 2^50; `factors` and `excess` are in Montgomery form.
struct BaseConversion {
  const u64* const* y = nullptr;
  const u64* factors = nullptr;
  std::size_t terms = 0;
  const double* inverses = nullptr;  // 1 / m_j
  u64 excess = 0;                    // the product of the m_j, modulo q
  u64* out = nullptr;
};

struct Kernels {
  const char* name;
  // Whether this machine has the instructions.
  bool (*available)();

  // In place: coefficients to values in the order of NttTable, and back.
  void (*forward_ntt)(const NttTable& table, u64* a);
  void (*inverse_ntt)(const NttTable& table, u64* a);

  void (*add)(const Modulus& q, u64* out, const u64* a, const u64* b, std::size_t n);
  void (*subtract)(const Modulus& q, u64* out, const u64* a, const u64* b, std::size_t n);
  void (*negate)(const Modulus& q, u64* out, const u64* a, std::size_t n);
  // out = a b, neither in Montgomery form.
  void (*multiply)(const Modulus& q, u64* out, const u64* a, const u64* b, std::size_t n);
  // out = a b / 2^52: one factor in Montgomery form gives the product of the numbers.
  void (*multiply_montgomery)(const Modulus& q, u64* out, const u64* a, const u64* b, std::size_t n);
  // out = a w for any a below 2^52; w = 1 reduces.
  void (*multiply_constant)(const Modulus& q, ShoupConstant w, u64* out, const u64* a, std::size_t n);
  // out = (a - b) w.
  void (*subtract_multiply)(const Modulus& q, ShoupConstant w, u64* out, const u64* a, const u64* b,
                            std::size_t n);
  // out[i] = in[p(i)]; not in place.
  void (*permute)(const Automorphism& automorphism, u64* out, const u64* in, std::size_t n);
  void (*inner_product)(const Modulus& q, const InnerProduct& arguments, std::size_t n);
  void (*convert_base)(const Modulus& q, const BaseConversion& arguments, std::size_t n);
  // out[i] = floor(r q / 2^52) for the low 52 bits r of each of the n words, skipping words where r q mod 2^52 <
  // `threshold`; writes at most `capacity` values and returns how many. Words and out may not overlap.
  std::size_t (*sample_uniform)(const Modulus& q, u64 threshold, u64* out, std::size_t capacity,
                                const u64* words, std::size_t n);
};

// The kernels in use: the fastest available, or the one that the environment variable TACIT_KERNEL names
// (portable, avx512). An unknown or unavailable name leaves the choice automatic.
const Kernels& kernels();
// Checks TACIT_KERNEL, for programs to call at start: kInvalidArgument for a name that is unknown or not available here.
Status check_kernel_choice();
// Every implementation that was compiled in, the portable one first.
std::span<const Kernels* const> all_kernels();

extern const Kernels kPortableKernels;
extern const Kernels kAvx512Kernels;

}  // namespace tacit::ring
