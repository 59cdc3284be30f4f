// SPDX-License-Identifier: Apache-2.0
#include "runtime/memory.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "ckks/ciphertext.h"
#include "plan/chains.h"
#include "plan/stages.h"

namespace tacit::runtime {

namespace {

constexpr std::uint64_t kWord = 8;

class Estimator {
 public:
  Estimator(const plan::Plan& plan, const ckks::Parameters& parameters,
            std::span<const plan::DiagonalIndices> diagonals)
      : plan_(plan), parameters_(parameters), diagonals_(diagonals), working_(plan.operations.size(), 0) {
    for (const ckks::KeyRequest& key : plan.keys) special_ = std::max(special_, key.shape.special_count);
  }

  MemoryEstimate estimate() {
    for (const ckks::KeyRequest& key : plan_.keys)
      memory_.keys += ckks::key_memory_bytes(parameters_, key.shape, ckks::KeyForm::kWhole);
    std::size_t next = 0;
    for (std::size_t i = 0; i < plan_.operations.size(); ++i) {
      if (const auto* linear = std::get_if<plan::Linear>(&plan_.operations[i])) {
        const plan::DiagonalIndices* known = next < diagonals_.size() ? &diagonals_[next++] : nullptr;
        working_[i] = plan_.slots == 1 ? by_numbers(*linear) : by_rotations(*linear, known);
      } else {
        working_[i] = element_wise(plan_.operations[i]);
      }
    }
    for (const plan::Stage& stage : plan::stages_of(plan_)) add_stage(stage);
    return memory_;
  }

 private:
  std::uint64_t limb_bytes() const { return kWord * parameters_.degree(); }
  std::uint64_t ciphertexts(plan::ValueId id) const {
    const plan::Value& value = plan_.values[id];
    return ciphertext_count(value.layout, value.period, plan_.slots);
  }
  std::uint64_t value_bytes(plan::ValueId id) const {
    const int level = plan_.values[id].level;
    return level < 0 ? 0 : 2 * limb_bytes() * (static_cast<std::uint64_t>(level) + 1) * ciphertexts(id);
  }

  // As ckks::LinearTransform keeps its terms, and works: the digits of its inputs, then a pair modulo QP for each group.
  std::uint64_t by_rotations(const plan::Linear& operation, const plan::DiagonalIndices* known) {
    const plan::Value& in = plan_.values[operation.input];
    const plan::Value& out = plan_.values[operation.output];
    std::optional<plan::DiagonalIndices> found;
    if (known == nullptr)
      known = &found.emplace(diagonal_indices(plan_.maps[operation.map], in.layout, in.period, out.layout,
                                              out.period, plan_.slots));
    const ckks::Bsgs bsgs = make_bsgs(*known, operation.split);
    const std::vector<double>& bias = plan_.maps[operation.map].bias;
    if (std::ranges::any_of(bias, [](double b) { return b != 0; }))
      memory_.plaintexts +=
          limb_bytes() * (static_cast<std::uint64_t>(out.level) + 1) * ciphertexts(operation.output);
    if (operation.split.chained) return by_chains(operation, *known, bsgs);
    const std::vector<ring::Modulus> moduli = parameters_.extended_moduli(in.level, special_);
    memory_.plaintexts += ring::Constants::memory_bytes(parameters_.degree(), moduli, bsgs.products());
    const ckks::KeyShape shape{in.level, special_, special_};
    return limb_bytes() * moduli.size() * (shape.digits() * bsgs.inputs() + 2 * bsgs.groups.size());
  }

