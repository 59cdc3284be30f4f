// SPDX-License-Identifier: Apache-2.0
// The loops over one limb that everything else is made of. The portable implementation is the definition; every other
// one gives the same words. Inputs and outputs are in [0, q) and in any domain unless said otherwise; n is a multiple
// of 8, at least 8; pointers are aligned to a cache line; an output may be one of its inputs unless said otherwise.
#pragma once

#include <span>
#include <string_view>

#include "ring/automorphism.h"
#include "ring/constants.h"
#include "ring/ntt.h"

namespace tacit::ring {

// What sums of products with a key are added to: words c_c times a factor, permuted or not; or, where there are words b_c,
// the first two parts of (c_0 + c_1 s)(b_0 + b_1 s) times it, permuted by nothing.
struct KeyAddend {
  const u64* c0 = nullptr;  // either may be none; no outputs
  const u64* c1 = nullptr;
  ShoupConstant factor;
  const Automorphism* permutation = nullptr;
  const u64* b0 = nullptr;  // both or none
  const u64* b1 = nullptr;
};

// out_c[i] = [accumulate] out_c[i] + addend_c[p'(first + i)] + sum_j x_j[p(first + i)] key_{c,j}[i] for c = 0, 1, with
// one reduction for a run of terms. p and p' are automorphisms' permutations, or none. Two columns, since both halves of
// a key meet the same digit.
struct KeyProduct {
  const u64* const* x = nullptr;
  ConstantRows key0, key1;  // a row for each term, at least; Montgomery form
  std::size_t terms = 0;
  const Automorphism* permutation = nullptr;
  u64* out0 = nullptr;
  u64* out1 = nullptr;
  bool accumulate = false;
  std::size_t first = 0;  // a multiple of 8; what is neither `x` nor an addend begins at this place
  KeyAddend addend = {};
};

// out_{g,c}[i] = sum over the terms j of group g of plain_j[i] x_{c,f(j)}[i] for c = 0, 1: both halves of a ciphertext
// meet the same plaintext. Many terms share few factors, so all groups are gone through at once, place by place: the
// constants are read in their order, each once, and the factors at a place meet them in the first-level cache.
struct PlainProduct {
  ConstantRows plain;  // a row for each term, group after group; Montgomery form
  const u64* const* x0 = nullptr;
  const u64* const* x1 = nullptr;
  std::size_t factors = 0;
  const std::uint32_t* factor = nullptr;  // f(j)
  const std::size_t* ends = nullptr;      // for each group, the number of terms up to its last
  std::size_t groups = 0;
  u64* const* out0 = nullptr;  // for each group; no inputs
  u64* const* out1 = nullptr;
  u64* scratch = nullptr;  // kScratchWords for each factor

  static constexpr std::size_t kScratchWords = 16;
};

// out_o[i] = start_o + sum_c weight_{o,c} x_c[i] modulo q for all outputs o of a sparse matrix whose entries are numbers: a matrix
// product in which the places of the limbs are the columns of the right factor. Outputs that have inputs in common stand
// together in a block, so that what is read of an input serves them all; where one of them lacks an input, its weight is
// 0. The places are few (a tile), so that those of all inputs stay in the second-level cache from block to block.
struct ScalarProduct {
  struct Block {
    std::uint32_t outputs = 1;  // 1 to kMaxOutputs
    std::uint32_t inputs = 1;   // 1 to their number
  };

  std::span<const Block> blocks;
  const std::uint32_t* input = nullptr;   // of each block, one block after the other: positions in x
  const std::int64_t* weights = nullptr;  // of each block: for each of its inputs, one for each output
  // At least the sum of the magnitudes of the weights that an output has for any kWindow inputs of its block that follow
  // each other, the first of them at a multiple of kWindow. Decides how long a sum may grow before it is reduced.
  u64 window_sum = 0;
  const u64* start = nullptr;  // for each output, block after block; or none: 0
  const u64* const* x = nullptr;
  std::size_t inputs = 0;     // of them
  u64* const* out = nullptr;  // for each output, block after block; no inputs
  u64* scratch = nullptr;     // scratch_words()
  std::size_t first = 0;      // the place in x and out where the tile begins; a multiple of kPanel

  // Weights modulo a prime of up to so many bits are the representatives in (-q/2, q/2); those modulo a longer one are
  // in [0, q).
  static constexpr int kNarrowBits = 31;
  // As many sums as the registers hold, for a vector or four of places.
  static constexpr std::size_t kMaxOutputs = 6;
  static constexpr std::size_t kWindow = 8;
  // n is a multiple of it.
  static constexpr std::size_t kPanel = 32;

