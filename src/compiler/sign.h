// SPDX-License-Identifier: Apache-2.0
// The sign function as a composition of odd minimax polynomials, and the functions with one kink at 0 that it makes exact
// elsewhere (E. Lee, J.-W. Lee, J.-S. No and Y.-S. Kim, "Minimax approximation of sign function by composite polynomial for
// homomorphic comparison", IEEE TDSC 2021).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "base/activation.h"
#include "base/result.h"
#include "compiler/fit.h"

namespace tacit::compiler {

// p = p_k(.. p_1(t)) with |p(t) - sign(t)| <= error where epsilon <= |t| <= 1, and |p| <= 1 + error for smaller |t|.
// `kink`: the largest |t| |p(t) - sign(t)| / 2 on [-1, 1], which is how far t (1 + p(t)) / 2 is from max(t, 0).
struct SignComposition {
  double epsilon = 0, error = 0, kink = 0;
  // Odd; each on [-range, range], which holds all values of the one before.
  std::vector<ChebyshevSeries> stages;

  double operator()(double t) const;
  std::vector<std::size_t> degrees() const;
  int levels() const;            // of all stages one after the other
  std::size_t products() const;  // of two ciphertexts
};

// What is added on both sides of a stage's values before the next is fitted, so that noise does not lead out of its interval.
inline constexpr double kStageRoom = 0x1p-12;

// Each stage is the minimax polynomial on the image of the one before, the first on [epsilon, 1]. compile.internal where there
// is none, odd_minimax's.
Result<SignComposition> compose_sign(std::span<const std::size_t> degrees, double epsilon);

// The composition with the fewest levels, of those with the fewest products, with which t (1 + p(t)) / 2 is within 2^-bits of
// max(t, 0) on [-1, 1]. epsilon is the smallest with error <= 2^(1 - bits). For kMinSignBits to kMaxSignBits.
Result<SignComposition> sign_of_precision(int bits);
inline constexpr int kMinSignBits = 4, kMaxSignBits = 13;

// f(x) = x (even + odd sign(x)), the form of Relu, LeakyRelu and |x|.
struct SignForm {
  double even = 0, odd = 0;
};
// Nothing for functions that do not have it.
std::optional<SignForm> sign_form(const Activation& activation);

// x (even + odd p(x / range)) in place of x (even + odd sign(x)), for |x| <= range.
struct SignGate {
  double range = 1;
  SignForm form;
  SignComposition sign;

  double operator()(double x) const;
  // No |x| <= range is off by more.
  double bound() const;
  int levels() const { return sign.levels() + 1; }
};

}  // namespace tacit::compiler
