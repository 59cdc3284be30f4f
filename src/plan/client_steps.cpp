// SPDX-License-Identifier: Apache-2.0
#include "plan/client_steps.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>

namespace tacit::plan::detail {

namespace {

constexpr std::size_t kMaxSteps = 4096;
constexpr std::size_t kMaxWeights = std::size_t{1} << 22;

struct KindName {
  ActivationKind kind;
  std::string_view name;
};
constexpr KindName kActivations[] = {{ActivationKind::kRelu, "relu"},
                                     {ActivationKind::kLeakyRelu, "leaky_relu"},
                                     {ActivationKind::kSigmoid, "sigmoid"},
                                     {ActivationKind::kTanh, "tanh"},
                                     {ActivationKind::kSilu, "silu"},
                                     {ActivationKind::kHardSigmoid, "hard_sigmoid"},
                                     {ActivationKind::kHardSwish, "hard_swish"},
                                     {ActivationKind::kErf, "erf"},
                                     {ActivationKind::kGelu, "gelu"},
                                     {ActivationKind::kGeluTanh, "gelu_tanh"},
                                     {ActivationKind::kElu, "elu"},
                                     {ActivationKind::kSelu, "selu"},
                                     {ActivationKind::kSoftplus, "softplus"},
                                     {ActivationKind::kMish, "mish"},
                                     {ActivationKind::kClip, "clip"},
                                     {ActivationKind::kFunction, "steps"}};
constexpr std::array<std::string_view, 4> kStepKinds = {"affine", "apply", "sum", "product"};
constexpr std::string_view kMaxPool = "max_pool", kSum = "add", kLinear = "linear";

std::string_view json_name(ActivationKind kind) {
  return std::ranges::find(kActivations, kind, &KindName::kind)->name;
}

Result<ActivationKind> kind_of(const Fields& fields, const char* field) {
  std::string name;
  TACIT_CHECK(fields.string(field, name));
  const auto found = std::ranges::find(kActivations, name, &KindName::name);
  if (found != std::end(kActivations)) return found->kind;
  return Fields::error(field, "names a function that this release does not know");
}

Status read_float(const Fields& fields, const char* name, float& out) {
  double number = 0;
  TACIT_CHECK(fields.number(name, number));
  out = static_cast<float>(number);
  return {};
}

Status read_floats(const Fields& fields, const char* name, std::vector<float>& out) {
  return fields.array(name, kMaxWeights, [&](const json& value, const std::string& path) -> Status {
    double number = 0;
    TACIT_CHECK(Fields::number(value, path, number));
    out.push_back(static_cast<float>(number));
    return {};
  });
}

Status read_function_step(const Fields& fields, FunctionStep& out) {
  std::string kind;
  TACIT_CHECK(fields.string("kind", kind));
  const auto found = std::ranges::find(kStepKinds, kind);
  if (found == kStepKinds.end()) return Fields::error("kind", "is not one that this release knows");
  out.kind = static_cast<FunctionStep::Kind>(found - kStepKinds.begin());
  TACIT_TRY(out.function, kind_of(fields, "function"));
  TACIT_CHECK(read_float(fields, "alpha", out.alpha));
  TACIT_CHECK(read_float(fields, "beta", out.beta));
  TACIT_CHECK(fields.integer("left", out.left, kMaxFunctionSteps));
  return fields.integer("right", out.right, kMaxFunctionSteps);
}

Result<Activation> read_activation(const Fields& fields) {
  Activation activation;
  TACIT_TRY(activation.kind, kind_of(fields, "function"));
  TACIT_CHECK(read_float(fields, "alpha", activation.alpha));
  TACIT_CHECK(read_float(fields, "beta", activation.beta));
  if (activation.kind != ActivationKind::kFunction) return activation;
  const Status read =
      fields.array("steps", kMaxFunctionSteps, [&](const json& value, const std::string& path) -> Status {
        if (!value.is_object()) return Fields::error(path, "must be an object");
        return read_function_step(Fields(value, path + "."), activation.steps.emplace_back());
      });
  if (!read.ok()) return read.error();
  return activation;
}

ordered_json activation_json(const Activation& activation) {
  ordered_json object = {
      {"function", json_name(activation.kind)}, {"alpha", activation.alpha}, {"beta", activation.beta}};
  if (activation.kind != ActivationKind::kFunction) return object;
  ordered_json steps = ordered_json::array();
  for (const FunctionStep& step : activation.steps)
    steps.push_back({{"kind", kStepKinds[static_cast<std::size_t>(step.kind)]},
                     {"function", json_name(step.function)},
                     {"alpha", step.alpha},
                     {"beta", step.beta},
                     {"left", step.left},
                     {"right", step.right}});
  object["steps"] = std::move(steps);
  return object;
}

// The dimensions of windows, by name, as JSON and back.
template <class Window, class F>
void for_each_dimension(Window& w, const F& f) {
  f("kernel_height", w.kernel_height), f("kernel_width", w.kernel_width);
  f("stride_height", w.stride_height), f("stride_width", w.stride_width);
  f("pad_top", w.pad_top), f("pad_left", w.pad_left);
  f("pad_bottom", w.pad_bottom), f("pad_right", w.pad_right);
  if constexpr (requires { w.dilation_height; })
    f("dilation_height", w.dilation_height), f("dilation_width", w.dilation_width);
}

template <class Window>
Status read_window(const Fields& fields, Window& window) {
  Status status;
  for_each_dimension(window, [&](const char* name, int& dimension) {
    if (status.ok()) status = fields.integer(name, dimension, kMaxExtent);
  });
  return status;
}

template <class Window>
void write_window(ordered_json& object, const Window& window) {
  for_each_dimension(window, [&](const char* name, int dimension) { object[name] = dimension; });
}

Status read_shape(const Fields& parent, const char* name, Shape& out) {
  TACIT_TRY(const Fields fields, parent.object(name));
  TACIT_CHECK(fields.integer("channels", out.channels, kMaxExtent));
  TACIT_CHECK(fields.integer("height", out.height, kMaxExtent));
  return fields.integer("width", out.width, kMaxExtent);
}

ordered_json shape_json(const Shape& shape) {
  return {{"channels", shape.channels}, {"height", shape.height}, {"width", shape.width}};
}

Result<LinearPiece> read_piece(const Fields& fields) {
  std::string kind;
  TACIT_CHECK(fields.string("kind", kind));
  if (kind == "convolution") {
    Convolution c;
    TACIT_CHECK(fields.integer("out_channels", c.out_channels, kMaxExtent));
    TACIT_CHECK(fields.integer("in_channels", c.in_channels, kMaxExtent));
    TACIT_CHECK(fields.integer("groups", c.groups, kMaxExtent));
    TACIT_CHECK(read_window(fields, c));
    TACIT_CHECK(read_floats(fields, "weights", c.weights));
    return LinearPiece{std::move(c)};
  }
  if (kind == "average_pool") {
    AveragePooling p;
    TACIT_CHECK(read_window(fields, p));
    TACIT_CHECK(fields.boolean("exclude_padding", p.exclude_padding));
    return LinearPiece{std::move(p)};
  }
  if (kind == "matrix") {
    Matrix m;
    TACIT_CHECK(fields.integer("outputs", m.outputs, kMaxExtent));
    TACIT_CHECK(fields.integer("inputs", m.inputs, kMaxExtent));
    TACIT_CHECK(read_floats(fields, "weights", m.weights));
    return LinearPiece{std::move(m)};
  }
  if (kind == "scaling") {
    Scaling s;
    TACIT_CHECK(read_floats(fields, "factor", s.factor));
    return LinearPiece{std::move(s)};
  }
  return Fields::error("kind", "names a linear operator that this release does not know");
}

ordered_json piece_json(const LinearPiece& piece) {
  ordered_json object;
  if (const auto* c = std::get_if<Convolution>(&piece)) {
    object = {{"kind", "convolution"},
              {"out_channels", c->out_channels},
              {"in_channels", c->in_channels},
              {"groups", c->groups}};
    write_window(object, *c);
    object["weights"] = c->weights;
  } else if (const auto* p = std::get_if<AveragePooling>(&piece)) {
    object["kind"] = "average_pool";
    write_window(object, *p);
    object["exclude_padding"] = p->exclude_padding;
  } else if (const auto* m = std::get_if<Matrix>(&piece)) {
    object = {{"kind", "matrix"}, {"outputs", m->outputs}, {"inputs", m->inputs}, {"weights", m->weights}};
  } else {
    object = {{"kind", "scaling"}, {"factor", std::get_if<Scaling>(&piece)->factor}};
  }
  return object;
}

Result<ClearLinear> read_linear(const Fields& fields) {
  ClearLinear linear;
  TACIT_CHECK(read_shape(fields, "in", linear.map.in));
  TACIT_CHECK(read_shape(fields, "out", linear.map.out));
  Status read = fields.array("pieces", 64, [&](const json& value, const std::string& path) -> Status {
    if (!value.is_object()) return Fields::error(path, "must be an object");
    TACIT_TRY(LinearPiece piece, read_piece(Fields(value, path + ".")));
    linear.map.pieces.push_back(std::move(piece));
    return {};
  });
  if (!read.ok()) return std::move(read).error();
  read = fields.array("bias", kMaxExtent, [&](const json& value, const std::string& path) -> Status {
    return Fields::number(value, path, linear.map.bias.emplace_back());
  });
  if (!read.ok()) return std::move(read).error();
  return linear;
}

Result<ClientFunction> read_function(const Fields& fields) {
  std::string name;
  TACIT_CHECK(fields.string("function", name));
  if (name == kMaxPool) {
    MaxPooling pooling;
    TACIT_CHECK(read_window(fields, pooling));
    return ClientFunction{pooling};
  }
  if (name == kSum) return ClientFunction{ClearSum{}};
  if (name == kLinear) {
    TACIT_TRY(ClearLinear linear, read_linear(fields));
    return ClientFunction{std::move(linear)};
  }
  TACIT_TRY(Activation activation, read_activation(fields));
  return ClientFunction{std::move(activation)};
}

ordered_json function_json(const ClientFunction& function) {
  if (const auto* activation = std::get_if<Activation>(&function)) return activation_json(*activation);
  ordered_json object;
  if (const auto* pooling = std::get_if<MaxPooling>(&function)) {
    object["function"] = kMaxPool;
    write_window(object, *pooling);
  } else if (const auto* linear = std::get_if<ClearLinear>(&function)) {
    ordered_json pieces = ordered_json::array();
    for (const LinearPiece& piece : linear->map.pieces) pieces.push_back(piece_json(piece));
    object = {{"function", kLinear},
              {"in", shape_json(linear->map.in)},
              {"out", shape_json(linear->map.out)},
              {"pieces", pieces},
              {"bias", linear->map.bias}};
  } else {
    object["function"] = kSum;
  }
  return object;
}

}  // namespace

Status read_steps(const Fields& root, std::size_t values, std::vector<Step>& out) {
  const auto read_indices = [&](const Fields& fields, const char* name, std::vector<std::uint32_t>& indices) {
    return fields.array(name, values, [&](const json& value, const std::string& path) -> Status {
      return Fields::integer(value, path, indices.emplace_back(), values - 1);
    });
  };
  return root.array("steps", kMaxSteps, [&](const json& value, const std::string& path) -> Status {
    if (!value.is_object()) return Fields::error(path, "must be an object");
    const Fields fields(value, path + ".");
    if (value.contains("request")) {
      TACIT_TRY(const Fields request, fields.object("request"));
      Request made;
      TACIT_CHECK(read_indices(request, "inputs", made.inputs));
      TACIT_CHECK(read_indices(request, "outputs", made.outputs));
      out.emplace_back(std::move(made));
      return {};
    }
    if (!value.contains("compute")) return Fields::error(path + ".request", "is missing");
    TACIT_TRY(const Fields compute, fields.object("compute"));
    Computation made;
    TACIT_CHECK(read_indices(compute, "inputs", made.inputs));
    TACIT_CHECK(compute.integer("output", made.output, values - 1));
    TACIT_TRY(made.function, read_function(compute));
    out.emplace_back(std::move(made));
    return {};
  });
}

ordered_json steps_json(const std::vector<Step>& steps) {
  ordered_json array = ordered_json::array();
  for (const Step& step : steps) {
    if (const auto* request = std::get_if<Request>(&step)) {
      array.push_back({{"request", {{"inputs", request->inputs}, {"outputs", request->outputs}}}});
      continue;
    }
    const auto& computation = *std::get_if<Computation>(&step);
    ordered_json compute = {{"inputs", computation.inputs}, {"output", computation.output}};
    compute.update(function_json(computation.function));
    array.push_back({{"compute", compute}});
  }
  return array;
}

}  // namespace tacit::plan::detail
