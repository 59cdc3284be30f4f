// SPDX-License-Identifier: Apache-2.0
#include "graph/operators.h"

#include <algorithm>
#include <climits>

#include "graph/import.h"

namespace tacit::graph {
namespace {

using enum AttributeType;

constexpr OperatorAttribute kPoolAttributes[] = {
    {"auto_pad", kString},       {"ceil_mode", kInteger}, {"count_include_pad", kInteger},
    {"kernel_shape", kIntegers}, {"pads", kIntegers},     {"strides", kIntegers}};
constexpr OperatorAttribute kMaxPoolAttributes[] = {
    {"auto_pad", kString}, {"ceil_mode", kInteger},     {"dilations", kIntegers}, {"kernel_shape", kIntegers},
    {"pads", kIntegers},   {"storage_order", kInteger}, {"strides", kIntegers}};
constexpr OperatorAttribute kConvAttributes[] = {{"auto_pad", kString}, {"dilations", kIntegers},
                                                 {"group", kInteger},   {"kernel_shape", kIntegers},
                                                 {"pads", kIntegers},   {"strides", kIntegers}};
constexpr OperatorAttribute kGemmAttributes[] = {
    {"alpha", kFloat}, {"beta", kFloat}, {"transA", kInteger}, {"transB", kInteger}};
constexpr OperatorAttribute kNormAttributes[] = {
    {"epsilon", kFloat}, {"momentum", kFloat}, {"training_mode", kInteger}};
constexpr OperatorAttribute kConstantAttributes[] = {{"value", kTensor},
                                                     {"value_float", kFloat},
                                                     {"value_floats", kFloats},
                                                     {"value_int", kInteger},
                                                     {"value_ints", kIntegers}};
constexpr OperatorAttribute kAlpha[] = {{"alpha", kFloat}};
constexpr OperatorAttribute kAlphaBeta[] = {{"alpha", kFloat}, {"beta", kFloat}};
constexpr OperatorAttribute kAlphaGamma[] = {{"alpha", kFloat}, {"gamma", kFloat}};
constexpr OperatorAttribute kArgMax[] = {
    {"axis", kInteger}, {"keepdims", kInteger}, {"select_last_index", kInteger}};
constexpr OperatorAttribute kAxis[] = {{"axis", kInteger}};
constexpr OperatorAttribute kAxes[] = {{"axes", kIntegers}};
constexpr OperatorAttribute kClip[] = {{"max", kFloat}, {"min", kFloat}};
constexpr OperatorAttribute kCast[] = {{"to", kInteger}};
constexpr OperatorAttribute kDropout[] = {{"ratio", kFloat}, {"seed", kInteger}};
constexpr OperatorAttribute kPad[] = {{"mode", kString}, {"pads", kIntegers}, {"value", kFloat}};
constexpr OperatorAttribute kReduce[] = {{"axes", kIntegers}, {"keepdims", kInteger}};
constexpr OperatorAttribute kReshape[] = {{"allowzero", kInteger}};
constexpr OperatorAttribute kShape[] = {{"end", kInteger}, {"start", kInteger}};
constexpr OperatorAttribute kSlice[] = {{"axes", kIntegers}, {"ends", kIntegers}, {"starts", kIntegers}};
constexpr OperatorAttribute kTranspose[] = {{"perm", kIntegers}};
constexpr OperatorAttribute kValue[] = {{"value", kTensor}};

constexpr Operator refused(std::string_view name, std::string_view advice) {
  return {name, 0, INT_MAX, {}, nullptr, {}, advice};
}

constexpr std::string_view kFloatsOnly = "export the float32 model before quantisation";
constexpr std::string_view kFixedGraph =
    "export a network with a fixed sequence of layers and no control flow";

// Sorted by name, so that a row is found by bisection. A new operator is a row here, its function beside its
// kind in lower_*.cpp, and, where it computes something new, an operation in graph.h with its shape rule and
// its executor.
// clang-format off
constexpr Operator kOperators[] = {
    {"Abs", 1, 1, {}, lower::abs, "a constant", "Constants only."},
    {"Add", 2, 2, {}, lower::add, "ChannelAffine, ElementAffine or Add",
     "An activation and a constant that broadcasts to it, or two activations of one shape."},
    {"ArgMax", 1, 1, kArgMax, lower::arg_max, "the output's function",
     "As the last step, over all outputs; the outputs stay the numbers that are compared, and whoever decrypts them takes the largest."},
    {"AveragePool", 1, 1, kPoolAttributes, lower::average_pool, "AveragePool",
     "Of one or two dimensions; padding smaller than the kernel; ceil_mode = 1 not with counted padding."},
    {"BatchNormalization", 5, 5, kNormAttributes, lower::batch_normalization, "ChannelAffine",
     "Inference; its statistics are constants."},
    {"Cast", 1, 1, kCast, lower::cast, "nothing",
     "An activation to float only, the index of an ArgMax also to int32 or int64; constants to float, int32 or int64."},
    {"Ceil", 1, 1, {}, lower::ceil, "a constant", "Constants only."},
    {"Clip", 1, 3, kClip, lower::clip, "Relu or Clip", "Its bounds are constants."},
    {"Concat", 1, INT_MAX, kAxis, lower::concat, "Concat", "Activations, or only constants."},
    {"Constant", 0, 0, kConstantAttributes, lower::constant, "a constant", "Dense tensors and numbers."},
    {"ConstantOfShape", 1, 1, kValue, lower::constant_of_shape, "a constant", "Its shape is a constant."},
    {"Conv", 2, 3, kConvAttributes, lower::conv, "Conv",
     "Of one or two dimensions; any strides, pads, dilations and groups; weights and bias are constants."},
    refused("ConvInteger", kFloatsOnly),
    refused("ConvTranspose", "retrain with a network that does not enlarge its images"),
    refused("DequantizeLinear", kFloatsOnly),
    {"Div", 2, 2, {}, lower::div, "ChannelAffine or ElementAffine",
     "By a constant that broadcasts to the activation."},
    {"Dropout", 1, 3, kDropout, lower::dropout, "nothing", "Inference; only its first output is used."},
    {"Elu", 1, 1, kAlpha, lower::elu, "Elu", ""},
    {"Erf", 1, 1, {}, lower::erf, "Erf", "x * (1 + Erf(x / sqrt(2))) / 2, in any order of its factors, becomes Gelu."},
    {"Exp", 1, 1, {}, lower::exp, "a constant", "Constants only."},
    {"Flatten", 1, 1, kAxis, lower::flatten, "Reshape", "Everything but the batch into one vector."},
    {"Floor", 1, 1, {}, lower::floor, "a constant", "Constants only."},
    refused("GRU", "only feed-forward networks on images can be run"),
    {"Gather", 2, 2, kAxis, lower::gather, "a constant", "Constants only."},
    {"Gemm", 2, 3, kGemmAttributes, lower::gemm, "Dense",
     "transA = 0; the second factor and the bias are constants; any alpha, beta and transB."},
    {"GlobalAveragePool", 1, 1, {}, lower::global_average_pool, "AveragePool", "Of one or two dimensions."},
    {"GlobalMaxPool", 1, 1, {}, lower::global_max_pool, "MaxPool",
     "Of one or two dimensions. On ciphertexts by absolute values, with levels for each comparison."},
    {"HardSigmoid", 1, 1, kAlphaBeta, lower::hard_sigmoid, "HardSigmoid",
     "x * HardSigmoid(x) becomes HardSwish where that is what it is."},
    {"HardSwish", 1, 1, {}, lower::hard_swish, "HardSwish", ""},
    {"Identity", 1, 1, {}, lower::identity, "nothing", ""},
    refused("If", kFixedGraph),
    refused("InstanceNormalization",
            "retrain with batch normalisation: it divides by what depends on the image"),
    refused("LRN", "retrain with batch normalisation: it divides by what depends on the image"),
    refused("LSTM", "only feed-forward networks on images can be run"),
    {"LeakyRelu", 1, 1, kAlpha, lower::leaky_relu, "LeakyRelu", ""},
    {"LogSoftmax", 1, 1, kAxis, lower::log_softmax, "the output's function",
     "As the last step, over all outputs; whoever decrypts them applies it."},
    refused("Loop", kFixedGraph),
    {"MatMul", 2, 2, {}, lower::matmul, "Dense", "A vector times a constant matrix."},
    {"Max", 1, INT_MAX, {}, lower::max, "Relu or Clip", "Of an activation and one number."},
    {"MaxPool", 1, 1, kMaxPoolAttributes, lower::max_pool, "MaxPool",
     "Of one or two dimensions; a place in the image under every window; only its first output is used. On ciphertexts by absolute values, with levels for each comparison."},
    {"Min", 1, INT_MAX, {}, lower::min, "Relu or Clip", "Of an activation and one number."},
    {"Mul", 2, 2, {}, lower::mul, "ChannelAffine, ElementAffine, Square, a function or Multiply",
     "By a constant that broadcasts to the activation, by the activation itself, or by another of the same shape. The product of two functions of one activation is one function of it."},
    {"Neg", 1, 1, {}, lower::neg, "ChannelAffine", ""},
    {"PRelu", 2, 2, {}, lower::prelu, "LeakyRelu", "One slope for all elements."},
    {"Pad", 1, 3, kPad, lower::pad, "Pad, or a Conv for channels", "Rows, columns and channels of zeros, mode constant."},
    {"Pow", 2, 2, {}, lower::pow, "Square or a function", "To the power 2 or 3 (or 1)."},
    refused("QLinearConv", kFloatsOnly),
    refused("QuantizeLinear", kFloatsOnly),
    refused("RNN", "only feed-forward networks on images can be run"),
    {"Reciprocal", 1, 1, {}, lower::reciprocal, "a constant", "Constants only."},
    {"ReduceMean", 1, 1, kReduce, lower::reduce_mean, "AveragePool",
     "Over the whole image: all axes but the batch and the channels."},
    {"Relu", 1, 1, {}, lower::relu, "Relu", ""},
    {"Reshape", 2, 2, kReshape, lower::reshape, "Reshape",
     "To a constant shape, also with 0 and -1, that keeps the batch axis first. More than four axes only on the way to a shape of fewer."},
    refused("Resize", "retrain with a network that does not enlarge its images"),
    refused("Scan", kFixedGraph),
    {"Selu", 1, 1, kAlphaGamma, lower::selu, "Selu", ""},
    {"Shape", 1, 1, kShape, lower::shape, "a constant", ""},
    {"Sigmoid", 1, 1, {}, lower::sigmoid, "Sigmoid", "x * Sigmoid(x) becomes Silu."},
    {"Slice", 1, 5, kSlice, lower::slice, "a constant", "Constants only."},
    {"Softmax", 1, 1, kAxis, lower::softmax, "the output's function",
     "As the last step, over all outputs; whoever decrypts them applies it."},
    {"Softplus", 1, 1, {}, lower::softplus, "Softplus", "x * Tanh(Softplus(x)) becomes Mish."},
    refused("Split", "retrain with one path for all channels, or with a grouped convolution"),
    {"Sqrt", 1, 1, {}, lower::sqrt, "a constant", "Constants only."},
    {"Squeeze", 1, 2, kAxes, lower::squeeze, "Reshape", "Axes of one element."},
    {"Sub", 2, 2, {}, lower::sub, "ChannelAffine, ElementAffine or Add",
     "An activation and a constant that broadcasts to it, or two activations of one shape."},
    {"Tanh", 1, 1, {}, lower::tanh, "Tanh", "The approximation of Gelu by Tanh becomes Gelu."},
    {"Transpose", 1, 1, kTranspose, lower::transpose, "nothing, Reshape or Permute",
     "Where a later one undoes it, nothing. Where a layer of features follows, its weights are reordered."},
    {"Unsqueeze", 1, 2, kAxes, lower::unsqueeze, "Reshape", ""},
    refused("Upsample", "retrain with a network that does not enlarge its images"),
};
// clang-format on

void table_row(std::string& page, std::initializer_list<std::string_view> cells) {
  for (std::string_view cell : cells) {
    page += "| ";
    page += cell;
    page += ' ';
  }
  page += "|\n";
}

static_assert(std::is_sorted(std::begin(kOperators), std::end(kOperators),
                             [](const Operator& a, const Operator& b) { return a.name < b.name; }));

}  // namespace

std::span<const Operator> operators() { return kOperators; }

const Operator* find_operator(std::string_view name) {
  auto row = std::lower_bound(std::begin(kOperators), std::end(kOperators), name,
                              [](const Operator& a, std::string_view b) { return a.name < b; });
  return row != std::end(kOperators) && row->name == name ? row : nullptr;
}

std::string operators_page() {
  std::string page =
      "# ONNX operators\n\n"
      "Models are read from operator sets " +
      std::to_string(kMinOpset) + " to " + std::to_string(kMaxOpset) +
      " of the default domain. An activation is what depends on the image; a constant is all else.\n\n"
      "The input is one image [N, channels, height, width], a signal [N, channels, width], which is an image "
      "of height 1, "
      "or a vector [N, features], an image of one pixel. N is any number or dynamic. Where the channels "
      "stand last, as "
      "TensorFlow has them, the model is read as one with channels first: images are given to it as "
      "[n, channels, height, width] always.\n\n"
      "## Supported\n\n"
      "| operator | inputs | attributes | becomes | conditions |\n"
      "|---|---|---|---|---|\n";
  for (const Operator& row : kOperators) {
    if (row.lower == nullptr) continue;
    std::string inputs = std::to_string(row.min_inputs);
    if (row.max_inputs == INT_MAX) {
      inputs += " or more";
    } else if (row.max_inputs != row.min_inputs) {
      inputs += " to " + std::to_string(row.max_inputs);
    }
    std::string attributes;
    for (const OperatorAttribute& attribute : row.attributes) {
      if (!attributes.empty()) attributes += ", ";
      attributes += attribute.name;
    }
    table_row(page, {row.name, inputs, attributes, row.becomes, row.note});
  }
  page += "\n## Refused, and what to do instead\n\n| operator | instead |\n|---|---|\n";
  for (const Operator& row : kOperators) {
    if (row.lower == nullptr) table_row(page, {row.name, row.note});
  }
  return page;
}

}  // namespace tacit::graph
