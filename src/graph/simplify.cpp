// SPDX-License-Identifier: Apache-2.0
#include "graph/simplify.h"

#include <numeric>
#include <optional>

#include "graph/compose.h"
#include "graph/fold.h"
#include "graph/permute.h"

namespace tacit::graph {
namespace {

// One walk over the nodes in their order, rewriting each with what stands before it.
class Sweep {
 public:
  explicit Sweep(Graph& graph) : graph_(graph), uses_(count_uses(graph)), alias_(graph.values.size()) {
    std::iota(alias_.begin(), alias_.end(), ValueId{0});
    producer_.assign(graph.values.size(), nullptr);
  }

  // Whether anything was rewritten.
  bool run() {
    bool changed = false;
    for (Node& node : graph_.nodes) {
      for (ValueId& input : node.inputs) input = alias_[input];
      producer_[node.output] = &node;
      while (rewrite(node)) {
        changed = true;
        if (alias_[node.output] != node.output) break;
      }
    }
    graph_.output = alias_[graph_.output];
    return changed;
  }

 private:
  // The node that computes a value; null for the network's input.
  Node* producer(ValueId value) { return producer_[value]; }
  template <class T>
  T* producer_as(ValueId value) {
    return producer(value) != nullptr ? std::get_if<T>(&producer(value)->operation) : nullptr;
  }
  const Shape& shape(ValueId value) const { return graph_.shape_of(value); }

  // Everybody who reads `node`'s output reads `value` instead, `node` stays without use.
  bool bypass(Node& node, ValueId value) {
    alias_[node.output] = value;
    uses_[value] += uses_[node.output] - 1;
    return true;
  }
  // `node` reads the input of `skipped` and no longer its output.
  bool read_past(Node& node, const Node& skipped) {
    --uses_[skipped.output];
    ++uses_[skipped.inputs[0]];
    node.inputs[0] = skipped.inputs[0];
    return true;
  }

  bool rewrite(Node& node) {
    Operation& operation = node.operation;
    if (auto* reshape = std::get_if<Reshape>(&operation)) return rewrite_reshape(node, *reshape);
    if (auto* permute = std::get_if<Permute>(&operation)) return rewrite_permute(node, *permute);
    if (std::holds_alternative<Multiply>(operation)) return rewrite_product(node);
    if (auto* pad = std::get_if<Pad>(&operation)) return rewrite_pad(node, *pad);
    if (auto* pool = std::get_if<AveragePool>(&operation)) return rewrite_pool(node, *pool);
    if (auto* pool = std::get_if<MaxPool>(&operation)) return rewrite_pool(node, *pool);
    if (permute_later(node)) return true;
    if (auto* activation = std::get_if<Activation>(&operation)) return rewrite_activation(node, *activation);
    if (is_affine(operation)) return rewrite_affine(node);
    if (auto* conv = std::get_if<Conv>(&operation)) return rewrite_conv(node, *conv);
    if (auto* dense = std::get_if<Dense>(&operation)) return rewrite_dense(node, *dense);
    return false;
  }

  bool rewrite_reshape(Node& node, const Reshape& reshape) {
    if (reshape.shape == shape(node.inputs[0])) return bypass(node, node.inputs[0]);
    if (const auto* permute = producer_as<Permute>(node.inputs[0]))
      return uses_[node.inputs[0]] == 1 && replace_past(node, Permute{reshape.shape, permute->source});
    return producer_as<Reshape>(node.inputs[0]) != nullptr && read_past(node, *producer(node.inputs[0]));
  }

  bool rewrite_permute(Node& node, const Permute& permute) {
    if (keeps_order(permute)) {
      node.operation = Reshape{permute.shape};
      return true;
    }
    Node* before = producer(node.inputs[0]);
    if (before == nullptr) return false;
    if (std::holds_alternative<Reshape>(before->operation)) return read_past(node, *before);
    if (const auto* first = std::get_if<Permute>(&before->operation))
      return replace_past(node, compose(*first, permute));
    auto* dense = std::get_if<Dense>(&before->operation);
    if (dense == nullptr || uses_[node.inputs[0]] != 1) return false;
    permute_rows(*dense, permute);
    node.operation = Reshape{permute.shape};
    return true;
  }

