// SPDX-License-Identifier: Apache-2.0
#include "compiler/reference.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace tacit::compiler {

namespace {

using graph::Shape;

std::size_t at(const Shape& shape, std::int64_t c, std::int64_t y, std::int64_t x) {
  return static_cast<std::size_t>((c * shape.height + y) * shape.width + x);
}

struct NodeEvaluation {
  const Shape& in;
  const Shape& out;
  std::span<const Elements* const> inputs;
  const std::optional<Approximation>& approximation;

  const Elements& x() const { return *inputs[0]; }
  Elements zeros() const { return Elements(static_cast<std::size_t>(out.size()), 0); }

  // Outputs y0 <= y < y1 for which y * stride + offset lies in [0, size).
  static std::pair<std::int64_t, std::int64_t> covered(std::int64_t stride, std::int64_t offset,
                                                       std::int64_t size, std::int64_t outputs) {
    const std::int64_t first = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
    const std::int64_t last = size - 1 - offset < 0 ? 0 : (size - 1 - offset) / stride + 1;
    return {std::min(first, outputs), std::max(std::min(last, outputs), std::min(first, outputs))};
  }

  Elements operator()(const graph::Conv& conv) const {
    Elements y = zeros();
    const std::int64_t in_per_group = conv.in_channels / conv.groups,
                       out_per_group = conv.out_channels / conv.groups;
    std::size_t w = 0;
    for (std::int64_t o = 0; o < conv.out_channels; ++o) {
      std::fill_n(y.begin() + static_cast<std::ptrdiff_t>(at(out, o, 0, 0)), out.pixels(),
                  conv.bias[static_cast<std::size_t>(o)]);
      for (std::int64_t i = 0; i < in_per_group; ++i)
        for (std::int64_t r = 0; r < conv.kernel.height; ++r)
          for (std::int64_t s = 0; s < conv.kernel.width; ++s, ++w) {
            const double weight = conv.weights[w];
            const std::int64_t channel = o / out_per_group * in_per_group + i;
            const std::int64_t dy = r * conv.dilation.height - conv.pads.top;
            const std::int64_t dx = s * conv.dilation.width - conv.pads.left;
            const auto [y0, y1] = covered(conv.stride.height, dy, in.height, out.height);
            const auto [x0, x1] = covered(conv.stride.width, dx, in.width, out.width);
            for (std::int64_t py = y0; py < y1; ++py)
              for (std::int64_t px = x0; px < x1; ++px)
                y[at(out, o, py, px)] +=
                    weight * x()[at(in, channel, py * conv.stride.height + dy, px * conv.stride.width + dx)];
          }
    }
    return y;
  }

  Elements operator()(const graph::AveragePool& pool) const {
    Elements y = zeros();
    for (std::int64_t c = 0; c < out.channels; ++c)
      for (std::int64_t py = 0; py < out.height; ++py)
        for (std::int64_t px = 0; px < out.width; ++px) {
          double sum = 0;
          std::int64_t inside = 0;
          for (std::int64_t r = 0; r < pool.kernel.height; ++r)
            for (std::int64_t s = 0; s < pool.kernel.width; ++s) {
              const std::int64_t iy = py * pool.stride.height + r - pool.pads.top;
              const std::int64_t ix = px * pool.stride.width + s - pool.pads.left;
              if (iy < 0 || iy >= in.height || ix < 0 || ix >= in.width) continue;
              sum += x()[at(in, c, iy, ix)];
              ++inside;
            }
          const std::int64_t divisor =
              pool.count_include_pad ? pool.kernel.height * pool.kernel.width : inside;
          y[at(out, c, py, px)] = divisor == 0 ? 0 : sum / static_cast<double>(divisor);
        }
    return y;
  }

  Elements operator()(const graph::Dense& dense) const {
    Elements y = zeros();
    for (std::size_t o = 0; o < y.size(); ++o) {
      double sum = dense.bias[o];
      for (std::size_t i = 0; i < x().size(); ++i) sum += dense.weights[o * x().size() + i] * x()[i];
      y[o] = sum;
    }
    return y;
  }

  Elements operator()(const graph::ChannelAffine& affine) const {
    Elements y = x();
    const auto pixels = static_cast<std::size_t>(in.pixels());
    for (std::size_t i = 0; i < y.size(); ++i)
      y[i] = affine.scale[i / pixels] * y[i] + affine.shift[i / pixels];
    return y;
  }

  Elements operator()(const graph::ElementAffine& affine) const {
    Elements y = x();
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = affine.scale[i] * y[i] + affine.shift[i];
    return y;
  }

  Elements operator()(const graph::Square&) const {
    Elements y = x();
    for (double& v : y) v *= v;
    return y;
  }

  Elements operator()(const Activation& activation) const {
    Elements y = x();
    for (double& v : y) v = approximation ? evaluate(*approximation, v) : tacit::evaluate(activation, v);
    return y;
  }

