// SPDX-License-Identifier: Apache-2.0
#include "runtime/cost.h"

#include <algorithm>
#include <limits>

namespace tacit::runtime {

namespace {

std::uint64_t limbs_at(int level) { return static_cast<std::uint64_t>(level) + 1; }

// What the layer's transform and what follows it cost. Fold: callable from the step of a fold to Result<KeyShape>.
template <class Fold>
Result<Cost> layer_cost(const ckks::Bsgs& bsgs, const ckks::TransformShape& transform,
                        const std::vector<std::size_t>& folds, const Fold& fold_shape) {
  const int level = transform.level;
  Cost cost;
  cost.babies = bsgs.rotated_babies();
  cost.giants = bsgs.rotated_giants();
  cost.folds = folds.size();
  cost.complex_folds = bsgs.shift == 0 ? 0 : transform.inputs + transform.outputs;
  cost.plaintext_products = bsgs.products();
  cost += transform_counts(transform);
  for (std::size_t fold : folds) {
    TACIT_TRY(const ckks::KeyShape shape, fold_shape(static_cast<std::int64_t>(fold)));
    cost += ckks::rotate_counts(level - 1, shape);
    cost.pointwise_limbs += 2 * limbs_at(level - 1);
  }
  cost.pointwise_limbs += transform.outputs * limbs_at(level - 1);  // the bias
  return cost;
}

}  // namespace

Cost& Cost::operator+=(const Cost& other) {
  ckks::KernelCounts::operator+=(other);
  babies += other.babies;
  giants += other.giants;
  folds += other.folds;
  complex_folds += other.complex_folds;
  plaintext_products += other.plaintext_products;
  ciphertext_products += other.ciphertext_products;
  return *this;
}

Cost& Cost::operator*=(std::size_t times) {
  for (std::uint64_t* count : {&ntt_limbs, &key_limbs, &hoisted_limbs, &plain_limbs, &scalar_limbs,
                               &conversion_limbs, &pointwise_limbs, &babies, &giants, &folds, &complex_folds,
                               &plaintext_products, &ciphertext_products})
    *count *= times;
  return *this;
}

Cost linear_cost(const plan::DiagonalIndices& diagonals, plan::BsgsSplit split,
                 const ckks::TransformDomain& domain) {
  const ckks::Bsgs bsgs = make_bsgs(diagonals, split);
  const auto fold_shape = [&](std::int64_t) -> Result<ckks::KeyShape> {
    return ckks::KeyShape{domain.level, domain.baby_digit_size, domain.special_count};
  };
  return layer_cost(bsgs, transform_shape(bsgs, domain), diagonals.folds, fold_shape).value();
}

Result<Cost> chained_cost(const ckks::Bsgs& bsgs, const plan::LayerChains& chains, std::size_t slots,
                          int level, const ShapeOf& shape_of) {
  Cost cost;
  ckks::ChainedShape transform{level, bsgs.inputs(), bsgs.outputs(), {}, bsgs.groups.size(), bsgs.products(),
                               {}};
  for (const plan::RotationUse& use :
       required_rotations(chains, slots, {1, bsgs.shift, /*chained=*/true}, level)) {
    TACIT_TRY(const ckks::KeyShape shape, shape_of(use));
    switch (use.role) {
      case plan::RotationRole::kShift:  // of every input
        transform.rotations.insert(transform.rotations.end(), bsgs.inputs(), shape);
        break;
      case plan::RotationRole::kConjugation:
        transform.conjugation = shape;
        break;
      case plan::RotationRole::kFold:
        cost += ckks::rotate_counts(level - 1, shape);
        ++cost.folds;
        break;
      case plan::RotationRole::kBaby:
      case plan::RotationRole::kGiant:
        transform.rotations.push_back(shape);
        break;
    }
  }
  cost.babies = chains.babies();
  cost.giants = chains.giants();
  if (bsgs.shift != 0) cost.complex_folds = bsgs.inputs() * chains.transform.shift.size() + bsgs.outputs();
  cost.plaintext_products = bsgs.products();
  cost += chained_counts(transform);
  cost.pointwise_limbs += (2 * chains.folds.size() + bsgs.outputs()) * limbs_at(level - 1);  // and the bias
  return cost;
}

CostArithmetic::CostArithmetic(const plan::Plan& plan, const ckks::Parameters& parameters,
                               std::span<const plan::DiagonalIndices> diagonals)
    : plan_(&plan), parameters_(parameters) {
  std::size_t next = 0;
  for (const plan::Operation& operation : plan.operations)
    if (const auto* linear = std::get_if<plan::Linear>(&operation);
        linear != nullptr && next < diagonals.size())
      diagonals_[linear->output] = &diagonals[next++];
  for (const ckks::KeyRequest& key : plan.keys) shapes_.emplace(key.element, key.shape);
}

Result<CostArithmetic> CostArithmetic::create(const plan::Plan& plan,
                                              std::span<const plan::DiagonalIndices> diagonals) {
  TACIT_TRY(const ckks::Parameters parameters, ckks::Parameters::create(plan.parameters));
  return CostArithmetic(plan, parameters, diagonals);
}

CostVector CostArithmetic::input(plan::ValueId id) const {
  const plan::Value& value = plan_->values[id];
  return {value.level, value.scale, ciphertext_count(value.layout, value.period, plan_->slots)};
}

double CostArithmetic::prime(int level) const {
  return static_cast<double>(parameters_.prime(level).value());
}

Result<ckks::KeyShape> CostArithmetic::shape_of(std::uint32_t element) const {
  if (const auto found = shapes_.find(element); found != shapes_.end()) return found->second;
  return Error{ErrorCode::kKeyMissing,
               "the plan requests no key for the automorphism " + std::to_string(element)};
}

Result<CostVector> CostArithmetic::multiply(const Vector& a, const Vector& b) {
  const int level = std::min(a.level, b.level);
  if (level < 1) return Error{ErrorCode::kLevelMismatch, "a product at level 0 has no level left"};
  TACIT_TRY(const ckks::KeyShape shape, shape_of(ckks::kRelinearisation));
  Cost cost;
  cost += ckks::multiply_relinearise_rescale_counts(level, shape);
  cost.ciphertext_products += 1;
  cost_ += cost *= a.ciphertexts;
  return Vector{level - 1, a.scale * b.scale / prime(level), a.ciphertexts};
}

Result<CostVector> CostArithmetic::square(const Vector& a) { return multiply(a, a); }

Result<CostVector> CostArithmetic::add(const Vector& a, const Vector& b) {
  const int level = std::min(a.level, b.level);
  cost_.pointwise_limbs += 2 * limbs_at(level) * a.ciphertexts;
  return Vector{level, a.scale, a.ciphertexts};
}

Result<CostVector> CostArithmetic::subtract(const Vector& a, const Vector& b) { return add(a, b); }

Result<CostVector> CostArithmetic::add_scalar(const Vector& a, double) {
  cost_.pointwise_limbs += limbs_at(a.level) * a.ciphertexts;
  return a;
}

Result<CostVector> CostArithmetic::double_value(const Vector& a) { return add(a, a); }

Result<CostVector> CostArithmetic::drop(const Vector& a, int level) {
  return Vector{level, a.scale, a.ciphertexts};
}

Result<CostVector> CostArithmetic::weighted_sum(std::span<const Vector* const> vectors,
                                                std::span<const double>, int target_level,
                                                double target_scale) {
  if (target_level < 0) return Error{ErrorCode::kLevelMismatch, "a sum at level 0 has no level left"};
  if (vectors.empty()) return Error{ErrorCode::kInternal, "a weighted sum of no vectors"};
  Cost cost;
  cost.plaintext_products += vectors.size();
  cost.pointwise_limbs += 4 * vectors.size() * limbs_at(target_level + 1);
  cost += ckks::mod_down_counts(target_level + 1, 0, true, 2);
  cost_ += cost *= vectors[0]->ciphertexts;
  return Vector{target_level, target_scale, vectors[0]->ciphertexts};
}

Result<CostVector> CostArithmetic::linear(const plan::Linear& operation, const Vector&) {
  if (plan_->slots == 1) {
    cost_ += scalar_cost(operation);
  } else {
    TACIT_TRY(const Cost cost, transform_cost(operation));
    cost_ += cost;
  }
  return input(operation.output);
}

// As ckks::ScalarMatrix counts.
Cost CostArithmetic::scalar_cost(const plan::Linear& operation) const {
  const plan::LinearMap& map = plan_->maps[operation.map];
  const int level = plan_->values[operation.input].level;
  Cost cost;
  for (const plan::SparseRow& row : map.rows()) {
    cost.plaintext_products += row.size();
    cost += ckks::mod_down_counts(level, 0, true, 2);
  }
  cost.scalar_limbs += 2 * limbs_at(level) * cost.plaintext_products;
  cost.pointwise_limbs += 2 * limbs_at(level) * map.in.elements();
  return cost;
}

Result<Cost> CostArithmetic::transform_cost(const plan::Linear& operation) const {
  const plan::Value& in = plan_->values[operation.input];
  const plan::Value& out = plan_->values[operation.output];
  const auto known = diagonals_.find(operation.output);
  const plan::DiagonalIndices diagonals =
      known != diagonals_.end() ? *known->second
                                : diagonal_indices(plan_->maps[operation.map], in.layout, in.period,
                                                   out.layout, out.period, plan_->slots);
  if (operation.split.chained) return chained_layer_cost(operation, diagonals);
  const ckks::Bsgs bsgs = make_bsgs(diagonals, operation.split);
  const auto shape_of_step = [this](std::int64_t step) {
    return shape_of(ckks::rotation_element(parameters_, step));
  };
  // The places are those of transform_shape, the digits those of the plan's keys.
  ckks::TransformShape transform = transform_shape(bsgs, {in.level, 1, 1, 1});
  const auto set = [&](ckks::TransformShape::Rotation& rotation, std::int64_t step) -> Status {
    if (step == 0) return {};
    TACIT_TRY(const ckks::KeyShape shape, shape_of_step(step));
    transform.special_count = shape.special_count;
    rotation.digit_size = shape.digit_size;
    return {};
  };
  for (std::size_t b = 0; b < bsgs.babies.size(); ++b)
    TACIT_CHECK(set(transform.babies[b], bsgs.babies[b].step));
  for (std::size_t g = 0; g < bsgs.groups.size(); ++g)
    TACIT_CHECK(set(transform.giants[g], bsgs.groups[g].giant));
  if (bsgs.shift != 0) {
    TACIT_TRY(const ckks::KeyShape shape, shape_of_step(static_cast<std::int64_t>(bsgs.shift)));
    transform.folding_digit_size = shape.digit_size;
  }
  return layer_cost(bsgs, transform, diagonals.folds, shape_of_step);
}

Result<Cost> CostArithmetic::chained_layer_cost(const plan::Linear& operation,
                                                const plan::DiagonalIndices& diagonals) const {
  const ckks::Bsgs bsgs = make_bsgs(diagonals, operation.split);
  const auto chains = make_chains(diagonals, bsgs, make_tables(*plan_, operation, diagonals));
  if (!chains) return Error{ErrorCode::kKeyMissing, "the plan's keys do not make up the layer's rotations"};
  return chained_cost(
      bsgs, *chains, plan_->slots, plan_->values[operation.input].level,
      [this](const plan::RotationUse& use) { return shape_of(element_of(parameters_, use)); });
}

Result<CostVector> CostArithmetic::rescaling(const Vector& v, double factor, double target_scale) {
  const Vector* const vectors[] = {&v};
  return weighted_sum(vectors, std::span(&factor, 1), v.level - 1, target_scale);
}

Result<PlanCost> cost_of(const plan::Plan& plan, std::span<const plan::DiagonalIndices> diagonals) {
  TACIT_TRY(CostArithmetic arithmetic, CostArithmetic::create(plan, diagonals));
  PlanCost result;
  result.operations.resize(plan.operations.size());
  std::vector<std::size_t> makers(plan.values.size(), plan.operations.size());
  for (std::size_t i = 0; i < plan.operations.size(); ++i) {
    const plan::ValueId id = plan::output_of(plan.operations[i]);
    makers[id] = i;
    result.operations[i].name = plan.values[id].name;
  }
  const auto record = [&](plan::ValueId id, const CostVector&) {
    const Cost spent = arithmetic.take();
    if (makers[id] == plan.operations.size() || spent == Cost{}) return;  // came from the client
    result.operations[makers[id]].cost = spent;
    result.total += spent;
  };
  for (const plan::Stage& stage : plan::stages_of(plan)) {
    std::vector<CostVector> inputs;
    int highest = 0, lowest = std::numeric_limits<int>::max();
    for (plan::ValueId id : stage.inputs) {
      inputs.push_back(arithmetic.input(id));
      highest = std::max(highest, plan.values[id].level);
    }
    for (plan::ValueId id : stage.outputs) lowest = std::min(lowest, plan.values[id].level);
    TACIT_CHECK(execute_stage(plan, stage, arithmetic, std::move(inputs), {}, record));
    result.levels = std::max(result.levels, highest - lowest);
  }
  for (std::size_t i = 0; i < plan.operations.size(); ++i) {
    const plan::Operation& operation = plan.operations[i];
    if (std::holds_alternative<plan::ClientStep>(operation)) continue;
    result.operations[i].levels =
        plan.values[plan::inputs_of(operation)[0]].level - plan.values[plan::output_of(operation)].level;
  }
  return result;
}

}  // namespace tacit::runtime
