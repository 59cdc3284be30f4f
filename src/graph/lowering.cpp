// SPDX-License-Identifier: Apache-2.0
#include "graph/lowering.h"

#include <algorithm>
#include <climits>
#include <set>

#include "graph/text.h"

namespace tacit::graph {
namespace {

onnx::AttributeProto::AttributeType onnx_type(AttributeType type) {
  switch (type) {
    case AttributeType::kInteger:
      return onnx::AttributeProto::INT;
    case AttributeType::kIntegers:
      return onnx::AttributeProto::INTS;
    case AttributeType::kFloat:
      return onnx::AttributeProto::FLOAT;
    case AttributeType::kFloats:
      return onnx::AttributeProto::FLOATS;
    case AttributeType::kString:
      return onnx::AttributeProto::STRING;
    case AttributeType::kTensor:
      return onnx::AttributeProto::TENSOR;
  }
  return onnx::AttributeProto::UNDEFINED;
}

std::string plural(std::int64_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

}  // namespace

Status Lowering::check() const {
  int given = node_.input_size();
  while (given > 0 && node_.input(given - 1).empty()) --given;
  if (given < row_.min_inputs || given > row_.max_inputs) {
    std::string wanted = row_.max_inputs == INT_MAX ? "at least " + std::to_string(row_.min_inputs)
                         : row_.min_inputs == row_.max_inputs
                             ? std::to_string(row_.min_inputs)
                             : std::to_string(row_.min_inputs) + " to " + std::to_string(row_.max_inputs);
    return error(ErrorCode::kOnnxMalformed,
                 "it has " + plural(given, "input") + " where " + wanted + " belong");
  }
  for (int i = 0; i < row_.min_inputs; ++i) {
    if (node_.input(i).empty()) {
      return error(ErrorCode::kOnnxMalformed, "its input " + std::to_string(i) + " is missing");
    }
  }
  std::set<std::string_view> seen;
  for (const onnx::AttributeProto& attribute : node_.attribute()) {
    std::string name = in_quotes(attribute.name());
    auto known = std::find_if(row_.attributes.begin(), row_.attributes.end(),
                              [&](const OperatorAttribute& a) { return a.name == attribute.name(); });
    if (known == row_.attributes.end()) {
      return error(ErrorCode::kOnnxUnsupportedAttribute,
                   "its attribute " + name + " is not one that is understood; export the model for opset 13");
    }
    bool typed = attribute.type() == onnx_type(known->type) && attribute.ref_attr_name().empty();
    if (!typed || !seen.insert(known->name).second) {
      return error(ErrorCode::kOnnxMalformed,
                   "its attribute " + name + " has the wrong type or is there twice");
    }
  }
  return {};
}

std::string node_label(const onnx::NodeProto& node, int index) {
  std::string name = node.name().empty() ? "#" + std::to_string(index) : in_quotes(node.name());
  return "node " + name + " (" + printable(node.op_type()) + ")";
}

Error Lowering::error(ErrorCode code, const std::string& message) const {
  return {code, label() + ": " + message};
}

const onnx::AttributeProto* Lowering::find(std::string_view name) const {
  for (const onnx::AttributeProto& attribute : node_.attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

std::int64_t Lowering::integer(std::string_view name, std::int64_t fallback) const {
  const onnx::AttributeProto* attribute = find(name);
  return attribute != nullptr ? attribute->i() : fallback;
}

double Lowering::number(std::string_view name, double fallback) const {
  const onnx::AttributeProto* attribute = find(name);
  return attribute != nullptr ? attribute->f() : fallback;
}

std::string Lowering::text(std::string_view name, std::string_view fallback) const {
  const onnx::AttributeProto* attribute = find(name);
  return attribute != nullptr ? attribute->s() : std::string(fallback);
}

Dims Lowering::integers(std::string_view name) const {
  const onnx::AttributeProto* attribute = find(name);
  if (attribute == nullptr) return {};
  return {attribute->ints().begin(), attribute->ints().end()};
}

std::vector<float> Lowering::numbers(std::string_view name) const {
  const onnx::AttributeProto* attribute = find(name);
  if (attribute == nullptr) return {};
  return {attribute->floats().begin(), attribute->floats().end()};
}

const onnx::TensorProto* Lowering::tensor(std::string_view name) const {
  const onnx::AttributeProto* attribute = find(name);
  return attribute != nullptr ? &attribute->t() : nullptr;
}

Result<Extent> Lowering::extent(std::string_view name, std::size_t axes, Extent fallback) const {
  if (!has_attribute(name)) return fallback;
  Dims values = integers(name);
  bool valid = values.size() == axes;
  for (std::int64_t value : values) valid = valid && value >= 1 && value <= kMaxWindow;
  if (!valid) {
    return error(ErrorCode::kOnnxUnsupportedAttribute,
                 "its " + std::string(name) + " is " + dims_to_string(values) + " where " +
                     (axes == 1 ? "one number from 1 is needed, for the width"
                                : "two numbers from 1 are needed, for the height and the width") +
                     " (images of one and two dimensions are supported)");
  }
  return axes == 1 ? Extent{1, values[0]} : Extent{values[0], values[1]};
}

std::size_t Lowering::count() const {
  int given = node_.input_size();
  while (given > 0 && node_.input(given - 1).empty()) --given;
  return static_cast<std::size_t>(given);
}

bool Lowering::has(std::size_t i) const { return i < count() && !node_.input(static_cast<int>(i)).empty(); }

const Operand& Lowering::operand(std::size_t i) const {
  return state_.operands.at(node_.input(static_cast<int>(i)));
}

bool Lowering::all_constant() const {
  for (std::size_t i = 0; i < count(); ++i) {
    if (has(i) && !is_constant(i)) return false;
  }
  return true;
}

Result<const Constant*> Lowering::constant(std::size_t i, std::string_view role) const {
  if (is_constant(i)) return operand(i).constant.get();
  return unsupported(
      "its " + std::string(role) +
      " must be a constant of the model, not computed from the image; retrain with a fixed one");
}

Result<const Constant*> Lowering::floats(std::size_t i, std::string_view role) const {
  TACIT_TRY(const Constant* found, constant(i, role));
  if (found->is_float()) return found;
  return error(ErrorCode::kOnnxMalformed,
               "its " + std::string(role) + " holds integers, not floating-point numbers");
}

Result<std::vector<std::int64_t>> Lowering::integer_values(std::size_t i, std::string_view role) const {
  TACIT_TRY(const Constant* found, constant(i, role));
  if (!found->is_float() && found->dims.size() <= 1) return found->integers();
  return error(ErrorCode::kOnnxMalformed, "its " + std::string(role) + " must be a vector of integers");
}

Result<const ActivationOperand*> Lowering::view(std::size_t i) const {
  const Operand& found = operand(i);
  if (found.constant != nullptr) {
    return unsupported(
        "its input " + in_quotes(node_.input(static_cast<int>(i))) +
        " is a constant where it must depend on the image; fold the constants before exporting");
  }
  if (found.activation.function != OutputFunction::kIdentity) {
    return unsupported(
        "it comes after a Softmax or an ArgMax, which are supported only as the network's last step; "
        "export the network without what follows");
  }
  return &found.activation;
}

Result<ActivationOperand> Lowering::activation(std::size_t i) const {
  TACIT_TRY(const ActivationOperand* found, view(i));
  return in_order(*found);
}

Result<ActivationOperand> Lowering::image(std::size_t i) const {
  TACIT_TRY(const ActivationOperand* found, view(i));
  return as_image(*found);
}

Result<ActivationOperand> Lowering::as_image(const ActivationOperand& view) const {
  if (view.dims.size() != 3 && view.dims.size() != 4) {
    return error(ErrorCode::kOnnxShape,
                 "its input has the shape " + dims_to_string(view.dims) +
                     " where [N, channels, height, width] or [N, channels, width] is needed");
  }
  TACIT_CHECK(learn_channel_axis(view));
  return in_order(view);
}

Status Lowering::learn_channel_axis(const ActivationOperand& image) const {
  if (state_.channel_axis != ChannelAxis::kUnknown) return {};
  ValueId value = image.value;
  const auto keeps_elements = [](const Operation& operation) {
    return is_one_of<Reshape, ChannelAffine, ElementAffine, Square, Activation>(operation);
  };
  while (value != Graph::kInput) {
    // Values are numbered as their nodes are appended, one for each after the input.
    const Node& node = state_.graph.nodes[value - 1];
    if (!keeps_elements(node.operation)) return {};
    value = node.inputs[0];
  }
  const Dims& input = state_.input_dims;
  bool moved = false;
  if (input.size() >= 3 && image.dims[1] == input.back()) {
    // The image's axes are the input's with the last one moved to the front, whatever axes of one element
    // there are.
    const ActivationOperand given{value, input};
    const auto last = static_cast<std::int64_t>(input.size()) - 1;
    const std::optional<ActivationOperand> wanted =
        with_other_ones(transposed(given, channels_first(given, last)), image.dims);
    const bool as_it_is = image.order.empty() && image.dims[1] == input[1];
    moved = wanted && wanted->order == image.order && !as_it_is;
  }
  state_.channel_axis = moved ? ChannelAxis::kLast : ChannelAxis::kSecond;
  if (!moved) return {};
  return error(ErrorCode::kInternal, "the model's input has its channels last");
}

Result<ActivationOperand> Lowering::in_order(const ActivationOperand& operand) const {
  const std::optional<Shape> shape = image_shape(operand.dims, batch());
  if (!shape) {
    return error(
        ErrorCode::kOnnxShape,
        "it works on the shape " + dims_to_string(operand.dims) +
            ", which must have the batch axis first and at most channels, height and width after it");
  }
  ActivationOperand result{operand.value, operand.dims, operand.function};
  if (!operand.order.empty()) {
    TACIT_TRY(result.value, move_elements(operand, *shape));
  } else if (*shape != shape_of(operand)) {
    TACIT_TRY(result.value, append(Reshape{*shape}, {operand.value}));
  }
  return result;
}

Result<ValueId> Lowering::move_elements(const ActivationOperand& operand, const Shape& shape) const {
  TACIT_CHECK(charge(5 * shape.size()));  // the places, and twice numbers of 8 bytes on the way
  std::optional<std::vector<std::uint32_t>> sources = element_sources(operand, batch());
  if (!sources) {
    return unsupported("the batch axis of " + dims_to_string(operand.dims) + " has been moved by node " +
                       in_quotes(operand.mover) + "; export a network that keeps the batch axis first");
  }
  return append_as(operand.mover, Permute{shape, std::move(*sources)}, {operand.value});
}

ActivationOperand Lowering::image_operand(ValueId value, std::size_t axes) const {
  const Shape& shape = state_.graph.shape_of(value);
  if (axes == 1) return {value, {batch(), shape.channels, shape.width}};
  return {value, {batch(), shape.channels, shape.height, shape.width}};
}

std::string Lowering::name() const {
  return node_.name().empty() ? "#" + std::to_string(index_) : printable(node_.name());
}

Result<ValueId> Lowering::append(Operation operation, std::vector<ValueId> inputs) const {
  return append_as(name(), std::move(operation), std::move(inputs));
}

Result<ValueId> Lowering::append_as(std::string name, Operation operation,
                                    std::vector<ValueId> inputs) const {
  std::vector<Shape> shapes;
  shapes.reserve(inputs.size());
  for (ValueId input : inputs) shapes.push_back(state_.graph.shape_of(input));
  Result<Shape> shape = infer_shape(operation, shapes);
  if (!shape.ok()) return labelled(std::move(shape).error());
  if (!weights_finite(operation)) {
    return error(
        ErrorCode::kOnnxWeightsNotFinite,
        "its constants make a weight that is infinite or NaN; look for a division by zero or a negative "
        "variance in the model");
  }
  Result<ValueId> value =
      graph::append(state_.graph, std::move(operation), std::move(name), std::move(inputs));
  if (value.ok()) state_.graph.values[*value].name = printable(node_.output(0));
  return value;
}

Status Lowering::emit(Operation operation, std::vector<ValueId> inputs, Dims dims) const {
  TACIT_TRY(ValueId value, append(std::move(operation), std::move(inputs)));
  return bind(ActivationOperand{value, std::move(dims)});
}

Status Lowering::emit_like(Operation operation, const ActivationOperand& operand) const {
  ActivationOperand result = operand;
  TACIT_TRY(result.value, append(std::move(operation), {operand.value}));
  return bind(std::move(result));
}

Status Lowering::bind(ActivationOperand operand) const {
  state_.operands[node_.output(0)] = Operand{nullptr, std::move(operand)};
  return {};
}

Status Lowering::bind(std::shared_ptr<const Constant> constant) const {
  state_.operands[node_.output(0)] = Operand{std::move(constant), {}};
  return {};
}

Status Lowering::bind(Constant constant) const {
  TACIT_CHECK(charge(constant.size()));
  return bind(std::make_shared<const Constant>(std::move(constant)));
}

Status Lowering::bind(Result<Constant> constant) const {
  if (!constant.ok()) return labelled(std::move(constant).error());
  return bind(std::move(constant).value());
}

Status Lowering::bind_reshaped(const ActivationOperand& operand, const Dims& dims) const {
  // Of the index that an ArgMax gives only the dimensions change.
  if (operand.function == OutputFunction::kArgMax) return bind({operand.value, dims, operand.function});
  if (!operand.order.empty()) {
    if (std::optional<ActivationOperand> same = with_other_ones(operand, dims)) return bind(std::move(*same));
  }
  const std::optional<Shape> shape = image_shape(dims, batch());
  if (!shape && (dims.size() <= 4 || dims[0] != batch())) {
    return error(ErrorCode::kOnnxShape, "it turns " + dims_to_string(operand.dims) + " into " +
                                            dims_to_string(dims) +
                                            "; a result must keep the batch axis first");
  }
  // More axes than an image has are kept until a Transpose or a Reshape makes an image of them.
  ActivationOperand result{operand.value, dims, operand.function};
  const Shape target = shape.value_or(Shape{shape_of(operand).size(), 1, 1});
  if (!operand.order.empty()) {
    TACIT_TRY(result.value, move_elements(operand, target));
  } else if (shape && target != shape_of(operand)) {
    TACIT_TRY(result.value, append(Reshape{target}, {operand.value}));
  }
  return bind(std::move(result));
}

Status Lowering::bind_transposed(const ActivationOperand& operand,
                                 std::span<const std::int64_t> permutation) const {
  ActivationOperand result = transposed(operand, permutation);
  result.mover = name();
  const bool is_image = image_shape(result.dims, batch()).has_value();
  if (result.order.empty() && is_image) return bind_reshaped(result, result.dims);
  return bind(std::move(result));
}

Status Lowering::settle_output() const {
  ActivationOperand& output = state_.operands[node_.output(0)].activation;
  if (output.function == OutputFunction::kArgMax) return {};
  TACIT_TRY(output, in_order(output));
  return {};
}

Status Lowering::charge(std::int64_t elements) const {
  state_.budget -= elements;
  if (state_.budget >= 0) return {};
  return error(ErrorCode::kOnnxTooLarge, "the model's constants grow beyond " +
                                             std::to_string(kMaxConstantElements) +
                                             " elements when they are expanded");
}

}  // namespace tacit::graph
