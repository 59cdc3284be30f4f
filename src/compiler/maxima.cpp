// SPDX-License-Identifier: Apache-2.0
#include "compiler/maxima.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "graph/text.h"

namespace tacit::compiler {

namespace {

bool is_relu(const graph::Operation& operation) {
  const auto* activation = std::get_if<Activation>(&operation);
  return activation != nullptr && activation->kind == ActivationKind::kRelu;
}

// Whether a function has no value below zero, for any number or (`from_zero`) for those from zero on.
bool never_negative(const Activation& activation, bool from_zero) {
  switch (activation.kind) {
    case ActivationKind::kRelu:
    case ActivationKind::kSigmoid:
    case ActivationKind::kHardSigmoid:
    case ActivationKind::kSoftplus:
      return true;
    case ActivationKind::kClip:
      return activation.beta >= 0 && (activation.alpha >= 0 || from_zero);
    case ActivationKind::kFunction:
      return false;
    default:
      return from_zero || is_absolute_value(activation);
  }
}

// By value, whether the operations that lead to it leave nothing below zero.
std::vector<bool> find_never_negative(const graph::Graph& graph) {
  std::vector<bool> result(graph.values.size(), false);
  for (const graph::Node& node : graph.nodes) {
    const graph::Operation& operation = node.operation;
    const bool inputs = std::ranges::all_of(node.inputs, [&](graph::ValueId input) { return result[input]; });
    if (const auto* activation = std::get_if<Activation>(&operation))
      result[node.output] = never_negative(*activation, inputs);
    else if (std::holds_alternative<graph::Square>(operation))
      result[node.output] = true;
    else if (graph::is_one_of<graph::AveragePool, graph::MaxPool, graph::Pad, graph::Concat, graph::Add,
                              graph::Multiply, graph::Reshape, graph::Permute>(operation))
      result[node.output] = inputs;
  }
  return result;
}

// Linear, and of one input that it reads as an image.
bool joins_a_convolution(const graph::Operation& operation) {
  return graph::is_one_of<graph::Conv, graph::Pad, graph::AveragePool, graph::ChannelAffine>(operation);
}

// One axis of a pool's window.
struct Axis {
  bool rows = false;  // else columns
  std::int64_t kernel = 1, stride = 1, dilation = 1, before = 0, after = 0;
};

Axis axis_of(const graph::MaxPool& pool, bool rows) {
  if (rows)
    return {true,          pool.kernel.height, pool.stride.height, pool.dilation.height,
            pool.pads.top, pool.pads.bottom};
  return {false, pool.kernel.width, pool.stride.width, pool.dilation.width, pool.pads.left, pool.pads.right};
}

class Rewriter {
 public:
  Rewriter(const graph::Graph& graph, const ClientNodes& client)
      : given_(graph),
        client_(client),
        uses_(graph::count_uses(graph)),
        never_negative_(find_never_negative(graph)),
        ids_(graph.values.size(), 0) {
    made_.graph = graph::make_graph(graph.input_shape(), graph.input_name);
    makers_.assign(graph.values.size(), graph.nodes.size());
    readers_ = makers_;
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      makers_[graph.nodes[i].output] = i;
      for (graph::ValueId input : graph.nodes[i].inputs) readers_[input] = i;
    }
  }

  Result<WithoutMaxima> run() {
    for (std::size_t i = 0; i < given_.nodes.size(); ++i) {
      const graph::Node& node = given_.nodes[i];
      const auto* pool = std::get_if<graph::MaxPool>(&node.operation);
      if (pool != nullptr && !by_client(i)) {
        TACIT_CHECK(replace(i, *pool));
      } else if (goes_behind(i)) {
        ids_[node.output] = ids_[node.inputs[0]];
      } else {
        TACIT_TRY(ids_[node.output], copy(i));
      }
    }
    made_.graph.output = ids_[given_.output];
    made_.graph.output_name = given_.output_name;
    made_.graph.output_function = given_.output_function;
    return std::move(made_);
  }

 private:
  bool by_client(std::size_t node) const { return node < client_.size() && client_[node]; }

  // Whether the node is a Relu that a MaxPool alone reads: max(relu(x)) = relu(max(x)).
  bool goes_behind(std::size_t i) const {
    const graph::Node& node = given_.nodes[i];
    if (!is_relu(node.operation) || by_client(i) || uses_[node.output] != 1) return false;
    const std::size_t reader = readers_[node.output];
    return reader < given_.nodes.size() && !by_client(reader) &&
           std::holds_alternative<graph::MaxPool>(given_.nodes[reader].operation);
  }

