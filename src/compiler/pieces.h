// SPDX-License-Identifier: Apache-2.0
// The linear operations of a graph as pieces of a linear layer.
#pragma once

#include <optional>

#include "base/result.h"
#include "graph/graph.h"
#include "plan/client_function.h"
#include "plan/linear_map.h"

namespace tacit::compiler {

// No piece that only moves elements has more weights than this.
inline constexpr std::size_t kMaxMatrix = std::size_t{1} << 24;

plan::Shape to_plan(const graph::Shape& shape);

plan::Convolution to_piece(const graph::Conv& conv);
plan::AveragePooling to_piece(const graph::AveragePool& pool);
plan::MaxPooling to_piece(const graph::MaxPool& pool);
// A 1x1 convolution with weight 1 in each channel of its own puts the zeros around the image.
plan::Convolution to_piece(const graph::Pad& pad, const plan::Shape& in);

// A 1x1 convolution that makes `channels` channels the first ones from number `first` on among `total`; the
// others are zero. compile.too-wide beyond kMaxMatrix weights.
Result<plan::Convolution> placement(int channels, int first, int total);

// A 1x1 convolution for a permutation that leaves every pixel of `in` in its place; nothing for others, and
// where it would have more than kMaxMatrix weights.
std::optional<plan::Convolution> permuted_channels(const graph::Permute& permute, const graph::Shape& in);
// Any permutation; compile.unsupported beyond kMaxMatrix weights.
Result<plan::Matrix> permutation_matrix(const graph::Permute& permute);

}  // namespace tacit::compiler
