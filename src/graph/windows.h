// SPDX-License-Identifier: Apache-2.0
// The attributes that Conv and the pools have in common: strides, dilations, pads and auto_pad. Only the
// importer's own files include this.
#pragma once

#include "graph/lowering.h"

namespace tacit::graph {

struct Windows {
  Extent stride, dilation;
  Pads pads;
};

// For a kernel on an input of `axes` axes, 1 or 2, besides the channels; SAME_UPPER and SAME_LOWER become the
// pads they mean (ONNX's rule: as many windows as ceil(size / stride), an odd pad at the end for upper, at
// the front for lower).
Result<Windows> read_windows(const Lowering& node, std::size_t axes, const Extent& kernel,
                             const Shape& input);

// The axes of an image besides batch and channels.
inline std::size_t axes_of(const ActivationOperand& image) { return image.dims.size() - 2; }

}  // namespace tacit::graph
