// SPDX-License-Identifier: Apache-2.0
// Rotations made of few others: where keys are there for some steps only, every other rotation is a sum of these, and
// rotations of one ciphertext are made one from another, as the nodes of a tree.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ckks/bsgs.h"

namespace tacit::ckks {

// The shortest sums of steps modulo a power of two: slots, or a period that the slots repeat with. Immutable.
class StepTable {
 public:
  // Steps are taken modulo `modulus`; those that are 0 there are of no use.
  StepTable(std::size_t modulus, std::span<const std::int64_t> steps);

  // The least number of steps whose sum is this rotation; kUnreachable where there is none.
  std::uint32_t distance(std::int64_t rotation) const { return distances_[reduced(rotation)]; }
  // One of them, for a rotation that can be reached and is not 0: the first of those given that a shortest sum has. It does
  // not depend on steps that the sum does not have.
  std::int64_t first(std::int64_t rotation) const;
  // All of them, one after the other; nothing where there is no sum of at most RotationTree::kMaxRotations.
  std::optional<std::vector<std::int64_t>> sum(std::int64_t rotation) const;
  std::size_t reduced(std::int64_t rotation) const {
    return static_cast<std::size_t>(rotation) & (distances_.size() - 1);
  }

  static constexpr std::uint32_t kUnreachable = 0xffffffff;

 private:
  std::vector<std::uint32_t> distances_;
  std::vector<std::int64_t> steps_;
};

// Rotations of one ciphertext: the root is not rotated, every other node is its parent rotated by one step. Read from the
// leaves to the root it sums up: what stands at a node is rotated by its step and added to its parent's.
struct RotationTree {
  struct Node {
    std::size_t parent = 0;
    std::int64_t step = 0;  // as it was given to the table
  };
  std::vector<Node> nodes;           // parents before their children, the root first
  std::vector<std::size_t> targets;  // of each target its node; several may have one

  std::size_t rotations() const { return nodes.size() - 1; }

  static constexpr std::size_t kMaxRotations = 4096;
};

// A tree for these rotations: the next target is always the one that takes the fewest steps from what is there already
// (Prim's algorithm); what lies between is there as well. Nothing where one cannot be reached, or not within
// kMaxRotations.
std::optional<RotationTree> make_rotation_tree(const StepTable& steps, std::span<const std::int64_t> targets);

// Which rotations a chained layer may use, and what it may count modulo.
struct ChainDomain {
  StepTable inputs;    // modulo what the inputs repeat with
  StepTable products;  // modulo what their products with diagonals repeat with
};

// All rotations of one layer.
struct RotationChains {
  std::vector<std::int64_t> shift;  // complex folding's, of every input: steps to be done one after the other
  std::vector<RotationTree> babies;  // of each input; targets are those of its babies in order
  std::vector<RotationTree> giants;  // of each output; targets are its groups in order
};

// Nothing where the steps do not make up all rotations.
std::optional<RotationChains> make_rotation_chains(const Bsgs& bsgs, const ChainDomain& domain);

// The steps 1, 2, 4 .. half of the slots.
std::vector<std::int64_t> power_of_two_steps(std::size_t slots);

}  // namespace tacit::ckks
