// SPDX-License-Identifier: Apache-2.0
// What is to be run: a straight-line schedule of operations on slot vectors, with every level, scale and key decided.
// The schedule knows neither ONNX nor threads; four interpreters in runtime/ run it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "ckks/keys.h"
#include "plan/linear_map.h"

namespace tacit::plan {

using ValueId = std::uint32_t;

// One slot vector of the schedule: real numbers in `layout`, repeating with `period`, encrypted at `level` with the
// exact scale `scale`, in ciphertext_count(layout, period, slots) ciphertexts. |number| <= `bound` on the calibration images, in
// the vector's own normalisation.
struct Value {
  std::string name;  // the ONNX node it comes from
  Layout layout;
  std::size_t period = 0;
  int level = 0;
  double scale = 1;
  double bound = 1;
};

// See ckks::BsgsSplit. The width is a power of two up to the slot count, the shift 0 or a power of two below
// DiagonalIndices::modulus. plan/bsgs.h has the grouping.
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

// output = input * factor, one level; brings a value to another scale or normalisation where no linear layer can.
struct Rescaling {
  ValueId input = 0, output = 0;
  double factor = 1;
};

using Operation = std::variant<Linear, Square, Polynomial, Add, Rescaling>;

inline constexpr std::size_t kMaxPolynomialDegree = 255;

// Levels that a Chebyshev polynomial of this degree takes: ceil(log2(degree + 1)).
int polynomial_depth(std::size_t degree);

ValueId output_of(const Operation& operation);
// The one or two values that it reads.
std::vector<ValueId> inputs_of(const Operation& operation);

struct Plan {
  ckks::ParametersLiteral parameters;
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

// How the client turns an image into the input tensor: grey or RGB pixels in [0, 255], divided by `scale`, then
// (x - mean[c]) / deviation[c] for each channel.
struct Preprocessing {
  double scale = 255;
  std::vector<double> mean, deviation;
  friend bool operator==(const Preprocessing&, const Preprocessing&) = default;
};

// What the encoder needs and what comes back. Public: the server serves it, anybody may write a client from it
// (protocol/client-half.md).
struct ClientHalf {
  std::string name;  // [a-z0-9][a-z0-9._-]{0,63}
  ckks::ParametersLiteral parameters;
  std::vector<ckks::KeyRequest> keys;
  // Input: the preprocessed tensor times 1 / input_range, in `input`, repeated with `input_period` over all slots.
  Layout input;
  std::size_t input_period = 0;
  int input_level = 0;
  double input_scale = 1;
  double input_range = 1;
  Preprocessing preprocessing;
  // Output: slots of `output`, times output_range, are the network's outputs.
  Layout output;
  int output_level = 0;
  double output_scale = 1;
  double output_range = 1;
  std::vector<std::string> labels;  // empty where the outputs are not classes
  bool softmax = true;              // the client turns outputs into probabilities
  // What one prediction costs, for people: filled by the compiler.
  double estimated_ms = 0;  // server time on the machine that compiled
  std::uint64_t upload_bytes = 0, download_bytes = 0, key_bytes = 0;
  std::uint32_t rotations = 0, products = 0;

  friend bool operator==(const ClientHalf&, const ClientHalf&) = default;
};

// The JSON page of protocol/client-half.md; deterministic, keys in a fixed order.
std::string to_json(const ClientHalf& half);
inline constexpr std::size_t kMaxClientHalfBytes = std::size_t{1} << 23;
// Validates everything a client relies on, the security gate included. kJsonMalformed names the field that is missing
// or has the wrong type; unknown fields are ignored.
Result<ClientHalf> client_half_from_json(std::string_view text);
// What client_half_from_json checks beyond the types.
Status validate(const ClientHalf& half);

// The client half of a plan is derived from it, except for what only the compiler knows (name, labels, ranges).
// client_half_of fills in what is derived: parameters, keys, and layout, period, level and scale of input and output.
ClientHalf client_half_of(const Plan& plan);
struct Package {
  ClientHalf client;
  Plan plan;
};

// The .tacit file: "TACITPKG", u32 version, client half (u64 length, JSON), server half (u64 length, binary), BLAKE2b-256
// of all before it. Parameters and keys of the plan are those of the client half and are not written twice, so the two
// halves must agree (client_half_of).
Bytes write_package(const Package& package);
// A package in which everything has been checked: both halves, and that they agree. kDataTruncated, kDataTrailing,
// kDataMalformed, kDataVersion, kDataTooLarge, or what validate() answers.
Result<Package> read_package(ByteView bytes);
inline constexpr std::uint64_t kMaxPackageBytes = std::uint64_t{1} << 32;

}  // namespace tacit::plan