  static bool narrow(const Modulus& q) { return q.bits() <= kNarrowBits; }
  // How many places of a limb of n to do at once: a power of two, at least kPanel, with which what the kernels keep of so
  // many inputs takes up to kTileBytes.
  static std::size_t tile(const Modulus& q, std::size_t inputs, std::size_t n);
  static constexpr std::size_t kTileBytes = std::size_t{1} << 18;
  // For `n` places of so many inputs, and one block's weights.
  static constexpr std::size_t scratch_words(std::size_t inputs, std::size_t n) {
    return inputs * (n + kMaxOutputs);
  }
};

// (a0 + a1 s)(b0 + b1 s) = d0 + d1 s + d2 s^2, coefficients in no Montgomery form. The outputs are no inputs.
struct TensorProduct {
  const u64 *a0 = nullptr, *a1 = nullptr, *b0 = nullptr, *b1 = nullptr;
  u64 *d0 = nullptr, *d1 = nullptr, *d2 = nullptr;
};

// out[i] = sum_j y_j[first + i] factor_j modulo q. y_j may be any residues below 2^50; `factors` are in Montgomery form.
struct BaseConversion {
  const u64* const* y = nullptr;
  const u64* factors = nullptr;
  std::size_t terms = 0;
  u64* out = nullptr;
  std::size_t first = 0;  // a multiple of 8
};

// out[i] = floor(sum_j y_j[i] / m_j + 1/2) for residues y_j modulo m_j, in doubles, term after term.
struct RoundedQuotient {
  const u64* const* y = nullptr;
  const double* inverses = nullptr;  // 1 / m_j
  std::size_t terms = 0;
  u64* out = nullptr;
};

// A forward transform of words that are in no memory.
struct StreamedNtt {
  const NttTable* table = nullptr;
  u64* out = nullptr;
};

// What such transforms take their words from and give their values to, a piece at a time, while they are in a near cache. A
// piece is a multiple of 8 places; those of one transform together are all places once.
class NttStream {
 public:
  // Writes the words of a transform from place `first` on to `words`; of any kind that forward_ntt takes.
  virtual void make(std::size_t transform, std::size_t first, u64* words, std::size_t count) const = 0;
  // The values of a transform from place `first` on are there, and nothing will touch them any more.
  virtual void finish(std::size_t transform, std::size_t first, std::size_t count) const = 0;

 protected:
  ~NttStream() = default;
};

struct Kernels {
  const char* name;
  // Whether this machine has the instructions.
  bool (*available)();

  // Coefficients to values in the order of NttTable. `in` may hold any words below kLazyLimit.
  void (*forward_ntt)(const NttTable& table, u64* out, const u64* in);
  // The same for transforms of one degree whose words are made just before the first stages, and whose values are finished
  // just after the last. Their pieces are made in turns, so that what several are made from is near for all but the first.
  void (*forward_ntt_streamed)(std::span<const StreamedNtt> transforms, const NttStream& stream);
  // Values to coefficients times the number that `scale` stands for. The values are first permuted by `permutation`,
  // unless it is null; out may be in only where it is.
  void (*inverse_ntt)(const NttTable& table, const InverseScale& scale, const Automorphism* permutation,
                      u64* out, const u64* in);

  void (*add)(const Modulus& q, u64* out, const u64* a, const u64* b, std::size_t n);
  void (*subtract)(const Modulus& q, u64* out, const u64* a, const u64* b, std::size_t n);
  void (*negate)(const Modulus& q, u64* out, const u64* a, std::size_t n);
  // out = a b, neither in Montgomery form.
  void (*multiply)(const Modulus& q, u64* out, const u64* a, const u64* b, std::size_t n);
  // out = a w for any a below 2^52; w = 1 reduces.
  void (*multiply_constant)(const Modulus& q, ShoupConstant w, u64* out, const u64* a, std::size_t n);
  // out = out + a w for any a below 2^52.
  void (*add_multiple)(const Modulus& q, ShoupConstant w, u64* out, const u64* a, std::size_t n);
  // out = (a - b) w.
  void (*subtract_multiply)(const Modulus& q, ShoupConstant w, u64* out, const u64* a, const u64* b,
                            std::size_t n);
  // out[i] = in[p(first + i)], `first` being a multiple of 8; not in place.
  void (*permute)(const Automorphism& automorphism, std::size_t first, u64* out, const u64* in,
                  std::size_t n);
  void (*key_product)(const Modulus& q, const KeyProduct& arguments, std::size_t n);
  void (*plain_product)(const Modulus& q, const PlainProduct& arguments, std::size_t n);
  void (*scalar_product)(const Modulus& q, const ScalarProduct& arguments, std::size_t n);
  void (*tensor_product)(const Modulus& q, const TensorProduct& arguments, std::size_t n);
  void (*convert_base)(const Modulus& q, const BaseConversion& arguments, std::size_t n);
  void (*rounded_quotient)(const RoundedQuotient& arguments, std::size_t n);
  // The representative of a residue modulo m in (-m/2, m/2), plus `offset`: a number that is not negative and below
  // kLazyLimit if offset is at least m/2 and m/2 + offset is. One of the same class modulo q if offset is a multiple of q.
  void (*lift_centred)(u64 m, u64 offset, u64* out, const u64* a, std::size_t n);
  // out[i] = floor(r q / 2^52) for the low 52 bits r of each of the n words, skipping words where r q mod 2^52 <
  // `threshold`; writes at most `capacity` values and returns how many. Words and out may not overlap.
  std::size_t (*sample_uniform)(const Modulus& q, u64 threshold, u64* out, std::size_t capacity,
                                const u64* words, std::size_t n);
  // `count` blocks of 64 bytes of the ChaCha20 keystream (Bernstein 2008: 64-bit block counter and nonce, the nonce 0)
  // from block `first` on.
  void (*keystream)(const std::uint8_t key[32], u64 first, std::uint8_t* out, std::size_t count);
};

// forward_ntt_streamed by a forward_ntt that waits for the arithmetic, not for the caches: each transform in one piece.
void forward_ntt_in_one_piece(decltype(Kernels::forward_ntt) forward_ntt,
                              std::span<const StreamedNtt> transforms, const NttStream& stream);

// The kernels in use: the fastest available, or the one that the environment variable TACIT_KERNEL names
// (portable, avx2, avx512). An unknown or unavailable name leaves the choice automatic.
const Kernels& kernels();
// Checks TACIT_KERNEL, for programs to call at start: kInvalidArgument for a name that is unknown or not available here.
Status check_kernel_choice();
// Every implementation that was compiled in, the portable one first, the fastest last.
std::span<const Kernels* const> all_kernels();

extern const Kernels kPortableKernels;
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;

}  // namespace tacit::ring
