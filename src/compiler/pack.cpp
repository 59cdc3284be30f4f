// SPDX-License-Identifier: Apache-2.0
#include "compiler/pack.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <optional>

#include "graph/text.h"

namespace tacit::compiler {

namespace {

constexpr int kMaxGap = 256;

// How the layouts of values that elementwise layers join are found before the grids are known.
struct Placement {
  int gap = 1;
  std::size_t grid = 0;  // index into grids
};

struct Grid {
  int height = 1, width = 1;
};

int power_of_two(int x) { return static_cast<int>(std::bit_ceil(static_cast<unsigned>(x))); }

// By how much the map widens the gap; nothing where its result is not an image on its input's grid.
std::optional<int> gap_factor(const plan::LinearMap& map) {
  if (map.out.height * map.out.width == 1) return std::nullopt;
  int height = 1, width = 1;
  for (const plan::LinearPiece& piece : map.pieces) {
    if (std::holds_alternative<plan::Matrix>(piece)) return std::nullopt;
    if (const auto* c = std::get_if<plan::Convolution>(&piece)) {
      height *= c->stride_height;
      width *= c->stride_width;
    } else if (const auto* p = std::get_if<plan::AveragePooling>(&piece)) {
      height *= p->stride_height;
      width *= p->stride_width;
    }
    if (height > kMaxGap || width > kMaxGap) return std::nullopt;
  }
  return std::min(height, width);
}

class Packer {
 public:
  Packer(const Network& network, ClientPacking client)
      : network_(network), client_(client), parent_(network.values.size()) {
    std::iota(parent_.begin(), parent_.end(), std::size_t{0});
    for (const Layer& layer : network_.layers)
      if (!is_placed(layer))
        for (ValueIndex input : layer.inputs) parent_[find(input)] = find(layer.output);
    placements_.resize(network_.values.size());
  }

  std::vector<plan::Layout> run() {
    place(network_.input, {1, new_grid()});
    for (const Layer& layer : network_.layers) {
      if (!is_placed(layer) || placements_[find(layer.output)]) continue;
      const auto* linear = std::get_if<LinearLayer>(&layer.operation);
      if (linear == nullptr) {
        place(layer.output, {1, new_grid()});  // the client packs anew
        continue;
      }
      const Placement in = *placements_[find(layer.inputs[0])];
      const std::optional<int> factor = gap_factor(linear->map);
      if (factor && in.gap * *factor <= kMaxGap)
        place(layer.output, {in.gap * *factor, in.grid});
      else
        place(layer.output, {1, new_grid()});
    }
    std::vector<plan::Layout> layouts;
    for (ValueIndex v = 0; v < network_.values.size(); ++v) {
      const Placement placement = *placements_[find(v)];
      const Grid& grid = grids_[placement.grid];
      layouts.push_back({network_.values[v].shape, placement.gap, grid.height, grid.width});
    }
    return layouts;
  }

 private:
  // Whether the layer gives its result a place of its own.
  bool is_placed(const Layer& layer) const {
    if (std::holds_alternative<LinearLayer>(layer.operation)) return true;
    const auto* client = std::get_if<ClientLayer>(&layer.operation);
    if (client == nullptr) return false;
    const bool element_wise = std::holds_alternative<Activation>(client->function) ||
                              std::holds_alternative<plan::ClearSum>(client->function);
    return client_ == ClientPacking::kDense || !element_wise;
  }
  std::size_t find(std::size_t v) {
    while (parent_[v] != v) v = parent_[v] = parent_[parent_[v]];
    return v;
  }
  std::size_t new_grid() {
    grids_.emplace_back();
    return grids_.size() - 1;
  }
  void place(ValueIndex value, Placement placement) {
    placements_[find(value)] = placement;
    const plan::Shape& shape = network_.values[value].shape;
    Grid& grid = grids_[placement.grid];
    grid.height = std::max(grid.height, power_of_two(shape.height * placement.gap));
    grid.width = std::max(grid.width, power_of_two(shape.width * placement.gap));
  }

  const Network& network_;
  const ClientPacking client_;
  std::vector<std::size_t> parent_;  // union-find over values of one layout
  std::vector<std::optional<Placement>> placements_;
  std::vector<Grid> grids_;
};

Status check_extent(const Network& network, ValueIndex v, const plan::Layout& layout) {
  const std::size_t slots = std::bit_ceil(layout.extent());
  if (slots <= plan::kMaxExtent) return {};
  return Error{ErrorCode::kCompileTooWide,
               (v == network.input ? "the network's input " : "node ") +
                   graph::in_quotes(network.values[v].name) + ": a value of shape " +
                   to_string(layout.shape) + " takes " + std::to_string(slots) + " slots on its grid of " +
                   std::to_string(layout.grid_height) + "x" + std::to_string(layout.grid_width) +
                   ", at most " + std::to_string(plan::kMaxExtent) +
                   " are supported; use smaller images, fewer channels there, or a larger stride before it"};
}

}  // namespace

Result<std::vector<Packing>> pack(const Network& network, ClientPacking client) {
  const std::vector<plan::Layout> layouts = Packer(network, client).run();
  std::vector<Packing> result;
  for (ValueIndex v = 0; v < network.values.size(); ++v) {
    TACIT_CHECK(check_extent(network, v, layouts[v]));
    result.push_back({layouts[v], std::bit_ceil(layouts[v].extent())});
  }
  return result;
}

Result<std::vector<Packing>> pack_elements(const Network& network) {
  std::vector<Packing> result;
  for (ValueIndex v = 0; v < network.values.size(); ++v) {
    const plan::Shape& shape = network.values[v].shape;
    const plan::Layout layout{shape, 1, shape.height, shape.width};
    TACIT_CHECK(check_extent(network, v, layout));
    result.push_back({layout, std::bit_ceil(layout.extent())});
  }
  return result;
}

}  // namespace tacit::compiler
