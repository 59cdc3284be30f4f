// SPDX-License-Identifier: Apache-2.0
// A linear layer of the network as the plan keeps it: the chain of small operators it was fused from, whose product
// is one sparse matrix, and from that matrix its diagonals on the slots.
#pragma once

#include <cstdint>
#include <map>
#include <variant>
#include <vector>

#include "base/result.h"
#include "ckks/bsgs.h"
#include "plan/layout.h"

namespace tacit::plan {

// Weights [out_channels, in_channels / groups, kernel_height, kernel_width], row-major; zero padding.
struct Convolution {
  int out_channels = 0, in_channels = 0, groups = 1;
  int kernel_height = 1, kernel_width = 1;
  int stride_height = 1, stride_width = 1;
  int pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  int dilation_height = 1, dilation_width = 1;
  std::vector<float> weights;
};

// Averages over windows of each channel; the divisor is the window's size, or only its part inside the image where
// `exclude_padding`.
struct AveragePooling {
  int kernel_height = 1, kernel_width = 1;
  int stride_height = 1, stride_width = 1;
  int pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  bool exclude_padding = false;
};

// Weights [outputs, inputs], row-major; inputs in row-major [channel, row, column] order.
struct Matrix {
  int outputs = 0, inputs = 0;
  std::vector<float> weights;
};

// Multiplies element i, channel i, or (size 1) everything by factor[i].
struct Scaling {
  std::vector<float> factor;
};

using LinearPiece = std::variant<Convolution, AveragePooling, Matrix, Scaling>;

// One row of a sparse matrix: (column, value), columns ascending, no zeros.
struct SparseEntry {
  std::uint32_t column;
  double value;
};
using SparseRow = std::vector<SparseEntry>;

// y = scale * (pieces.back() ... pieces.front()) x + bias, from tensors of shape `in` to tensors of shape `out`.
struct LinearMap {
  Shape in, out;
  std::vector<LinearPiece> pieces;
  double scale = 1;          // exact factor that carries the compiler's normalisation of ranges
  std::vector<double> bias;  // one for each element of `out`, already in the output's normalisation; or empty

  // The shape after a piece; kDataMalformed where a piece does not fit (a kernel larger than the padded image, a
  // weight count that is not the product of the dimensions).
  static Result<Shape> shape_after(const LinearPiece& piece, const Shape& in);
  // Whether the pieces lead from `in` to `out`, all numbers are finite and no dimension is absurd.
  Status validate() const;
  // The product of the pieces times `scale`, without the bias: one row for each output element. Exact sums in double
  // precision, in a fixed order.
  std::vector<SparseRow> rows() const;
  // An upper bound of the multiplications that rows() takes; validate() refuses more than kMaxWork.
  double work() const;
  static constexpr double kMaxWork = 1e9;
};

// The matrix of a map between two layouts as generalised diagonals (Halevi and Shoup 2014): y = sum_d D_d * rot_d(x),
// rot_d(x)[t] = x[t + d]. Slot vectors have n slots; x repeats with period T, y with period R, both powers of two, at
// least the layouts' extents. Hybrid embedding (Gazelle 2018): for every integer d
//   D_d[t] = M[t mod R, (t + d) mod T],
// and one d of each class modulo min(R, T) makes up the whole matrix; where T > R, the sum is folded over T / R copies.
//
// A vector whose period exceeds n is kept in several ciphertexts (ciphertext_count), n slots each after the other. Its
// matrix is cut into blocks, one for each pair of an output and an input ciphertext, to which the above applies with n in
// place of the period.
struct DiagonalIndices {
  std::size_t slots = 0;
  std::size_t modulus = 0;  // min(R, T): d counts modulo this
  std::size_t period = 0;   // max(R, T): D_d and the unfolded sum repeat with it
  // Rotations by T/2, T/4, ..., R to add up, one after the other, before the bias; empty unless T > R.
  std::vector<std::size_t> folds;
  // Of the diagonals that are not all zero, ascending; their indices are in [0, modulus).
  std::vector<ckks::DiagonalIndex> indices;
};

struct Diagonals {
  std::size_t slots = 0, modulus = 0, period = 0;  // as in DiagonalIndices
  std::vector<std::size_t> folds;
  // The first `period` entries of each. Only diagonals that are not all zero.
  std::map<ckks::DiagonalIndex, std::vector<double>> diagonals;

  DiagonalIndices indices() const;
};

// The map must be valid, its shapes those of the layouts, the periods as above.
Diagonals make_diagonals(const LinearMap& map, const Layout& in, std::size_t in_period, const Layout& out,
                         std::size_t out_period, std::size_t slots);
// The same without the entries: what keys and costs depend on.
DiagonalIndices diagonal_indices(const LinearMap& map, const Layout& in, std::size_t in_period,
                                 const Layout& out, std::size_t out_period, std::size_t slots);
// Of no particular map: only periods and folds, without indices.
DiagonalIndices diagonal_frame(std::size_t in_period, std::size_t out_period, std::size_t slots);

// The bias of a map in the slots of `out`, one period of it (over all its ciphertexts); 0 in the slots without an element.
std::vector<double> bias_slots(const LinearMap& map, const Layout& out, std::size_t out_period);

}  // namespace tacit::plan