  Result<graph::ValueId> add(graph::Operation operation, const std::string& name,
                             std::vector<graph::ValueId> inputs, bool client = false) {
    made_.client.push_back(client);
    return graph::append(made_.graph, std::move(operation), name, std::move(inputs));
  }
  Result<graph::ValueId> copy(std::size_t i) {
    const graph::Node& node = given_.nodes[i];
    std::vector<graph::ValueId> inputs;
    for (graph::ValueId input : node.inputs) inputs.push_back(ids_[input]);
    return add(node.operation, node.name, std::move(inputs), by_client(i));
  }

  Status replace(std::size_t i, const graph::MaxPool& pool) {
    const graph::Node& node = given_.nodes[i];
    name_ = node.name;
    number_ = 0;
    const std::size_t maker = makers_[node.inputs[0]];
    const bool relu_before = maker < given_.nodes.size() && goes_behind(maker);
    if (!pool.pads.zero() && !relu_before && may_be_negative(i))
      return Error{
          ErrorCode::kCompileUnsupported,
          "node " + graph::in_quotes(node.name) +
              " (MaxPool) pads its input, and on ciphertexts padding is zeros, which would be taken for "
              "the maximum of negative values; train with a Relu right before or right after it or without "
              "padding, let the client take maxima (--refresh), or use average pooling"};
    graph::ValueId value = ids_[node.inputs[0]];
    // Only where one sum and one difference are all that reads it does a second copy save a level.
    const Axis first = axis_of(pool, pool.kernel.width == 1 && pool.stride.width == 1);
    graph::ValueId twin = value;
    if (first.kernel == 2) {
      TACIT_TRY(twin, second_copy(relu_before ? given_.nodes[maker].inputs[0] : node.inputs[0]));
    }
    for (const bool rows : {false, true}) {
      const Axis axis = axis_of(pool, rows);
      if (axis.kernel == 1 && axis.stride == 1) continue;
      TACIT_TRY(value, along(axis, value, twin));
      twin = value;
    }
    if (relu_before) {
      TACIT_TRY(value, add(given_.nodes[maker].operation, given_.nodes[maker].name, {value}));
    }
    ids_[node.output] = value;
    return {};
  }

  // Whether an element of the pool's input may be less than zero and still be seen behind it.
  bool may_be_negative(std::size_t i) const {
    const graph::Node& node = given_.nodes[i];
    const std::size_t reader = readers_[node.output];
    if (uses_[node.output] == 1 && reader < given_.nodes.size() && is_relu(given_.nodes[reader].operation))
      return false;
    return !never_negative_[node.inputs[0]];
  }

  // A second copy of the linear nodes that lead to a value which nothing else reads; without such nodes, the value itself.
  Result<graph::ValueId> second_copy(graph::ValueId value) {
    std::vector<std::size_t> chain;
    for (std::size_t i = makers_[value]; i < given_.nodes.size(); i = makers_[value]) {
      const graph::Node& node = given_.nodes[i];
      if (uses_[value] != 1 || by_client(i) || !joins_a_convolution(node.operation)) break;
      chain.push_back(i);
      value = node.inputs[0];
    }
    graph::ValueId copied = ids_[value];
    for (auto i = chain.rbegin(); i != chain.rend(); ++i) {
      TACIT_TRY(copied, add(given_.nodes[*i].operation, given_.nodes[*i].name, {copied}));
    }
    return copied;
  }

  // What is to be compared: a place of the window in the axis's input, or a maximum that has been found.
  struct Item {
    graph::ValueId value = 0;
    std::optional<std::int64_t> place;
  };

  // The maximum along one axis, of `value` or of its twin with the same elements.
  Result<graph::ValueId> along(const Axis& axis, graph::ValueId value, graph::ValueId twin) {
    if (axis.kernel == 1) return add(taps(axis, value, {{0, 1.0f}}), label("places"), {value});
    std::vector<Item> items;
    for (std::int64_t k = 0; k < axis.kernel; ++k) items.push_back({value, k});
    while (items.size() > 1) {
      std::vector<Item> winners;
      for (std::size_t k = 0; k + 1 < items.size(); k += 2) {
        TACIT_TRY(const graph::ValueId larger, larger_of(axis, items[k], items[k + 1], twin));
        winners.push_back({larger, std::nullopt});
        twin = value;
      }
      if (items.size() % 2 != 0) winners.push_back(items.back());
      items = std::move(winners);
    }
    return items.front().value;
  }