  // What works element by element on permuted elements works on them before as well, and they are permuted
  // later: the two nodes change places. In the end a Dense takes the permutation in, or another one undoes
  // it.
  bool permute_later(Node& node) {
    const auto* permute = producer_as<Permute>(node.inputs[0]);
    if (permute == nullptr || uses_[node.inputs[0]] != 1) return false;
    std::optional<Operation> before = before_permute(node.operation, *permute);
    if (!before) return false;
    Node& first = *producer(node.inputs[0]);
    node.operation = std::move(first.operation);
    first.operation = std::move(*before);
    std::swap(first.name, node.name);
    graph_.values[first.output].shape = shape(first.inputs[0]);
    return true;
  }

  bool rewrite_product(Node& node) {
    if (node.inputs[0] == node.inputs[1]) {
      --uses_[node.inputs[0]];
      node.operation = Square{};
      node.inputs.pop_back();
      return true;
    }
    std::optional<Composed> composed = compose_product(node, producer_);
    if (!composed) return false;
    for (ValueId input : node.inputs) --uses_[input];
    ++uses_[composed->source];
    node.inputs = {composed->source};
    node.operation = std::move(composed->activation);
    return true;
  }

  bool rewrite_activation(Node& node, const Activation& activation) {
    const auto* before = producer_as<Activation>(node.inputs[0]);
    std::optional<Limits> outer = limits_of(activation);
    std::optional<Limits> inner = before != nullptr ? limits_of(*before) : std::nullopt;
    if (!outer || !inner) return false;
    return replace_past(node, within({static_cast<float>(evaluate(activation, inner->low)),
                                      static_cast<float>(evaluate(activation, inner->high))}));
  }

  bool rewrite_pad(Node& node, Pad& pad) {
    if (pad.pads.zero()) return bypass(node, node.inputs[0]);
    const auto* before = producer_as<Pad>(node.inputs[0]);
    return before != nullptr && replace_past(node, Pad{sum(pad.pads, before->pads)});
  }

  bool rewrite_pool(Node& node, AveragePool& pool) {
    if (pool.kernel == Extent{} && pool.stride == Extent{} && pool.pads.zero())
      return bypass(node, node.inputs[0]);
    const auto* pad = producer_as<Pad>(node.inputs[0]);
    if (pad == nullptr || (!pool.pads.zero() && !pool.count_include_pad)) return false;
    AveragePool padded = pool;
    padded.pads = sum(pool.pads, pad->pads);
    padded.count_include_pad = true;
    return replace_past(node, padded);
  }

  bool rewrite_pool(Node& node, const MaxPool& pool) {
    return pool.kernel == Extent{} && pool.stride == Extent{} && pool.pads.zero() &&
           bypass(node, node.inputs[0]);
  }

  static Pads sum(const Pads& a, const Pads& b) {
    return {a.top + b.top, a.left + b.left, a.bottom + b.bottom, a.right + b.right};
  }

  // Gives `node` an operation on the input of the node before it, if the shape rule agrees.
  bool replace_past(Node& node, Operation operation) {
    const Node& before = *producer(node.inputs[0]);
    Result<Shape> result = infer_shape(operation, {shape(before.inputs[0])});
    if (!result.ok() || *result != shape(node.output)) return false;
    node.operation = std::move(operation);
    return read_past(node, before);
  }

  bool rewrite_affine(Node& node) {
    ValueId input = node.inputs[0];
    if (is_identity(node.operation)) return bypass(node, input);
    if (const auto* element = std::get_if<ElementAffine>(&node.operation)) {
      if (std::optional<Operation> channel = narrow(*element, shape(input))) {
        node.operation = std::move(*channel);
        return true;
      }
    }
    if (auto* function = producer_as<Activation>(input);
        function != nullptr && function->kind == ActivationKind::kFunction && uses_[input] == 1) {
      if (std::optional<Activation> composed = compose_affine(*function, node.operation)) {
        *function = std::move(*composed);
        graph_.values[input].name = graph_.values[node.output].name;
        return bypass(node, input);
      }
    }
    // An average commutes with an affine map per channel, which may so pass to what stands before the pool.
    Node* above = past_pools(input, node.operation);
    if (above == nullptr) return false;
    std::optional<Operation> folded = fold_after(above->operation, node.operation, shape(above->output));
    if (!folded) return false;
    above->operation = std::move(*folded);
    graph_.values[input].name = graph_.values[node.output].name;
    return bypass(node, input);
  }

