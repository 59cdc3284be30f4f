// SPDX-License-Identifier: Apache-2.0
// How an ONNX tensor stands for a value of the graph. Transposing one only changes the view: elements move
// when an operation needs them in the tensor's own order, and never where a later Transpose undoes the first.
// Only the importer's own files include this.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/constant.h"
#include "graph/graph.h"

namespace tacit::graph {

struct ActivationOperand {
  ValueId value = 0;
  Dims dims;                                            // ONNX's, with the batch axis
  OutputFunction function = OutputFunction::kIdentity;  // already applied by the model, not by the graph
  // The value's elements need not stand in the row-major order of `dims`: of the axes with more than one
  // element the k-th is the order[k]-th in the value. Empty where the orders agree.
  Dims order = {};
  std::string mover = {};  // the name of the node that made them differ
};

// An activation's shape from ONNX dimensions [batch, channels, ...]; nothing for ranks above 4 and for a
// first axis that is not the batch. A vector without a batch axis stands for the channels where the batch
// is 1.
std::optional<Shape> image_shape(const Dims& dims, std::int64_t batch);

// Axis i of the result is axis permutation[i] of the operand, as ONNX's Transpose.
ActivationOperand transposed(const ActivationOperand& operand, std::span<const std::int64_t> permutation);

// The same elements under `dims` where these differ in axes of one element only; else nothing.
std::optional<ActivationOperand> with_other_ones(const ActivationOperand& operand, const Dims& dims);

// The value's element for each of one image's elements in row-major order of `dims`; nothing where the batch
// axis has been moved.
std::optional<std::vector<std::uint32_t>> element_sources(const ActivationOperand& operand,
                                                          std::int64_t batch);

// The permutation that brings `axis` right after the batch and the other axes into the order in which they
// stand in the value.
Dims channels_first(const ActivationOperand& operand, std::int64_t axis);
Dims inverse(std::span<const std::int64_t> permutation);

// Numbers in the row-major order of `dims` but the batch, in the order of the value's elements; nothing where
// the batch axis has been moved or there are not as many numbers as elements.
std::optional<std::vector<float>> in_value_order(const ActivationOperand& operand, std::int64_t batch,
                                                 const std::vector<float>& numbers);

// The dimensions of a channels-last tensor [batch, ..., channels], with the channels right after the batch.
Dims channels_first_dims(const Dims& dims);
// A channels-last tensor of these dimensions on a value that is channels-first.
ActivationOperand channels_last_view(ValueId value, const Dims& dims);

}  // namespace tacit::graph
