// SPDX-License-Identifier: Apache-2.0
// Where every value stands in the slots.
#pragma once

#include <vector>

#include "base/result.h"
#include "compiler/network.h"
#include "plan/layout.h"

namespace tacit::compiler {

struct Packing {
  plan::Layout layout;
  std::size_t period = 0;  // the layout's extent rounded up to a power of two
};

// How what a client computed element by element is packed: on a grid of its own without gaps, or as before, in which case the
// values of branches that meet again stand alike.
enum class ClientPacking { kDense, kKept };

// By value. Images keep one power-of-two grid through all convolutions and pools, each stride widening the
// gap, so that the diagonals of a layer depend on differences of positions only and are few (Orion, section
// 4.3). What comes out of a dense layer or has one pixel is a vector. What the client pooled begins on a grid
// of its own. Layers that work element by element leave the layout as it is. compile.too-wide, naming the node, where a value has more than
// plan::kMaxExtent slots.
Result<std::vector<Packing>> pack(const Network& network, ClientPacking client = ClientPacking::kDense);
// The same with a ciphertext for each element: every value stands row-major on a grid of its own size.
Result<std::vector<Packing>> pack_elements(const Network& network);

}  // namespace tacit::compiler