  // As ckks::ChainedTransform: rotated inputs, and for each sum that is not complete a ciphertext; three at work.
  std::uint64_t by_chains(const plan::Linear& operation, const plan::DiagonalIndices& diagonals,
                          const ckks::Bsgs& bsgs) {
    const int level = plan_.values[operation.input].level;
    const std::vector<ring::Modulus> moduli = parameters_.extended_moduli(level, 0);
    for (const ckks::BsgsGroup& group : bsgs.groups)
      memory_.plaintexts += ring::Constants::memory_bytes(parameters_.degree(), moduli, group.terms.size());
    const auto chains = make_chains(diagonals, bsgs, make_tables(plan_, operation, diagonals));
    if (!chains) return 0;  // no valid plan
    std::uint64_t unfinished = 0;
    for (const ckks::RotationTree& tree : chains->transform.giants) {
      std::vector<bool> parent(tree.nodes.size(), false);
      for (const ckks::RotationTree::Node& node : tree.nodes) parent[node.parent] = true;
      unfinished = std::max<std::uint64_t>(
          unfinished, tree.nodes.size() - static_cast<std::uint64_t>(std::ranges::count(parent, true)));
    }
    return ciphertext_memory_bytes(parameters_, level) * (bsgs.inputs() + chains->babies() + unfinished + 3);
  }

  // As ckks::ScalarMatrix: a word for each weight and prime. It works on its inputs where they are.
  std::uint64_t by_numbers(const plan::Linear& operation) {
    const std::uint64_t limbs = static_cast<std::uint64_t>(plan_.values[operation.input].level) + 1;
    const plan::LinearMap& map = plan_.maps[operation.map];
    for (const plan::SparseRow& row : map.rows()) memory_.plaintexts += kWord * limbs * (row.size() + 1);
    return 0;
  }

  // The Chebyshev polynomials T_1 .. T_b and T_2b, T_4b ... of one ciphertext's polynomial; of a product its digits.
  std::uint64_t element_wise(const plan::Operation& operation) const {
    const plan::ValueId in = plan::inputs_of(operation)[0];
    if (const auto* polynomial = std::get_if<plan::Polynomial>(&operation)) {
      const auto depth = static_cast<std::uint64_t>(std::bit_width(polynomial->coefficients.size() - 1));
      return value_bytes(in) * ((std::uint64_t{1} << (depth + 1) / 2) + depth);
    }
    if (std::holds_alternative<plan::Product>(operation)) return 2 * value_bytes(plan::output_of(operation));
    return std::holds_alternative<plan::Square>(operation) ? 2 * value_bytes(in) : 0;
  }

  // A stage frees each value after its last use (runtime::execute_stage).
  void add_stage(const plan::Stage& stage) {
    const std::size_t total = stage.operations.size();
    std::vector<std::size_t> last(plan_.values.size(), total);
    for (std::size_t i = 0; i < total; ++i)
      for (plan::ValueId id : plan::inputs_of(plan_.operations[stage.operations[i]])) last[id] = i;
    for (plan::ValueId id : stage.outputs) last[id] = total;
    std::uint64_t live = 0;
    for (plan::ValueId id : stage.inputs) live += value_bytes(id);
    for (std::size_t i = 0; i < total; ++i) {
      const plan::Operation& operation = plan_.operations[stage.operations[i]];
      live += value_bytes(plan::output_of(operation));
      memory_.ciphertexts = std::max(memory_.ciphertexts, live + working_[stage.operations[i]]);
      std::vector<plan::ValueId> inputs = plan::inputs_of(operation);
      if (inputs.size() == 2 && inputs[0] == inputs[1]) inputs.pop_back();
      for (plan::ValueId id : inputs)
        if (last[id] == i) live -= value_bytes(id);
    }
  }

  const plan::Plan& plan_;
  const ckks::Parameters& parameters_;
  std::span<const plan::DiagonalIndices> diagonals_;
  int special_ = 1;
  std::vector<std::uint64_t> working_;  // by operation, beside its values
  MemoryEstimate memory_;
};

}  // namespace

Result<MemoryEstimate> estimate_memory(const plan::Plan& plan,
                                       std::span<const plan::DiagonalIndices> diagonals) {
  TACIT_TRY(const ckks::Parameters parameters, ckks::Parameters::create(plan.parameters));
  return Estimator(plan, parameters, diagonals).estimate();
}

}  // namespace tacit::runtime