  Elements operator()(const graph::Add&) const {
    Elements y = x();
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += (*inputs[1])[i];
    return y;
  }

  Elements operator()(const graph::Multiply&) const {
    Elements y = x();
    for (std::size_t i = 0; i < y.size(); ++i) y[i] *= (*inputs[1])[i];
    return y;
  }

  Elements operator()(const graph::Reshape&) const { return x(); }

  Elements operator()(const graph::Permute& permute) const {
    Elements y = zeros();
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = x()[permute.source[i]];
    return y;
  }

  Elements operator()(const graph::Concat&) const {
    Elements y;
    y.reserve(static_cast<std::size_t>(out.size()));
    for (const Elements* input : inputs) y.insert(y.end(), input->begin(), input->end());
    return y;
  }

  Elements operator()(const graph::MaxPool& pool) const {
    Elements y(static_cast<std::size_t>(out.size()), -std::numeric_limits<double>::infinity());
    for (std::int64_t c = 0; c < out.channels; ++c)
      for (std::int64_t r = 0; r < pool.kernel.height; ++r)
        for (std::int64_t s = 0; s < pool.kernel.width; ++s) {
          const std::int64_t dy = r * pool.dilation.height - pool.pads.top;
          const std::int64_t dx = s * pool.dilation.width - pool.pads.left;
          const auto [y0, y1] = covered(pool.stride.height, dy, in.height, out.height);
          const auto [x0, x1] = covered(pool.stride.width, dx, in.width, out.width);
          for (std::int64_t py = y0; py < y1; ++py)
            for (std::int64_t px = x0; px < x1; ++px) {
              double& largest = y[at(out, c, py, px)];
              largest = std::max(largest,
                                 x()[at(in, c, py * pool.stride.height + dy, px * pool.stride.width + dx)]);
            }
        }
    return y;
  }

  Elements operator()(const graph::Pad& pad) const {
    Elements y = zeros();
    for (std::int64_t c = 0; c < in.channels; ++c)
      for (std::int64_t py = 0; py < in.height; ++py)
        for (std::int64_t px = 0; px < in.width; ++px)
          y[at(out, c, py + pad.pads.top, px + pad.pads.left)] = x()[at(in, c, py, px)];
    return y;
  }
};

}  // namespace

Elements evaluate_node(const graph::Graph& graph, std::size_t node, std::span<const Elements* const> inputs,
                       const std::optional<Approximation>& approximation) {
  const graph::Node& n = graph.nodes[node];
  return std::visit(
      NodeEvaluation{graph.shape_of(n.inputs[0]), graph.shape_of(n.output), inputs, approximation},
      n.operation);
}

std::vector<std::size_t> last_uses(const graph::Graph& graph) {
  std::vector<std::size_t> result(graph.values.size(), 0);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    for (graph::ValueId input : graph.nodes[i].inputs) result[input] = i;
  result[graph.output] = graph.nodes.size();
  return result;
}

std::vector<Elements> evaluate_values(const graph::Graph& graph, const Approximations& approximations,
                                      const Elements& input, const std::vector<Elements>* base,
                                      std::size_t from) {
  std::vector<Elements> own(graph.values.size());
  std::vector<const Elements*> values(graph.values.size());
  for (std::size_t v = 0; v < values.size(); ++v) values[v] = base != nullptr ? &(*base)[v] : &own[v];
  if (base == nullptr) own[graph::Graph::kInput] = input;
  std::vector<bool> changed(graph.values.size(), false);
  for (std::size_t i = from; i < graph.nodes.size(); ++i) {
    const graph::Node& node = graph.nodes[i];
    const bool depends = base == nullptr || i == from ||
                         std::ranges::any_of(node.inputs, [&](graph::ValueId id) { return changed[id]; });
    if (!depends) continue;
    std::vector<const Elements*> inputs;
    for (graph::ValueId id : node.inputs) inputs.push_back(values[id]);
    own[node.output] = evaluate_node(graph, i, inputs, approximations[i]);
    values[node.output] = &own[node.output];
    changed[node.output] = true;
  }
  return own;
}

Elements evaluate_graph(const graph::Graph& graph, const Approximations& approximations,
                        const Elements& input) {
  const std::vector<std::size_t> last = last_uses(graph);
  std::vector<Elements> values(graph.values.size());
  values[graph::Graph::kInput] = input;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const graph::Node& node = graph.nodes[i];
    std::vector<const Elements*> inputs;
    for (graph::ValueId id : node.inputs) inputs.push_back(&values[id]);
    Elements made = evaluate_node(graph, i, inputs, approximations[i]);
    for (graph::ValueId id : node.inputs)
      if (last[id] == i) values[id] = {};
    values[node.output] = std::move(made);
  }
  return std::move(values[graph.output]);
}

}  // namespace tacit::compiler
