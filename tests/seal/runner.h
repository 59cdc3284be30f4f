// SPDX-License-Identifier: Apache-2.0
// Our side of a program: running its cases, and saying where two ciphertexts differ.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "ckks/evaluator.h"
#include "seal/program.h"

namespace tacit::seal {

class Runner {
 public:
  Runner(const ckks::Parameters& parameters, ckks::EvaluationKeys keys)
      : evaluator_(parameters), keys_(std::move(keys)) {}

  // `plain` for the cases that have one, at the operand's level.
  Result<ckks::Ciphertext> run(const Case& test, std::span<const ckks::Ciphertext* const> operands,
                               const ckks::Plaintext* plain) const;

 private:
  ckks::Evaluator evaluator_;
  ckks::EvaluationKeys keys_;
};

// The first place where they differ, with both residues and how many differ there; empty where they are equal.
std::string difference(const ckks::Ciphertext& ours, const ckks::Ciphertext& seals);

// How two encodings of the same values differ: in how many coefficients, and by how much at most. Nothing where a
// coefficient's difference is another one modulo each prime.
struct EncodingDifference {
  std::size_t count = 0;
  std::int64_t largest = 0;
};
std::optional<EncodingDifference> difference(const ckks::Parameters& parameters, const ckks::Plaintext& ours,
                                             const ckks::Plaintext& seals);

// The largest distance between slots; NaN if there is one.
double largest_error(const Slots& decrypted, const Slots& expected);

}  // namespace tacit::seal
