// SPDX-License-Identifier: Apache-2.0
// The compiler's own form of a network: few layers, each of which becomes one operation of the plan. All
// numbers are in the network's units; how they are kept on the slots is decided by the later passes.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "graph/graph.h"
#include "plan/client_function.h"
#include "plan/linear_map.h"

namespace tacit::compiler {

using ValueIndex = std::size_t;

// y = map(x): pieces and bias as in the graph, scale 1. The bias is empty where it is zero.
struct LinearLayer {
  plan::LinearMap map;
};

// y = factor (x + shift)^2 + constant, element by element; factor is not zero.
struct SquareLayer {
  double factor = 1;
  double shift = 0;
  double constant = 0;
};

// y = sum_k coefficients[k] T_k(x / range), element by element, for |x| <= range; degree at least 2.
struct PolynomialLayer {
  double range = 1;
  std::vector<double> coefficients;
};

// y = x_0 + x_1.
struct AddLayer {};

// y = x_0 x_1. x_0 is a PolynomialLayer's or a LinearLayer's, and nothing else reads it: its range and scale make up for those of x_1, so that those
// of y are free. None of the three has an offset.
struct ProductLayer {};

// y = x. Takes a level, after which range and scale are free.
struct RescalingLayer {};

// y = function(x) exactly, by the client: it decrypts x and, where the server goes on, encrypts y anew. The range, level and
// scale of y are free, and neither x nor y has an offset.
struct ClientLayer {
  plan::ClientFunction function;
};

using LayerOperation = std::variant<LinearLayer, SquareLayer, PolynomialLayer, AddLayer, RescalingLayer,
                                    ClientLayer, ProductLayer>;

struct Layer {
  LayerOperation operation;
  std::string name;                // of the graph's node that it ends with
  std::vector<ValueIndex> inputs;  // two for AddLayer, ProductLayer and a ClientLayer's sum; else one
  ValueIndex output = 0;
};

struct NetworkValue {
  std::string name;
  plan::Shape shape;          // as it stands in the slots: flattening changes nothing here
  graph::ValueId source = 0;  // the graph's value with the same elements in the same row-major order
  // Of a value on the way to that one, which the graph has not: no element is larger than this.
  std::optional<double> largest = {};
};

// values[input] is no layer's output, every other value that of exactly one layer; layers are in topological
// order.
struct Network {
  std::vector<NetworkValue> values;
  std::vector<Layer> layers;
  ValueIndex input = 0, output = 0;
};

// Levels that the operation takes. A ClientLayer takes none: its result is as high as need be.
int depth_of(const LayerOperation& operation);
// "linear", "square", "polynomial", "add", "rescaling", "client", "product".
std::string_view kind_of(const LayerOperation& operation);

// For each value the layer that makes it; kNoLayer for the input.
inline constexpr std::size_t kNoLayer = static_cast<std::size_t>(-1);
// By value, whether it is the input or a ClientLayer's result.
std::vector<bool> made_by_client(const Network& network);
// By value, whether the client gets it in the clear: the output, and what ClientLayers read.
std::vector<bool> read_by_client(const Network& network);
std::vector<std::size_t> producers(const Network& network);
// For each value how many layers read it; being the output counts as one.
std::vector<int> count_uses(const Network& network);

// Puts a layer on `value` (y = x: an identity LinearLayer or a RescalingLayer) right after the layer that
// makes it, and has every later reader read its result instead: all of them, or only the layer at index
// `only_reader`. Returns the new value. Indices of layers from the insertion on grow by one.
ValueIndex insert_identity(Network& network, ValueIndex value, LayerOperation operation,
                           std::size_t only_reader = kNoLayer);
LinearLayer identity_layer(const plan::Shape& shape);

// The map's matrix times a vector, without bias.
std::vector<double> multiply(const plan::LinearMap& map, const std::vector<double>& x);

// "16x14x14".
std::string to_string(const plan::Shape& shape);

}  // namespace tacit::compiler
