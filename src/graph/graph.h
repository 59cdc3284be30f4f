// SPDX-License-Identifier: Apache-2.0
// The tensor graph of a convolutional network on one image: nodes in static single assignment form, every
// value with its shape. It is what the importer makes, the simplifier rewrites, the executor runs and the
// compiler consumes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/activation.h"
#include "base/result.h"

namespace tacit::graph {

// The shape of one image's activation; its elements are in row-major order of (channel, row, column). A
// vector of n elements is {n, 1, 1}. Every dimension is at least 1.
struct Shape {
  std::int64_t channels = 1;
  std::int64_t height = 1;
  std::int64_t width = 1;
  std::int64_t pixels() const { return height * width; }
  std::int64_t size() const { return channels * height * width; }
  friend bool operator==(const Shape&, const Shape&) = default;
};

// For instance "16x14x14" (channels, height, width).
std::string to_string(const Shape& shape);

// No value of a graph has more elements than this (256 MiB of float32).
inline constexpr std::int64_t kMaxElements = std::int64_t{1} << 26;
// No kernel, stride, dilation or padding is larger than this, so that no position computed from them
// overflows.
inline constexpr std::int64_t kMaxWindow = std::int64_t{1} << 20;

// A height and a width, of a kernel, its strides or its dilations; at least 1 each.
struct Extent {
  std::int64_t height = 1;
  std::int64_t width = 1;
  friend bool operator==(const Extent&, const Extent&) = default;
};

// Rows and columns of zeros around an activation; never negative.
struct Pads {
  std::int64_t top = 0;
  std::int64_t left = 0;
  std::int64_t bottom = 0;
  std::int64_t right = 0;
  bool zero() const { return top == 0 && left == 0 && bottom == 0 && right == 0; }
  friend bool operator==(const Pads&, const Pads&) = default;
};

// Cross-correlation as ONNX's Conv: out[o,y,x] = bias[o] + sum over i,r,s of
// weights[o,i,r,s] * in[first(o)+i, y*stride.height + r*dilation.height - pads.top, likewise for columns],
// where first(o) is the first input channel of o's group, and places outside of the image count as zero.
struct Conv {
  std::int64_t in_channels = 1;
  std::int64_t out_channels = 1;
  std::int64_t groups = 1;  // divides both numbers of channels
  Extent kernel;
  Extent stride;
  Extent dilation;
  Pads pads;
  std::vector<float> weights;  // [out_channels, in_channels/groups, kernel.height, kernel.width], row-major
  std::vector<float> bias;     // [out_channels]
};

// The mean over windows. Places outside of the image count as zeros where `count_include_pad`, else not at
// all. A global average pool is one whose kernel is the whole image.
struct AveragePool {
  Extent kernel;
  Extent stride;
  Pads pads;
  bool count_include_pad = false;
};

// The maximum over windows; places outside of the image do not count. Every window has a place inside.
struct MaxPool {
  Extent kernel;
  Extent stride;
  Extent dilation;
  Pads pads;
};

// out = weights * in + bias, where `in` is the input flattened in its row-major order. The output's shape is
// {out, 1, 1}.
struct Dense {
  std::int64_t in = 1;
  std::int64_t out = 1;
  std::vector<float> weights;  // [out, in], row-major
  std::vector<float> bias;     // [out]
};

// out[c,y,x] = scale[c] * in[c,y,x] + shift[c].
struct ChannelAffine {
  std::vector<float> scale;  // [channels]
  std::vector<float> shift;  // [channels]
};

// out[i] = scale[i] * in[i] + shift[i] for every element.
struct ElementAffine {
  std::vector<float> scale;  // [elements]
  std::vector<float> shift;  // [elements]
};

// out = in * in.
struct Square {};

// The sum of two activations of one shape.
struct Add {};

// The element-wise product of two activations of one shape.
struct Multiply {};

// The same elements in the same row-major order under another shape.
struct Reshape {
  Shape shape;
};

// The same elements in another order: element i of the result, row-major, is element source[i] of the input.
struct Permute {
  Shape shape;
  std::vector<std::uint32_t> source;  // each element of the input once
};

// The channels of two or more activations of one height and width, one activation's after the other's.
struct Concat {};

// Zeros around the image. simplify() folds it into a Conv or AveragePool that follows.
struct Pad {
  Pads pads;
};

using Operation = std::variant<Conv, AveragePool, Dense, ChannelAffine, ElementAffine, Square, Activation,
                               Add, Multiply, Reshape, Pad, MaxPool, Permute, Concat>;

// Whether the operation is one of these.
template <class... Operations>
bool is_one_of(const Operation& operation) {
  return (std::holds_alternative<Operations>(operation) || ...);
}

// "Conv", "Relu", "Add" ...: what the operation is called in messages.
std::string_view name_of(const Operation& operation);

// An index into Graph::values.
using ValueId = std::uint32_t;

struct Value {
  std::string name;
  Shape shape;
};

struct Node {
  Operation operation;
  std::string name;             // of the ONNX node, or made up where that one has none; for messages
  std::vector<ValueId> inputs;  // one, two for Add and Multiply, two or more for Concat
  ValueId output = 0;
};

// What the model applies to the network's output and the client computes after decryption, over all elements.
// kArgMax is the index of the largest, the first of several; the output is what it is looked for in.
enum class OutputFunction { kIdentity, kSoftmax, kLogSoftmax, kArgMax };

// Invariants (validate() checks them): values[0] is the network's input and no node's output; every other
// value is the output of exactly one node; nodes stand in topological order; shapes and sizes of weights
// agree; weights are finite.
struct Graph {
  std::string input_name;  // the ONNX names of the input and the output
  std::string output_name;
  std::vector<Value> values;
  std::vector<Node> nodes;
  ValueId output = 0;
  OutputFunction output_function = OutputFunction::kIdentity;

  static constexpr ValueId kInput = 0;
  const Shape& input_shape() const { return values[kInput].shape; }
  const Shape& output_shape() const { return values[output].shape; }
  const Shape& shape_of(ValueId value) const { return values[value].shape; }
};

// A graph without nodes, whose output is its input.
Graph make_graph(const Shape& input, std::string input_name = "input");

// The shape of `operation`'s result on inputs of these shapes. onnx.shape, naming both shapes, where they do
// not fit or the operation's own weights have other sizes than its fields say.
Result<Shape> infer_shape(const Operation& operation, const std::vector<Shape>& inputs);

// Whether no weight of the operation is infinite or NaN, and an Activation's function one that can be
// evaluated.
bool weights_finite(const Operation& operation);

// Appends a node on values that exist, with the inferred shape, makes its result the graph's output and
// returns it. The message of an error begins with the node's name.
Result<ValueId> append(Graph& graph, Operation operation, std::string name, std::vector<ValueId> inputs);

// For every value the number of places that read it; being the graph's output counts as one.
std::vector<int> count_uses(const Graph& graph);

// graph.invalid unless the invariants above hold.
Status validate(const Graph& graph);

}  // namespace tacit::graph
