// SPDX-License-Identifier: Apache-2.0
// How much memory a server needs for a model and one client, before anything is encoded.
#pragma once

#include <cstdint>
#include <span>

#include "plan/plan.h"

namespace tacit::runtime {

// Bytes. Buffers of the process, packages and other models are not counted.
struct MemoryEstimate {
  std::uint64_t plaintexts = 0;  // encoded diagonals or weights, and biases: once for the model
  std::uint64_t keys = 0;        // one client's evaluation keys, kept whole
  std::uint64_t ciphertexts =
      0;  // one request at its widest: values that are still needed, and what an operation works in

  std::uint64_t total() const { return plaintexts + keys + ciphertexts; }
  friend bool operator==(const MemoryEstimate&, const MemoryEstimate&) = default;
};

// The plan must be valid; `diagonals` are those of its linear operations in their order, where the caller has them. Errors
// of Parameters::create.
Result<MemoryEstimate> estimate_memory(const plan::Plan& plan,
                                       std::span<const plan::DiagonalIndices> diagonals = {});

}  // namespace tacit::runtime
