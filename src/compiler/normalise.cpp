// SPDX-License-Identifier: Apache-2.0
#include "compiler/normalise.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>

namespace tacit::compiler {

namespace {

// The offsets that layers demand of their inputs, handed on to those that can provide them.
class Offsets {
 public:
  explicit Offsets(const Network& network) : network_(network), producers_(producers(network)) {}

  // Whether the value can have this offset; it then has it.
  bool demand(ValueIndex value, double offset) {
    if (from_client(value)) return offset == 0;
    const Layer& layer = network_.layers[producers_[value]];
    if (is_free(value)) return chosen_.emplace(value, offset).first->second == offset;
    if (std::holds_alternative<RescalingLayer>(layer.operation)) return demand(layer.inputs[0], offset);
    if (std::holds_alternative<AddLayer>(layer.operation)) {
      for (std::size_t i : {0, 1}) {
        const ValueIndex operand = layer.inputs[i];
        if (is_free(operand) && !chosen_.contains(operand))
          return demand(operand, offset - get(layer.inputs[1 - i]));
      }
    }
    return get(value) == offset;
  }

  // The offset that the value has; zero from now on, where nothing demanded another.
  double get(ValueIndex value) {
    if (from_client(value)) return 0;
    const Layer& layer = network_.layers[producers_[value]];
    if (std::holds_alternative<ProductLayer>(layer.operation)) return 0;
    if (is_free(value)) return chosen_.emplace(value, 0.0).first->second;
    if (const auto* square = std::get_if<SquareLayer>(&layer.operation)) return square->constant;
    double sum = 0;
    for (ValueIndex input : layer.inputs) sum += get(input);
    return sum;
  }

 private:
  bool from_client(ValueIndex value) const {
    return producers_[value] == kNoLayer ||
           std::holds_alternative<ClientLayer>(network_.layers[producers_[value]].operation);
  }
  bool is_free(ValueIndex value) const {
    if (from_client(value)) return false;
    const LayerOperation& operation = network_.layers[producers_[value]].operation;
    return std::holds_alternative<LinearLayer>(operation) ||
           std::holds_alternative<PolynomialLayer>(operation);
  }

