// SPDX-License-Identifier: Apache-2.0
// Operators that only rearrange: an activation gets another shape, on constants they are computed at import.
#include <algorithm>
#include <climits>
#include <cmath>

#include "graph/lowering.h"
#include "graph/text.h"

namespace tacit::graph::lower {
namespace {

// Binds `dims` for the node's first input, whose elements stay as they are.
Status rearranged(const Lowering& node, Result<Dims> dims) {
  if (!dims.ok()) return node.labelled(std::move(dims).error());
  const Operand& input = node.operand(0);
  if (input.constant == nullptr) return node.bind_reshaped(input.activation, *dims);
  return node.bind(Constant{std::move(*dims), input.constant->data});
}

const Dims& dims_of(const Lowering& node, std::size_t i) {
  const Operand& input = node.operand(i);
  const Constant* constant = input.constant.get();
  return constant != nullptr ? constant->dims : input.activation.dims;
}

// Squeeze's and Unsqueeze's axes: an attribute before opset 13, an input since.
Result<Dims> axes_of(const Lowering& node) {
  if (node.opset() < 13) return node.integers("axes");
  if (!node.has(1)) return Dims{};
  return node.integer_values(1, "axes");
}

// Constants alone are computed with; the image's values are not.
Result<const Constant*> known(const Lowering& node, std::size_t i) {
  if (node.is_constant(i)) return node.operand(i).constant.get();
  return node.unsupported(
      "it is supported only on shapes and other constants, not on what depends on the image; use a "
      "convolution with "
      "strides or groups in its place");
}

// Each activation with the axis it is joined along in the place of the channels, then back.
Status concat_activations(const Lowering& node) {
  for (std::size_t i = 0; i < node.count(); ++i) {
    if (node.is_constant(i)) {
      return node.unsupported(
          "it joins a constant to what depends on the image; retrain with a convolution that makes all "
          "channels");
    }
  }
  TACIT_TRY(const ActivationOperand* first, node.view(0));
  Result<std::size_t> axis = normal_axis(node.integer("axis", 0), first->dims.size());
  if (!axis.ok()) return node.labelled(std::move(axis).error());
  const Dims permutation = channels_first(*first, static_cast<std::int64_t>(*axis));
  if (*axis == 0) {
    return node.unsupported("it joins whole images along the batch axis; export a network for one image");
  }
  std::vector<ValueId> parts;
  Dims dims = first->dims;
  dims[*axis] = 0;
  for (std::size_t i = 0; i < node.count(); ++i) {
    TACIT_TRY(const ActivationOperand* part, node.view(i));
    bool fits = part->dims.size() == dims.size();
    for (std::size_t k = 0; fits && k < dims.size(); ++k) fits = k == *axis || part->dims[k] == dims[k];
    if (!fits) {
      return node.error(ErrorCode::kOnnxShape, "its inputs " + dims_to_string(first->dims) + " and " +
                                                   dims_to_string(part->dims) +
                                                   " cannot be joined along axis " + std::to_string(*axis));
    }
    TACIT_TRY(const ActivationOperand ordered, node.in_order(transposed(*part, permutation)));
    parts.push_back(ordered.value);
    dims[*axis] += part->dims[*axis];
  }
  if (parts.size() == 1) return node.bind(*first);
  TACIT_TRY(ValueId joined, node.append(Concat{}, std::move(parts)));
  Dims joined_dims;
  for (std::int64_t from : permutation) joined_dims.push_back(dims[static_cast<std::size_t>(from)]);
  return node.bind_transposed({joined, std::move(joined_dims)}, inverse(permutation));
}

}  // namespace

Status identity(const Lowering& node) {
  const Operand& input = node.operand(0);
  return input.constant != nullptr ? node.bind(input.constant) : node.bind(input.activation);
}

Status dropout(const Lowering& node) {
  if (node.has(2)) {
    TACIT_TRY(const Constant* training, node.constant(2, "training_mode"));
    if (training->is_float() || training->size() != 1) {
      return node.error(ErrorCode::kOnnxMalformed, "its training_mode is not one boolean");
    }
    if (training->integers()[0] != 0) {
      return node.unsupported("it is in training mode; call model.eval() before exporting");
    }
  }
  return identity(node);
}

Status flatten(const Lowering& node) {
  const Dims& dims = dims_of(node, 0);
  std::int64_t axis = node.integer("axis", 1), rank = static_cast<std::int64_t>(dims.size());
  if (axis < -rank || axis > rank) {
    return node.error(ErrorCode::kOnnxMalformed, "its axis " + std::to_string(axis) +
                                                     " is outside of its input " + dims_to_string(dims));
  }
  if (axis < 0) axis += rank;
  Dims result = {1, 1};
  for (std::int64_t i = 0; i < rank; ++i) result[i < axis ? 0 : 1] *= dims[static_cast<std::size_t>(i)];
  return rearranged(node, result);
}

Status reshape(const Lowering& node) {
  TACIT_TRY(Dims target, node.integer_values(1, "new shape"));
  return rearranged(node, reshape_dims(dims_of(node, 0), target, node.integer("allowzero", 0) != 0));
}

Status squeeze(const Lowering& node) {
  TACIT_TRY(Dims axes, axes_of(node));
  return rearranged(node, squeeze_dims(dims_of(node, 0), axes));
}

Status unsqueeze(const Lowering& node) {
  TACIT_TRY(Dims axes, axes_of(node));
  return rearranged(node, unsqueeze_dims(dims_of(node, 0), axes));
}

Status transpose(const Lowering& node) {
  const Dims& dims = dims_of(node, 0);
  Dims permutation = node.integers("perm");
  if (!node.has_attribute("perm")) {
    for (std::size_t i = dims.size(); i-- > 0;) permutation.push_back(static_cast<std::int64_t>(i));
  }
  if (node.is_constant(0)) return node.bind(graph::transpose(*node.operand(0).constant, permutation));
  if (Status valid = check_permutation(dims, permutation); !valid.ok()) return node.labelled(valid.error());
  return node.bind_transposed(node.operand(0).activation, permutation);
}

Status constant(const Lowering& node) {
  const onnx::TensorProto* value = node.tensor("value");
  Dims integers = node.integers("value_ints");
  std::vector<float> floats = node.numbers("value_floats");
  auto length = [](const auto& list) { return static_cast<std::int64_t>(list.size()); };
  if (value != nullptr) {
    Result<Constant> decoded = decode_tensor(*value, "the tensor of " + node.label());
    if (!decoded.ok()) return std::move(decoded).error();
    return node.bind(std::make_shared<const Constant>(std::move(decoded).value()));
  }
  if (node.has_attribute("value_int")) return node.bind(make_integers({}, {node.integer("value_int", 0)}));
  if (node.has_attribute("value_float")) {
    floats = {static_cast<float>(node.number("value_float", 0))};
  } else if (node.has_attribute("value_ints")) {
    Dims dims = {length(integers)};
    return node.bind(make_integers(dims, std::move(integers)));
  } else if (!node.has_attribute("value_floats")) {
    return node.error(ErrorCode::kOnnxMalformed, "it has no value");
  }
  Dims dims = node.has_attribute("value_float") ? Dims{} : Dims{length(floats)};
  for (float number : floats) {
    if (!std::isfinite(number)) {
      return node.error(ErrorCode::kOnnxWeightsNotFinite,
                        "its value is infinite or NaN; train or export again");
    }
  }
  return node.bind(make_floats(std::move(dims), std::move(floats)));
}

Status constant_of_shape(const Lowering& node) {
  TACIT_TRY(Dims dims, node.integer_values(0, "shape"));
  Constant element = make_floats({1}, {0.0f});
  if (const onnx::TensorProto* value = node.tensor("value"); value != nullptr) {
    TACIT_TRY(element, decode_tensor(*value, "the tensor of " + node.label()));
  }
  if (element.size() != 1) return node.error(ErrorCode::kOnnxMalformed, "its value is not one number");
  Result<std::int64_t> count = element_count(dims);
  if (!count.ok()) return node.labelled(std::move(count).error());
  element.dims = {};
  TACIT_CHECK(node.charge(*count));
  return node.bind(broadcast(element, dims));
}

Status shape(const Lowering& node) {
  const Dims& dims = dims_of(node, 0);
  auto rank = static_cast<std::int64_t>(dims.size());
  auto normal = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank); };
  std::int64_t start = normal(std::max(node.integer("start", 0), -rank));
  std::int64_t end = normal(std::max(node.integer("end", rank), -rank));
  std::vector<std::int64_t> part;
  if (start < end) part.assign(dims.begin() + start, dims.begin() + end);
  Dims length = {static_cast<std::int64_t>(part.size())};
  return node.bind(make_integers(std::move(length), std::move(part)));
}

