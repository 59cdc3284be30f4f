// SPDX-License-Identifier: Apache-2.0
// Two linear operations after one another as one. Weights are computed in double precision.
#pragma once

#include <optional>

#include "graph/graph.h"

namespace tacit::graph {

// `operation` followed by `affine` (a ChannelAffine or ElementAffine) as one operation of the first one's
// kind, or of the affine maps' more general kind; `input` and `output` are the shapes around `operation`.
// Nothing where there is no such operation, or its weights would not be finite.
std::optional<Operation> fold_after(const Operation& operation, const Operation& affine, const Shape& output);

// `affine` followed by `operation`, whose input has the shape `input`, as one operation; exact, so not for a
// shift before a Conv that pads with zeros.
std::optional<Operation> fold_before(const Operation& operation, const Operation& affine, const Shape& input);

// `first` followed by `second` where that has no more weights than both; nothing otherwise.
std::optional<Operation> fold_dense(const Dense& first, const Dense& second);

// The affine map as one per channel where its numbers are equal within each channel.
std::optional<Operation> narrow(const ElementAffine& affine, const Shape& shape);

bool is_affine(const Operation& operation);
// The affine map's numbers where they are the same for all elements.
struct UniformAffine {
  float scale, shift;
};
std::optional<UniformAffine> uniform(const Operation& affine);
// Whether an affine map changes nothing, and whether it adds nothing.
bool is_identity(const Operation& affine);
bool has_no_shift(const Operation& affine);

}  // namespace tacit::graph