  const Network& network_;
  std::vector<std::size_t> producers_;
  std::map<ValueIndex, double> chosen_;
};

// What the layer wants its input to be without, if it cares.
std::optional<double> demanded_offset(const Layer& layer) {
  if (const auto* square = std::get_if<SquareLayer>(&layer.operation)) return -square->shift;
  if (std::holds_alternative<PolynomialLayer>(layer.operation)) return 0.0;
  if (std::holds_alternative<ClientLayer>(layer.operation)) return 0.0;
  if (std::holds_alternative<ProductLayer>(layer.operation)) return 0.0;
  return std::nullopt;
}

const SquareLayer& square_at(const Network& network, std::size_t layer) {
  return *std::get_if<SquareLayer>(&network.layers[layer].operation);
}

// The first sum that reads the value; kNoLayer where none does.
std::size_t sum_reading(const Network& network, ValueIndex value) {
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    const Layer& layer = network.layers[i];
    if (std::holds_alternative<AddLayer>(layer.operation) &&
        (layer.inputs[0] == value || layer.inputs[1] == value))
      return i;
  }
  return kNoLayer;
}

// Frees the square's result from the class of what it is added to; or from everything, where it is added to
// nothing.
void separate(Network& network, std::size_t square) {
  const ValueIndex value = network.layers[square].output;
  const std::size_t sum = sum_reading(network, value);
  insert_identity(network, value, RescalingLayer{}, sum);
}

// The classes of a product's values. The first operand, which nothing else reads, makes up for the other two.
struct ProductClasses {
  std::size_t layer, first, second, out;
};
std::vector<ProductClasses> products_of(const Network& network, const Classes& classes) {
  std::vector<ProductClasses> result;
  for (std::size_t i = 0; i < network.layers.size(); ++i)
    if (const Layer& layer = network.layers[i]; std::holds_alternative<ProductLayer>(layer.operation))
      result.push_back(
          {i, classes.of(layer.inputs[0]), classes.of(layer.inputs[1]), classes.of(layer.output)});
  return result;
}

// By value, whether it may stand at level 0, where numbers have no room above their range.
std::vector<bool> may_be_at_bottom(const Network& network) {
  std::vector<bool> bottom = read_by_client(network);
  for (auto layer = network.layers.rbegin(); layer != network.layers.rend(); ++layer)
    if (std::holds_alternative<AddLayer>(layer->operation) && bottom[layer->output])
      for (ValueIndex input : layer->inputs) bottom[input] = true;
  return bottom;
}

// What the calibration images demand of each class's range.
std::vector<double> least_ranges(const Network& network, const Classes& classes,
                                 std::span<const double> offsets, std::span<const Range> calibrated,
                                 double margin) {
  std::vector<double> least(classes.count(), 0);
  // A polynomial grows fast outside of the interval that it was fitted on: its input keeps to that.
  // What is added up to such an input and is larger than that does not widen it: above level 0 there is room.
  std::vector<double> margins(classes.count(), margin), excess(classes.count(), 1);
  std::vector<bool> keeps = may_be_at_bottom(network);
  for (const Layer& layer : network.layers) {
    if (std::holds_alternative<PolynomialLayer>(layer.operation)) {
      margins[classes.of(layer.inputs[0])] = fit_margin(margin);
      excess[classes.of(layer.inputs[0])] = kMaxExcess;
    } else if (std::holds_alternative<SquareLayer>(layer.operation) ||
               std::holds_alternative<ProductLayer>(layer.operation)) {
      for (ValueIndex input : layer.inputs) keeps[input] = true;
    }
  }
  for (ValueIndex v = 0; v < network.values.size(); ++v) {
    const std::size_t c = classes.of(v);
    const double room = network.values[v].largest ? 1 : margins[c];
    const double largest = room * calibrated_size(network, v, offsets[v], calibrated);
    least[c] = std::max(least[c], keeps[v] ? largest : largest / excess[c]);
  }
  for (const Layer& layer : network.layers)
    if (const auto* polynomial = std::get_if<PolynomialLayer>(&layer.operation)) {
      double& bound = least[classes.of(layer.inputs[0])];
      bound = std::max(bound, polynomial->range);
    }
  for (double& bound : least)
    if (bound == 0) bound = 1;  // values that are always zero
  return least;
}

// The smallest |range| of each class that the squares between them allow.
std::vector<double> class_ranges(const Network& network, const Classes& classes,
                                 std::span<const double> least) {
  std::vector<double> ranges(classes.count(), 0);
  for (const Classes::Tree& tree : classes.trees()) {
    // log |range| of class c is exponent(c) t + constant[c].
    std::map<std::size_t, double> constant = {{tree.root, 0.0}};
    double t = std::log(least[tree.root]);
    for (const Classes::Step& step : tree.steps) {
      const double factor = std::log(std::abs(square_at(network, step.layer).factor));
      constant[step.to] =
          step.forwards ? 2 * constant[step.from] + factor : (constant[step.from] - factor) / 2;
      t = std::max(t, (std::log(least[step.to]) - constant[step.to]) / classes.exponent(step.to));
    }
    ranges[tree.root] = std::exp(t);
    for (const Classes::Step& step : tree.steps) {
      const double factor = std::abs(square_at(network, step.layer).factor);
      const double from = ranges[step.from];
      ranges[step.to] = step.forwards ? factor * from * from : std::sqrt(from / factor);
    }
  }
  return ranges;
}

// A square through which a range is larger than need be and that a RescalingLayer before a sum can free.
std::optional<std::size_t> slack_square(const Network& network, const Classes& classes,
                                        std::span<const double> least, std::span<const double> ranges) {
  for (const Classes::Tree& tree : classes.trees()) {
    bool slack = ranges[tree.root] > kMaxSlack * least[tree.root];
    for (const Classes::Step& step : tree.steps)
      slack = slack || ranges[step.to] > kMaxSlack * least[step.to];
    if (!slack) continue;
    for (const Classes::Step& step : tree.steps)
      if (sum_reading(network, network.layers[step.layer].output) != kNoLayer) return step.layer;
  }
  return std::nullopt;
}

// A polynomial that reads numbers of a much wider range than it was fitted on. Over that its coefficients are many times as
// large and cancel out: (r + sqrt(r^2 - 1))^degree times for a range r times as wide.
std::optional<std::size_t> stretched_polynomial(const Network& network, const Classes& classes,
                                                std::span<const double> ranges) {
  const auto size = [](const ChebyshevSeries& series) {
    double sum = 0;
    for (double c : series.coefficients) sum += std::abs(c);
    return sum;
  };
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    const auto* polynomial = std::get_if<PolynomialLayer>(&network.layers[i].operation);
    if (polynomial == nullptr) continue;
    const ChebyshevSeries fitted{polynomial->range, polynomial->coefficients};
    const double range = std::abs(ranges[classes.of(network.layers[i].inputs[0])]);
    if (!(size(with_range(fitted, range)) <= kMaxGrowth * size(fitted)))
      return i;  // nor where it is not finite
  }
  return std::nullopt;
}

}  // namespace

