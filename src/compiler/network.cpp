// SPDX-License-Identifier: Apache-2.0
#include "compiler/network.h"

#include "plan/plan.h"

namespace tacit::compiler {

int depth_of(const LayerOperation& operation) {
  if (std::holds_alternative<AddLayer>(operation) || std::holds_alternative<ClientLayer>(operation)) return 0;
  if (const auto* polynomial = std::get_if<PolynomialLayer>(&operation))
    return plan::polynomial_depth(polynomial->coefficients.size() - 1);
  return 1;
}

std::string_view kind_of(const LayerOperation& operation) {
  static constexpr std::string_view kNames[] = {"linear",    "square", "polynomial", "add",
                                                "rescaling", "client", "product"};
  return kNames[operation.index()];
}

std::vector<std::size_t> producers(const Network& network) {
  std::vector<std::size_t> result(network.values.size(), kNoLayer);
  for (std::size_t i = 0; i < network.layers.size(); ++i) result[network.layers[i].output] = i;
  return result;
}

std::vector<bool> made_by_client(const Network& network) {
  std::vector<bool> result(network.values.size(), false);
  result[network.input] = true;
  for (const Layer& layer : network.layers)
    if (std::holds_alternative<ClientLayer>(layer.operation)) result[layer.output] = true;
  return result;
}

std::vector<bool> read_by_client(const Network& network) {
  std::vector<bool> result(network.values.size(), false);
  result[network.output] = true;
  for (const Layer& layer : network.layers)
    if (std::holds_alternative<ClientLayer>(layer.operation))
      for (ValueIndex input : layer.inputs) result[input] = true;
  return result;
}

std::vector<int> count_uses(const Network& network) {
  std::vector<int> uses(network.values.size(), 0);
  for (const Layer& layer : network.layers)
    for (ValueIndex input : layer.inputs) ++uses[input];
  ++uses[network.output];
  return uses;
}

ValueIndex insert_identity(Network& network, ValueIndex value, LayerOperation operation,
                           std::size_t only_reader) {
  const std::size_t producer = producers(network)[value];
  const std::size_t position = producer == kNoLayer ? 0 : producer + 1;
  const ValueIndex made = network.values.size();
  network.values.push_back(network.values[value]);
  for (std::size_t i = position; i < network.layers.size(); ++i) {
    if (only_reader != kNoLayer && i != only_reader) continue;
    for (ValueIndex& input : network.layers[i].inputs)
      if (input == value) input = made;
  }
  if (only_reader == kNoLayer && network.output == value) network.output = made;
  Layer layer{std::move(operation), network.values[value].name, {value}, made};
  network.layers.insert(network.layers.begin() + static_cast<std::ptrdiff_t>(position), std::move(layer));
  return made;
}

LinearLayer identity_layer(const plan::Shape& shape) {
  LinearLayer layer;
  layer.map.in = layer.map.out = shape;
  layer.map.pieces.emplace_back(plan::Scaling{{1.0f}});
  return layer;
}

std::vector<double> multiply(const plan::LinearMap& map, const std::vector<double>& x) {
  std::vector<double> y;
  y.reserve(map.out.elements());
  for (const plan::SparseRow& row : map.rows()) {
    double sum = 0;
    for (const plan::SparseEntry& entry : row) sum += entry.value * x[entry.column];
    y.push_back(sum);
  }
  return y;
}

std::string to_string(const plan::Shape& shape) {
  return std::to_string(shape.channels) + "x" + std::to_string(shape.height) + "x" +
         std::to_string(shape.width);
}

}  // namespace tacit::compiler
