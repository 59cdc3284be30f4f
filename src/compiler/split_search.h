// SPDX-License-Identifier: Apache-2.0
// The search for the layers' splits: each layer has its choices, and all share their keys.
#pragma once

#include <map>
#include <vector>

#include "compiler/splits.h"

namespace tacit::compiler {

// What is known of the key for one rotation.
struct KeyNeed {
  int level = -1;
  bool rescaled = true;  // all its uses are followed by a division by a prime (key_shape)

  void merge(const KeyNeed& other);
};
using KeyNeeds = std::map<std::uint32_t, KeyNeed>;  // by element

// One way to split one layer.
struct SplitChoice {
  plan::BsgsSplit split;
  double milliseconds = 0;
  KeyNeeds needs;
};

// The keys of one set of parameters: shapes (key_shape) and bytes.
class KeyPrices {
 public:
  explicit KeyPrices(const ckks::Parameters& parameters);
  const ckks::KeyShape& shape(const KeyNeed& need) const { return key(need).shape; }
  std::uint64_t bytes(const KeyNeed& need) const { return key(need).bytes; }

 private:
  struct Key {
    ckks::KeyShape shape;
    std::uint64_t bytes = 0;
  };
  const Key& key(const KeyNeed& need) const {
    return keys_[need.rescaled ? 1 : 0][static_cast<std::size_t>(need.level)];
  }

  std::vector<Key> keys_[2];  // by `rescaled` and level
};

// Coordinate descent over the choices of the layers.
class SplitSearch {
 public:
  // Both must outlive this.
  SplitSearch(const KeyPrices& prices, std::vector<const std::vector<SplitChoice>*> choices)
      : prices_(prices), choices_(std::move(choices)) {}

  // Whether every layer has a choice, without which nothing below can be asked.
  bool complete() const;
  std::vector<std::size_t> start() const { return std::vector<std::size_t>(choices_.size(), 0); }
  // The best choice for each layer at this price of a megabyte, descending from `start`: the least time of the layer plus
  // the price of the bytes that its rotations add to the other layers', until nothing changes.
  std::vector<std::size_t> descend(std::vector<std::size_t> start, double price) const;
  // What all layers need but for the one at `without`.
  KeyNeeds needs(const std::vector<std::size_t>& chosen, std::size_t without) const;
  KeyNeeds needs(const std::vector<std::size_t>& chosen) const { return needs(chosen, choices_.size()); }
  // Time of all layers, and the price of their keys.
  double cost(const std::vector<std::size_t>& chosen, double price) const;
  Splits result(const std::vector<std::size_t>& chosen, int relinearisation_level) const;

 private:
  double cost(const SplitChoice& choice, const KeyNeeds& others, double price) const;

  const KeyPrices& prices_;
  std::vector<const std::vector<SplitChoice>*> choices_;
};

// Without folding (0), and each shift of complex folding that pairs enough of the layer's diagonals to be worth it.
std::vector<std::size_t> candidate_shifts(const plan::DiagonalIndices& diagonals);

}  // namespace tacit::compiler
