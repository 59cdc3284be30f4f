// SPDX-License-Identifier: Apache-2.0
// Random programs of CKKS operations that SEAL and we both run: inputs, then cases, each of which makes a new ciphertext
// from earlier ones. A program is fixed by its parameter set and its seed.
#pragma once

#include <complex>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "ckks/parameters.h"

namespace tacit::seal {

enum class Operation {
  kAdd,
  kSubtract,
  kNegate,
  kAddPlain,
  kMultiplyPlain,
  kMultiply,
  kSquare,
  kRelinearise,
  kRescale,
  kDrop,
  kRotate,
  kConjugate,
  // Ours only: SEAL has no such operation, but must decrypt the result.
  kAddScalar,
  kMultiplyScalar,
  kRelineariseRescale,
  kRotateHoisted,
};
inline constexpr int kSealOperations = static_cast<int>(Operation::kConjugate) + 1;
inline constexpr int kAllOperations = static_cast<int>(Operation::kRotateHoisted) + 1;
inline bool in_seal(Operation operation) { return static_cast<int>(operation) < kSealOperations; }
// As program.json has it.
std::string to_string(Operation operation);

// What a program runs with. The last of `bits` is the special prime's size.
struct ParameterSet {
  const char* name;
  int log_degree;
  std::vector<int> bits;
  // Primes as SEAL chooses them, all below 2^bits; else as our plans do, on both sides of 2^bits.
  bool seal_primes;
  double scale;      // of fresh ciphertexts
  double min_scale;  // a rescaled ciphertext keeps at least that
  double max_error;  // of a decrypted slot: the program stays so shallow that it is not to be exceeded
  int cases;
};

// How GoogleTest names one.
inline std::ostream& operator<<(std::ostream& out, const ParameterSet& set) { return out << set.name; }

ckks::ParametersLiteral literal_of(const ParameterSet& set);

using Slots = std::vector<std::complex<double>>;

// A ciphertext of a program, as far as it is known beforehand.
struct Value {
  std::string name;
  int level = 0;
  double scale = 1;
  int size = 2;
  Slots slots;           // empty: nothing is known, the ciphertext is not made by encryption
  double error = 0;      // bound of the slots' error
  double magnitude = 0;  // of the slots
};

struct Input {
  Value value;
  bool public_key = false;  // encrypted under the public key, else under the secret one
};

struct Case {
  Value value;  // the result
  std::uint64_t seed = 0;
  Operation operation = Operation::kAdd;
  std::vector<std::string> operands;
  std::int64_t step = 0;      // of rotations
  double constant = 0;        // of operations with a scalar
  double plain_scale = 0;     // of the plaintext or scalar, 0 where there is none
  std::vector<double> plain;  // its slots
};

struct Program {
  std::uint64_t seed = 0;
  std::vector<std::int64_t> rotation_steps;
  std::vector<Input> inputs;
  std::vector<Case> cases;
};

// Complex slots or real ones (which is all that SEAL's JavaScript encodes); with our own operations or without.
struct ProgramOptions {
  bool complex_slots = false;
  bool own_operations = false;
};
Program random_program(const ParameterSet& set, const ckks::Parameters& parameters, std::uint64_t seed,
                       const ProgramOptions& options);

// Every operation once on inputs of which nothing is known but level and scale, for ciphertexts with extreme residues.
Program boundary_program(const ckks::Parameters& parameters, double scale, int inputs);

// program.json.
nlohmann::json to_json(const ParameterSet& set, const Program& program);

}  // namespace tacit::seal
