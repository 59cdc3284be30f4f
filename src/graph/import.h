// SPDX-License-Identifier: Apache-2.0
// ONNX to tensor graph. What is understood stands in one table, operators.h; everything else is refused by
// node name.
#pragma once

#include <filesystem>

#include "base/bytes.h"
#include "graph/graph.h"

namespace tacit::graph {

// Operator sets of the default domain that are read.
inline constexpr std::int64_t kMinOpset = 9;
inline constexpr std::int64_t kMaxOpset = 17;
// Longer files are refused.
inline constexpr std::uint64_t kMaxModelBytes = std::uint64_t{1} << 30;

// Reads a model whose one input is an image [N, channels, height, width], a signal [N, channels, width] (an
// image of height 1) or a vector [N, features] (an image of one pixel), where N is any number or dynamic and
// means one image at a time, and whose one output depends on it. The graph computes what the model does for
// one image; a Softmax, LogSoftmax or ArgMax at its end becomes Graph::output_function. Batch normalisation
// and dropout mean inference.
//
// The graph's input has its channels first, always. Where the model wants them last, as TensorFlow has them,
// the graph stands for the model behind the transpose that it needs: which of the two it is tells the first
// operator that works on images, or, where there is none, an input [N, side, side, 1 or 3] of at least 16
// pixels a side.
//
// Where `last` is given, the graph ends at the node of that name: its first output is the graph's, and what comes after is not
// looked at.
//
// Every error has one line that names the node ("node #3 (Conv)" where it has no
// name) and one of these codes: onnx.malformed, onnx.opset, onnx.external-data, onnx.input,
// onnx.multiple-inputs, onnx.output, onnx.dynamic-shape, onnx.shape, onnx.weights-not-finite,
// onnx.unsupported-operator, onnx.unsupported-attribute, onnx.unsupported-type, onnx.too-large,
// memory.exhausted.
Result<Graph> import_onnx(ByteView bytes, std::string_view last = {});

// The same from a file; also file.not-found, file.unreadable and data.too-large. Messages name the path.
Result<Graph> load_onnx(const std::filesystem::path& path, std::string_view last = {});

}  // namespace tacit::graph