double calibrated_size(const Network& network, ValueIndex value, double offset,
                       std::span<const Range> calibrated) {
  if (network.values[value].largest) return *network.values[value].largest + std::abs(offset);
  const Range& range = calibrated[network.values[value].source];
  return std::max(std::abs(range.low - offset), std::abs(range.high - offset));
}

std::vector<double> assign_offsets(Network& network) {
  if (network.layers.empty())
    insert_identity(network, network.input, identity_layer(network.values[network.input].shape));
  for (;;) {
    Offsets offsets(network);
    bool changed = false;
    for (std::size_t i = 0; i < network.layers.size() && !changed; ++i) {
      const std::optional<double> wanted = demanded_offset(network.layers[i]);
      if (!wanted) continue;
      for (const ValueIndex input : network.layers[i].inputs) {
        if (changed || offsets.demand(input, *wanted)) continue;
        insert_identity(network, input, identity_layer(network.values[input].shape), i);
        changed = true;
      }
    }
    if (!changed && !offsets.demand(network.output, 0)) {
      insert_identity(network, network.output, identity_layer(network.values[network.output].shape));
      changed = true;
    }
    if (changed) continue;
    std::vector<double> result;
    for (ValueIndex value = 0; value < network.values.size(); ++value) result.push_back(offsets.get(value));
    return result;
  }
}

Classes::Classes(const Network& network) {
  // Union-find over the values that sums join.
  std::vector<std::size_t> parent(network.values.size());
  std::iota(parent.begin(), parent.end(), std::size_t{0});
  const auto find = [&](std::size_t v) {
    while (parent[v] != v) v = parent[v] = parent[parent[v]];
    return v;
  };
  for (const Layer& layer : network.layers)
    if (std::holds_alternative<AddLayer>(layer.operation))
      for (ValueIndex input : layer.inputs) parent[find(input)] = find(layer.output);
  std::map<std::size_t, std::size_t> numbers;
  for (ValueIndex v = 0; v < network.values.size(); ++v)
    class_.push_back(numbers.emplace(find(v), numbers.size()).first->second);
  count_ = numbers.size();

  std::vector<std::vector<std::size_t>> squares(
      count_);  // by class, those that read or make one of its values
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    if (!std::holds_alternative<SquareLayer>(network.layers[i].operation)) continue;
    squares[of(network.layers[i].inputs[0])].push_back(i);
    if (of(network.layers[i].output) != of(network.layers[i].inputs[0]))
      squares[of(network.layers[i].output)].push_back(i);
  }
  exponent_.assign(count_, 0);
  std::vector<bool> used(network.layers.size(), false);
  for (std::size_t root = 0; root < count_; ++root) {
    if (exponent_[root] != 0) continue;
    Tree tree{root, {}};
    exponent_[root] = 1;
    std::vector<std::size_t> open = {root};
    while (!open.empty()) {
      const std::size_t c = open.back();
      open.pop_back();
      for (std::size_t layer : squares[c]) {
        if (used[layer]) continue;
        used[layer] = true;
        const std::size_t in = of(network.layers[layer].inputs[0]), out = of(network.layers[layer].output);
        const bool forwards = c == in;
        const std::size_t other = forwards ? out : in;
        if (exponent_[other] != 0) {
          cycles_.push_back(layer);
          continue;
        }
        exponent_[other] = forwards ? exponent_[c] * 2 : exponent_[c] / 2;
        tree.steps.push_back({layer, c, other, forwards});
        open.push_back(other);
      }
    }
    trees_.push_back(std::move(tree));
  }
}

