// SPDX-License-Identifier: Apache-2.0
#include "compiler/pieces.h"

#include <string>
#include <vector>

namespace tacit::compiler {

plan::Shape to_plan(const graph::Shape& shape) {
  return {static_cast<int>(shape.channels), static_cast<int>(shape.height), static_cast<int>(shape.width)};
}

plan::Convolution to_piece(const graph::Conv& conv) {
  plan::Convolution piece;
  piece.out_channels = static_cast<int>(conv.out_channels);
  piece.in_channels = static_cast<int>(conv.in_channels);
  piece.groups = static_cast<int>(conv.groups);
  piece.kernel_height = static_cast<int>(conv.kernel.height);
  piece.kernel_width = static_cast<int>(conv.kernel.width);
  piece.stride_height = static_cast<int>(conv.stride.height);
  piece.stride_width = static_cast<int>(conv.stride.width);
  piece.pad_top = static_cast<int>(conv.pads.top);
  piece.pad_left = static_cast<int>(conv.pads.left);
  piece.pad_bottom = static_cast<int>(conv.pads.bottom);
  piece.pad_right = static_cast<int>(conv.pads.right);
  piece.dilation_height = static_cast<int>(conv.dilation.height);
  piece.dilation_width = static_cast<int>(conv.dilation.width);
  piece.weights = conv.weights;
  return piece;
}

plan::AveragePooling to_piece(const graph::AveragePool& pool) {
  plan::AveragePooling piece;
  piece.kernel_height = static_cast<int>(pool.kernel.height);
  piece.kernel_width = static_cast<int>(pool.kernel.width);
  piece.stride_height = static_cast<int>(pool.stride.height);
  piece.stride_width = static_cast<int>(pool.stride.width);
  piece.pad_top = static_cast<int>(pool.pads.top);
  piece.pad_left = static_cast<int>(pool.pads.left);
  piece.pad_bottom = static_cast<int>(pool.pads.bottom);
  piece.pad_right = static_cast<int>(pool.pads.right);
  piece.exclude_padding = !pool.count_include_pad;
  return piece;
}

plan::MaxPooling to_piece(const graph::MaxPool& pool) {
  plan::MaxPooling piece;
  piece.kernel_height = static_cast<int>(pool.kernel.height);
  piece.kernel_width = static_cast<int>(pool.kernel.width);
  piece.stride_height = static_cast<int>(pool.stride.height);
  piece.stride_width = static_cast<int>(pool.stride.width);
  piece.pad_top = static_cast<int>(pool.pads.top);
  piece.pad_left = static_cast<int>(pool.pads.left);
  piece.pad_bottom = static_cast<int>(pool.pads.bottom);
  piece.pad_right = static_cast<int>(pool.pads.right);
  piece.dilation_height = static_cast<int>(pool.dilation.height);
  piece.dilation_width = static_cast<int>(pool.dilation.width);
  return piece;
}

plan::Convolution to_piece(const graph::Pad& pad, const plan::Shape& in) {
  plan::Convolution piece;
  piece.out_channels = piece.in_channels = piece.groups = in.channels;
  piece.pad_top = static_cast<int>(pad.pads.top);
  piece.pad_left = static_cast<int>(pad.pads.left);
  piece.pad_bottom = static_cast<int>(pad.pads.bottom);
  piece.pad_right = static_cast<int>(pad.pads.right);
  piece.weights.assign(static_cast<std::size_t>(in.channels), 1.0f);
  return piece;
}

Result<plan::Convolution> placement(int channels, int first, int total) {
  const auto inputs = static_cast<std::size_t>(channels), outputs = static_cast<std::size_t>(total);
  if (inputs > kMaxMatrix / outputs)
    return Error{ErrorCode::kCompileTooWide, "joins " + std::to_string(total) +
                                                 " channels, which would take more than " +
                                                 std::to_string(kMaxMatrix) + " weights; use fewer there"};
  plan::Convolution piece;
  piece.in_channels = channels;
  piece.out_channels = total;
  piece.weights.assign(inputs * outputs, 0.0f);
  for (std::size_t c = 0; c < inputs; ++c)
    piece.weights[(static_cast<std::size_t>(first) + c) * inputs + c] = 1.0f;
  return piece;
}

std::optional<plan::Convolution> permuted_channels(const graph::Permute& permute, const graph::Shape& in) {
  const auto channels = static_cast<std::size_t>(in.channels), pixels = static_cast<std::size_t>(in.pixels());
  if (permute.shape != in || channels > kMaxMatrix / channels) return std::nullopt;
  plan::Convolution piece;
  piece.in_channels = piece.out_channels = static_cast<int>(channels);
  piece.weights.assign(channels * channels, 0.0f);
  for (std::size_t c = 0; c < channels; ++c) {
    const std::size_t from = permute.source[c * pixels] / pixels;
    for (std::size_t i = 0; i < pixels; ++i)
      if (permute.source[c * pixels + i] != from * pixels + i) return std::nullopt;
    piece.weights[c * channels + from] = 1.0f;
  }
  return piece;
}

Result<plan::Matrix> permutation_matrix(const graph::Permute& permute) {
  const std::size_t elements = permute.source.size();
  if (elements > kMaxMatrix / elements)
    return Error{ErrorCode::kCompileUnsupported,
                 "reorders a value of " + std::to_string(elements) +
                     " elements, for which it would become a matrix of more than " +
                     std::to_string(kMaxMatrix) + " weights; export the network without that transpose"};
  plan::Matrix piece;
  piece.outputs = piece.inputs = static_cast<int>(elements);
  piece.weights.assign(elements * elements, 0.0f);
  for (std::size_t i = 0; i < elements; ++i) piece.weights[i * elements + permute.source[i]] = 1.0f;
  return piece;
}

}  // namespace tacit::compiler