  bool rewrite_conv(Node& node, Conv& conv) {
    if (const auto* pad = producer_as<Pad>(node.inputs[0])) {
      Conv padded = conv;
      padded.pads = sum(conv.pads, pad->pads);
      if (replace_past(node, std::move(padded))) return true;
    }
    return absorb_affine(node);
  }

  bool rewrite_dense(Node& node, const Dense& dense) {
    Node* before = producer(node.inputs[0]);
    if (before == nullptr) return false;
    if (std::holds_alternative<Reshape>(before->operation)) return read_past(node, *before);
    if (const auto* permute = std::get_if<Permute>(&before->operation))
      return replace_past(node, permute_columns(dense, *permute));
    const auto* first = std::get_if<Dense>(&before->operation);
    if (first != nullptr && uses_[node.inputs[0]] == 1) {
      if (std::optional<Operation> folded = fold_dense(*first, dense))
        return replace_past(node, std::move(*folded));
    }
    return absorb_affine(node);
  }

  // Folds an affine map before `node`, or before the pools before it, into `node`.
  bool absorb_affine(Node& node) {
    Node* below = &node;  // the one that reads the affine map's output
    for (;;) {
      ValueId input = below->inputs[0];
      Node* before = producer(input);
      if (before == nullptr || uses_[input] != 1) return false;
      if (is_affine(before->operation)) break;
      if (!std::holds_alternative<AveragePool>(before->operation)) return false;
      below = before;
    }
    const Node& affine = *producer(below->inputs[0]);
    if (past_pools(node.inputs[0], affine.operation) != &affine) return false;
    std::optional<Operation> folded = fold_before(node.operation, affine.operation, shape(node.inputs[0]));
    if (!folded) return false;
    node.operation = std::move(*folded);
    return read_past(*below, affine);
  }

  // From `value` up through average pools that `affine` commutes with to the first other node; null where a
  // value on the way has a second use.
  Node* past_pools(ValueId value, const Operation& affine) {
    for (;;) {
      Node* node = producer(value);
      if (node == nullptr || uses_[value] != 1) return nullptr;
      const auto* pool = std::get_if<AveragePool>(&node->operation);
      if (pool == nullptr) return node;
      // Zeros counted into the mean would have to be shifted too.
      bool commutes = std::holds_alternative<ChannelAffine>(affine) &&
                      (pool->pads.zero() || !pool->count_include_pad || has_no_shift(affine));
      if (!commutes) return nullptr;
      value = node->inputs[0];
    }
  }

  Graph& graph_;
  std::vector<int> uses_;        // never less than the truth
  std::vector<ValueId> alias_;   // by value: what stands for it
  std::vector<Node*> producer_;  // by value
};

// Drops what the output does not depend on and numbers the values anew.
void compact(Graph& graph) {
  std::vector<bool> needed(graph.values.size(), false);
  needed[graph.output] = true;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (!needed[node->output]) continue;
    for (ValueId input : node->inputs) needed[input] = true;
  }
  std::vector<ValueId> number(graph.values.size(), Graph::kInput);
  std::vector<Value> values = {std::move(graph.values[Graph::kInput])};
  std::vector<Node> nodes;
  for (Node& node : graph.nodes) {
    if (!needed[node.output]) continue;
    number[node.output] = static_cast<ValueId>(values.size());
    values.push_back(std::move(graph.values[node.output]));
    node.output = number[node.output];
    for (ValueId& input : node.inputs) input = number[input];
    nodes.push_back(std::move(node));
  }
  graph.output = number[graph.output];
  graph.values = std::move(values);
  graph.nodes = std::move(nodes);
}

}  // namespace

Graph simplify(Graph graph) {
  compact(graph);
  while (Sweep(graph).run()) compact(graph);
  return graph;
}

}  // namespace tacit::graph