Status gather(const Lowering& node) {
  TACIT_TRY(const Constant* data, known(node, 0));
  TACIT_TRY(const Constant* indices, known(node, 1));
  return node.bind(graph::gather(*data, *indices, node.integer("axis", 0)));
}

Status concat(const Lowering& node) {
  if (!node.has_attribute("axis")) return node.error(ErrorCode::kOnnxMalformed, "it has no axis");
  for (std::size_t i = 0; i < node.count(); ++i) {
    if (!node.has(i)) return node.error(ErrorCode::kOnnxMalformed, "one of its inputs is missing");
  }
  if (!node.all_constant()) return concat_activations(node);
  std::vector<const Constant*> parts;
  for (std::size_t i = 0; i < node.count(); ++i) parts.push_back(node.operand(i).constant.get());
  return node.bind(graph::concat(parts, node.integer("axis", 0)));
}

Status slice(const Lowering& node) {
  TACIT_TRY(const Constant* data, known(node, 0));
  Dims starts, ends, axes, steps;
  if (node.opset() < 10) {
    starts = node.integers("starts");
    ends = node.integers("ends");
    axes = node.integers("axes");
  } else {
    if (node.count() < 3) return node.error(ErrorCode::kOnnxMalformed, "it has no starts and ends");
    TACIT_TRY(starts, node.integer_values(1, "starts"));
    TACIT_TRY(ends, node.integer_values(2, "ends"));
    if (node.has(3)) { TACIT_TRY(axes, node.integer_values(3, "axes")); }
    if (node.has(4)) { TACIT_TRY(steps, node.integer_values(4, "steps")); }
  }
  if (ends.size() != starts.size() || (!axes.empty() && axes.size() != starts.size()) ||
      (!steps.empty() && steps.size() != starts.size())) {
    return node.error(ErrorCode::kOnnxMalformed, "its starts, ends, axes and steps differ in number");
  }
  std::vector<SliceRange> ranges;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    ranges.push_back({axes.empty() ? static_cast<std::int64_t>(i) : axes[i], starts[i], ends[i],
                      steps.empty() ? 1 : steps[i]});
  }
  return node.bind(graph::slice(*data, ranges));
}

Status cast(const Lowering& node) {
  if (!node.has_attribute("to")) return node.error(ErrorCode::kOnnxMalformed, "it does not say to what type");
  std::int64_t to = node.integer("to", 0);
  bool floats = to == onnx::TensorProto::FLOAT || to == onnx::TensorProto::DOUBLE;
  bool integers = to == onnx::TensorProto::INT64 || to == onnx::TensorProto::INT32;
  const Operand& input = node.operand(0);
  std::string target = type_name(to >= 0 && to <= INT_MAX ? static_cast<int>(to) : 0);
  if (input.constant == nullptr) {
    bool index = integers && input.activation.function == OutputFunction::kArgMax;
    if (floats || index) return node.bind(input.activation);
    return node.unsupported("what depends on the image cannot be cast to " + target + "; export in float32");
  }
  if (floats) return node.bind(to_floats(*input.constant));
  if (integers) return node.bind(to_integers(*input.constant));
  return node.error(ErrorCode::kOnnxUnsupportedType,
                    "a cast to " + target + " is not supported; export in float32");
}

}  // namespace tacit::graph::lower