  Result<graph::ValueId> larger_of(const Axis& axis, const Item& a, const Item& b, graph::ValueId twin) {
    ++number_;
    graph::ValueId sum = 0, difference = 0;
    if (a.place && b.place) {
      TACIT_TRY(sum,
                add(taps(axis, a.value, {{*a.place, 0.5f}, {*b.place, 0.5f}}), label("half sum"), {a.value}));
      TACIT_TRY(difference, add(taps(axis, twin, {{*a.place, 0.5f}, {*b.place, -0.5f}}),
                                label("half difference"), {twin}));
    } else {
      // Twice, or else the difference would be kept in a unit that suits the sum: it has a polynomial of its own (normalise.h).
      TACIT_TRY(const graph::ValueId left, half(axis, a, 0.5f));
      TACIT_TRY(const graph::ValueId left_again, half(axis, a, 0.5f));
      TACIT_TRY(const graph::ValueId right, half(axis, b, 0.5f));
      TACIT_TRY(const graph::ValueId opposite, half(axis, b, -0.5f));
      TACIT_TRY(sum, add(graph::Add{}, label("half sum"), {left, right}));
      TACIT_TRY(difference, add(graph::Add{}, label("half difference"), {left_again, opposite}));
    }
    TACIT_TRY(const graph::ValueId size, add(absolute_value(), label("half distance"), {difference}));
    return add(graph::Add{}, label("maximum"), {sum, size});
  }

  Result<graph::ValueId> half(const Axis& axis, const Item& item, float factor) {
    if (item.place) return add(taps(axis, item.value, {{*item.place, factor}}), label("half"), {item.value});
    const auto channels = static_cast<std::size_t>(made_.graph.shape_of(item.value).channels);
    graph::ChannelAffine affine{std::vector<float>(channels, factor), std::vector<float>(channels, 0)};
    return add(std::move(affine), label("half"), {item.value});
  }

  // A convolution of each channel by itself with the pool's window, in which only these places count.
  graph::Conv taps(const Axis& axis, graph::ValueId value,
                   const std::vector<std::pair<std::int64_t, float>>& places) const {
    graph::Conv conv;
    conv.in_channels = conv.out_channels = conv.groups = made_.graph.shape_of(value).channels;
    (axis.rows ? conv.kernel.height : conv.kernel.width) = axis.kernel;
    (axis.rows ? conv.stride.height : conv.stride.width) = axis.stride;
    (axis.rows ? conv.dilation.height : conv.dilation.width) = axis.dilation;
    (axis.rows ? conv.pads.top : conv.pads.left) = axis.before;
    (axis.rows ? conv.pads.bottom : conv.pads.right) = axis.after;
    const auto channels = static_cast<std::size_t>(conv.out_channels);
    const auto kernel = static_cast<std::size_t>(axis.kernel);
    conv.weights.assign(channels * kernel, 0);
    conv.bias.assign(channels, 0);
    for (std::size_t c = 0; c < channels; ++c)
      for (const auto& [place, weight] : places)
        conv.weights[c * kernel + static_cast<std::size_t>(place)] = weight;
    return conv;
  }

  std::string label(const std::string& what) const {
    return name_ + ": " + what + (number_ == 0 ? "" : " " + std::to_string(number_));
  }

  const graph::Graph& given_;
  const ClientNodes& client_;
  std::vector<int> uses_;
  std::vector<bool> never_negative_;
  std::vector<std::size_t> makers_, readers_;  // by value of the given graph; nodes.size() for none
  std::vector<graph::ValueId> ids_;            // by value of the given graph, that of the new one
  WithoutMaxima made_;
  std::string name_;  // of the pool that is being replaced
  int number_ = 0;    // of comparisons made for it
};

}  // namespace

Activation absolute_value() { return {ActivationKind::kLeakyRelu, -1, 0, {}}; }

bool is_absolute_value(const Activation& activation) {
  return activation.kind == ActivationKind::kLeakyRelu && activation.alpha == -1;
}

Result<WithoutMaxima> replace_maxima(const graph::Graph& graph, const ClientNodes& client) {
  return Rewriter(graph, client).run();
}

}  // namespace tacit::compiler
