// SPDX-License-Identifier: Apache-2.0
#include "graph/compose.h"

#include <algorithm>
#include <functional>
#include <map>

#include "graph/fold.h"

namespace tacit::graph {
namespace {

// The nodes between the nearest common source of a product's factors and the product, in their order.
struct Region {
  ValueId source = 0;
  std::vector<const Node*> nodes;
};

bool works_by_element(const Operation& operation) {
  return is_one_of<Activation, Square, Add, Multiply>(operation) ||
         (is_affine(operation) && uniform(operation));
}

std::optional<Region> find_region(const Node& product, std::span<Node* const> producers) {
  // What is still to be traced back, the latest node first; null, the input, is before all.
  std::map<const Node*, ValueId, std::greater<>> open;
  for (ValueId input : product.inputs) open[producers[input]] = input;
  Region region;
  while (open.size() > 1) {
    const Node* latest = open.begin()->first;
    if (!works_by_element(latest->operation) || region.nodes.size() == kMaxFunctionSteps) return std::nullopt;
    open.erase(open.begin());
    for (ValueId input : latest->inputs) open[producers[input]] = input;
    region.nodes.push_back(latest);
  }
  region.source = open.begin()->second;
  std::reverse(region.nodes.begin(), region.nodes.end());
  return region;
}

class Steps {
 public:
  using Kind = FunctionStep::Kind;

  // Adds what the node does to numbers that are there; returns its result's number.
  std::uint32_t add(const Operation& operation, std::uint32_t left, std::uint32_t right) {
    if (const auto* activation = std::get_if<Activation>(&operation)) return apply(*activation, left);
    if (std::holds_alternative<Add>(operation)) return push({Kind::kSum, {}, 0, 0, left, right});
    if (std::holds_alternative<Multiply>(operation)) return push({Kind::kProduct, {}, 0, 0, left, right});
    if (std::holds_alternative<Square>(operation)) return push({Kind::kProduct, {}, 0, 0, left, left});
    const UniformAffine affine = *uniform(operation);
    return push({Kind::kAffine, {}, affine.scale, affine.shift, left, left});
  }

  std::optional<Activation> take() {
    Activation function{ActivationKind::kFunction, 0, 0, std::move(steps_)};
    if (!is_valid(function)) return std::nullopt;
    return recognised(std::move(function));
  }

 private:
  std::uint32_t apply(const Activation& activation, std::uint32_t argument) {
    if (activation.kind != ActivationKind::kFunction)
      return push({Kind::kApply, activation.kind, activation.alpha, activation.beta, argument, argument});
    // Its own argument becomes `argument`, its steps' results move behind those that are there.
    const auto base = static_cast<std::uint32_t>(steps_.size());
    const auto moved = [&](std::uint32_t number) { return number == 0 ? argument : base + number; };
    for (FunctionStep step : activation.steps) {
      step.left = moved(step.left);
      step.right = moved(step.right);
      push(step);
    }
    return static_cast<std::uint32_t>(steps_.size());
  }

  std::uint32_t push(const FunctionStep& step) {
    steps_.push_back(step);
    return static_cast<std::uint32_t>(steps_.size());
  }

  std::vector<FunctionStep> steps_;
};

}  // namespace

std::optional<Composed> compose_product(const Node& product, std::span<Node* const> producers) {
  const std::optional<Region> region = find_region(product, producers);
  if (!region) return std::nullopt;
  Steps steps;
  std::map<ValueId, std::uint32_t> numbers = {{region->source, 0}};
  for (const Node* node : region->nodes)
    numbers[node->output] =
        steps.add(node->operation, numbers.at(node->inputs.front()), numbers.at(node->inputs.back()));
  steps.add(product.operation, numbers.at(product.inputs[0]), numbers.at(product.inputs[1]));
  std::optional<Activation> function = steps.take();
  if (!function) return std::nullopt;
  return Composed{region->source, std::move(*function)};
}

std::optional<Activation> compose_affine(const Activation& function, const Operation& affine) {
  if (!uniform(affine)) return std::nullopt;
  Steps steps;
  steps.add(affine, steps.add(function, 0, 0), 0);
  return steps.take();
}

}  // namespace tacit::graph
