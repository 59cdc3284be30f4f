// SPDX-License-Identifier: Apache-2.0
// What is to be run: a straight-line schedule of operations on slot vectors, with every level, scale and key decided.
// The schedule knows neither ONNX nor threads; four interpreters in runtime/ run it. Where it has client steps, the server
// runs the stages between them (plan/stages.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "ckks/keys.h"
#include "plan/client_function.h"
#include "plan/linear_map.h"

namespace tacit::plan {

using ValueId = std::uint32_t;

// One slot vector of the schedule: real numbers in `layout`, repeating with `period`, encrypted at `level` with the
// exact scale `scale`, in ciphertext_count(layout, period, slots) ciphertexts. |number| <= `bound` on the calibration images, in
// the vector's own normalisation; times `range` it is a number of the network. A value that only the client has, never
// encrypted, has the level kClear.
struct Value {
  std::string name;  // the ONNX node it comes from
  Layout layout;
  std::size_t period = 0;
  int level = 0;
  double scale = 1;
  double bound = 1;
  double range = 1;
  // Of what leaves the server: the standard deviation that the error of its slots is predicted to have, in the vector's own
  // normalisation; 0 where it is not known. What re-randomising has to hide (runtime/flooding.h).
  double noise = 0;
};
inline constexpr int kClear = -1;

// See ckks::BsgsSplit. The width is a power of two up to the slot count, the shift 0 or a power of two below
// DiagonalIndices::modulus. plan/bsgs.h has the grouping, plan/chains.h the rotations of chained layers.
using ckks::BsgsSplit;

// output = folds(sum of diagonals) + bias; one level; output scale is that of the output value, exactly: the diagonals
// are encoded at scale_out q_level / scale_in.
struct Linear {
  ValueId input = 0, output = 0;
  std::uint32_t map = 0;  // index into Plan::maps
  BsgsSplit split;
};

// output = input^2, relinearised and rescaled: one level; scale_out = scale_in^2 / q_level.
struct Square {
  ValueId input = 0, output = 0;
};

// output = sum_k coefficients[k] T_k(input), Chebyshev polynomials of the first kind, |input| <= 1. Uses
// polynomial_depth(degree) levels; output scale is that of the output value, exactly.
struct Polynomial {
  ValueId input = 0, output = 0;
  std::vector<double> coefficients;  // degree 2 to kMaxPolynomialDegree, the last one not zero
};

// output = left + right: both at the output's scale exactly (ckks::same_scale), either at its level or above.
struct Add {
  ValueId left = 0, right = 0, output = 0;
};

// output = left * right, relinearised and rescaled: one level below the lower of the two; scale_out = scale_left scale_right / q at
// that level.
struct Product {
  ValueId left = 0, right = 0, output = 0;
};

// output = input * factor, one level; brings a value to another scale or normalisation where no linear layer can.
struct Rescaling {
  ValueId input = 0, output = 0;
  double factor = 1;
};

// output = function(inputs), exactly, on the numbers of the network: the client decrypts what it has not already, computes,
// and encrypts the result anew where the server goes on with it.
struct ClientStep {
  std::vector<ValueId> inputs;  // two for a sum, else one
  ValueId output = 0;
  ClientFunction function;
};

using Operation = std::variant<Linear, Square, Polynomial, Add, Rescaling, ClientStep, Product>;

inline constexpr std::size_t kMaxPolynomialDegree = 255;

// Levels that a Chebyshev polynomial of this degree takes: ceil(log2(degree + 1)).
int polynomial_depth(std::size_t degree);

ValueId output_of(const Operation& operation);
// The one or two values that it reads.
std::vector<ValueId> inputs_of(const Operation& operation);

struct Plan {
  ckks::ParametersLiteral parameters;
  // Slots of a ciphertext that belong to one image. Either all of them, or (throughput) one: then each element of a tensor
  // has a ciphertext of its own, whose slots belong to as many images.
  std::size_t slots = 0;
  std::vector<Value> values;
  ValueId input = 0, output = 0;
  std::vector<Operation> operations;  // each reads only values made before it
  std::vector<LinearMap> maps;
  std::vector<ckks::KeyRequest>
      keys;  // every switching key the schedule uses, each automorphism once, ascending

  // Everything that the interpreters rely on: indices, layouts, periods, levels, scales, the presence of every key.
  // A plan from a file is checked by this before it is used.
  Status validate() const;
};

}  // namespace tacit::plan