void break_cycles(Network& network) {
  for (;;) {
    const Classes classes(network);
    std::optional<std::size_t> broken;
    if (!classes.cycles().empty()) broken = classes.cycles().front();
    // A class's sign is that of the squares that end in it, plus where the client has a hand in it.
    std::map<std::size_t, bool> negative;
    const std::vector<bool> made = made_by_client(network), read = read_by_client(network);
    for (ValueIndex v = 0; v < network.values.size(); ++v)
      if (made[v] || read[v]) negative[classes.of(v)] = false;
    for (std::size_t i = 0; i < network.layers.size() && !broken; ++i) {
      if (!std::holds_alternative<SquareLayer>(network.layers[i].operation)) continue;
      const bool sign = square_at(network, i).factor < 0;
      if (negative.emplace(classes.of(network.layers[i].output), sign).first->second != sign) broken = i;
    }
    if (!broken) return;
    separate(network, *broken);
  }
}

Normalisation normalise(Network& network, std::span<const Range> calibrated, double margin) {
  assign_offsets(network);
  for (;;) {
    break_cycles(network);
    Normalisation result;
    result.offsets = assign_offsets(network);
    const Classes classes(network);
    const std::vector<double> least = least_ranges(network, classes, result.offsets, calibrated, margin);
    std::vector<double> ranges = class_ranges(network, classes, least);
    if (const auto square = slack_square(network, classes, least, ranges)) {
      separate(network, *square);
      continue;
    }
    if (const auto polynomial = stretched_polynomial(network, classes, ranges)) {
      const ValueIndex input = network.layers[*polynomial].inputs[0];
      // Beside the other way to a sum a level is often free.
      const std::size_t sum = sum_reading(network, input);
      insert_identity(network, input, RescalingLayer{}, sum == kNoLayer ? *polynomial : sum);
      continue;
    }
    for (const Layer& layer : network.layers)
      if (const auto* square = std::get_if<SquareLayer>(&layer.operation); square && square->factor < 0) {
        double& range = ranges[classes.of(layer.output)];
        range = -std::abs(range);
      }
    for (const ProductClasses& product : products_of(network, classes))
      ranges[product.first] = ranges[product.out] / ranges[product.second];
    for (ValueIndex v = 0; v < network.values.size(); ++v) result.ranges.push_back(ranges[classes.of(v)]);
    return result;
  }
}

std::vector<double> assign_scales(const Network& network, std::span<const int> levels,
                                  std::span<const double> primes, double scale) {
  const Classes classes(network);
  std::vector<double> scales(classes.count(), 0);
  const auto prime_of = [&](const Classes::Step& step) {
    return primes[static_cast<std::size_t>(levels[network.layers[step.layer].inputs[0]])];
  };
  for (const Classes::Tree& tree : classes.trees()) {
    std::map<std::size_t, double> constant = {{tree.root, 0.0}};
    std::size_t last = tree.root;
    for (const Classes::Step& step : tree.steps) {
      const double prime = std::log(prime_of(step));
      constant[step.to] = step.forwards ? 2 * constant[step.from] - prime : (constant[step.from] + prime) / 2;
      if (classes.exponent(step.to) > classes.exponent(last)) last = step.to;
    }
    // Exact for a tree of one class; the others are computed from the root as the plan's operations will.
    scales[tree.root] =
        last == tree.root ? scale : std::exp((std::log(scale) - constant[last]) / classes.exponent(last));
    for (const Classes::Step& step : tree.steps) {
      const double from = scales[step.from];
      scales[step.to] = step.forwards ? from * from / prime_of(step) : std::sqrt(from * prime_of(step));
    }
  }
  for (const ProductClasses& product : products_of(network, classes)) {
    const Layer& layer = network.layers[product.layer];
    const auto level = static_cast<std::size_t>(std::min(levels[layer.inputs[0]], levels[layer.inputs[1]]));
    scales[product.first] = scales[product.out] * primes[level] / scales[product.second];
  }
  std::vector<double> result;
  for (ValueIndex v = 0; v < network.values.size(); ++v) result.push_back(scales[classes.of(v)]);
  return result;
}

}  // namespace tacit::compiler
