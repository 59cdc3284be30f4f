// SPDX-License-Identifier: Apache-2.0
// The public half of a package: what a client needs to know to use a model.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plan/plan.h"

namespace tacit::plan {

// How the client turns an image into the input tensor: grey or RGB pixels in [0, 255], divided by `scale`, then
// (x - mean[c]) / deviation[c] for each channel.
struct Preprocessing {
  double scale = 255;
  std::vector<double> mean, deviation;
  friend bool operator==(const Preprocessing&, const Preprocessing&) = default;
};

// A tensor that the client sends, receives or computes: its elements, divided by `range`, stand in `layout`, which repeats
// with `period`.
struct ClientValue {
  Layout layout;
  std::size_t period = 0;
  int level = 0;     // of its ciphertexts; kClear where it never travels
  double scale = 1;  // of its plaintexts
  double range = 1;

  friend bool operator==(const ClientValue&, const ClientValue&) = default;
};

// What the client does next. Indices are into ClientHalf::values.
//
// A request to the server; the k-th one runs stage k. What the client has is encrypted; what an earlier request answered goes
// back as the ciphertexts that came.
struct Request {
  std::vector<std::uint32_t> inputs, outputs;
  friend bool operator==(const Request&, const Request&) = default;
};
// A function in the clear; inputs that a request answered are decrypted.
struct Computation {
  std::vector<std::uint32_t> inputs;
  std::uint32_t output = 0;
  ClientFunction function;
};
using Step = std::variant<Request, Computation>;

// Public: the server serves it, anybody may write a client from it (protocol/client-half.md).
struct ClientHalf {
  std::string name;  // [a-z0-9][a-z0-9._-]{0,63}
  ckks::ParametersLiteral parameters;
  std::vector<ckks::KeyRequest> keys;
  std::size_t slots = 0;  // of a ciphertext for one image, see Plan::slots
  std::vector<ClientValue> values;
  std::uint32_t input = 0, output = 0;  // among the values: the preprocessed image, the network's outputs
  std::vector<Step> steps;              // from the input to the output; one request for most models
  Preprocessing preprocessing;
  std::vector<std::string> labels;  // empty where the outputs are not classes
  bool softmax = true;              // the client turns outputs into probabilities
  // What one prediction costs, for people: filled by the compiler.
  double estimated_ms = 0;  // server time on the machine that compiled
  std::uint64_t upload_bytes = 0, download_bytes = 0, key_bytes = 0;
  std::uint32_t rotations = 0, products = 0;

  const Shape& input_shape() const { return values[input].layout.shape; }
  const Shape& output_shape() const { return values[output].layout.shape; }
  const ClientValue& input_value() const { return values[input]; }
  const ClientValue& output_value() const { return values[output]; }
  // Images that one request can take: more than one in throughput mode only.
  std::size_t batch() const { return (std::size_t{1} << (parameters.log_degree - 1)) / slots; }
  std::size_t ciphertexts(const ClientValue& value) const {
    return ciphertext_count(value.layout, value.period, slots);
  }
  std::vector<Request> requests() const;
};

// The JSON page of protocol/client-half.md; deterministic, keys in a fixed order.
std::string to_json(const ClientHalf& half);
inline constexpr std::size_t kMaxClientHalfBytes = std::size_t{1} << 25;
// Validates everything a client relies on, the security gate included. kJsonMalformed names the field that is missing
// or has the wrong type; unknown fields are ignored.
Result<ClientHalf> client_half_from_json(std::string_view text);
// What client_half_from_json checks beyond the types.
Status validate(const ClientHalf& half);

// The client half of a plan, except for what only the compiler knows (name, preprocessing, labels, costs).
ClientHalf client_half_of(const Plan& plan);

}  // namespace tacit::plan
