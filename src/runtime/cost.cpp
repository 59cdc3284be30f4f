// SPDX-License-Identifier: Apache-2.0
#include "runtime/cost.h"

#include <algorithm>

namespace tacit::runtime {

namespace {

std::uint64_t limbs_at(int level) { return static_cast<std::uint64_t>(level) + 1; }

// Shape: callable from a rotation step to Result<KeyShape>.
template <class Shape>
Result<Cost> linear_cost_with(const plan::DiagonalIndices& diagonals, plan::BsgsSplit split, int level,
                              const Shape& shape_of) {
  const ckks::Bsgs bsgs = make_bsgs(diagonals, split);
  ckks::TransformShape transform{level, 1, {}, {}, bsgs.products()};
  const auto digit_size_of = [&](std::int64_t step) -> Result<int> {
    if (step == 0) return 0;
    TACIT_TRY(const ckks::KeyShape shape, shape_of(step));
    transform.special_count = shape.special_count;
    return shape.digit_size;
  };
  for (std::int64_t baby : bsgs.babies) {
    TACIT_TRY(const int digit_size, digit_size_of(baby));
    transform.babies.push_back(digit_size);
  }
  for (const ckks::BsgsGroup& group : bsgs.groups) {
    TACIT_TRY(const int digit_size, digit_size_of(group.giant));
    transform.giants.push_back(digit_size);
  }
  Cost cost;
  cost.babies = bsgs.rotated_babies();
  cost.giants = bsgs.rotated_giants();
  cost.folds = diagonals.folds.size();
  cost.plaintext_products = bsgs.products();
  cost += transform_counts(transform);
  for (std::size_t fold : diagonals.folds) {
    TACIT_TRY(const ckks::KeyShape shape, shape_of(static_cast<std::int64_t>(fold)));
    cost += ckks::rotate_counts(level - 1, shape);
    cost.pointwise_limbs += 2 * limbs_at(level - 1);
  }
  cost.pointwise_limbs += limbs_at(level - 1);  // the bias
  return cost;
}

}  // namespace

Cost& Cost::operator+=(const Cost& other) {
  ckks::KernelCounts::operator+=(other);
  babies += other.babies;
  giants += other.giants;
  folds += other.folds;
  plaintext_products += other.plaintext_products;
  ciphertext_products += other.ciphertext_products;
  return *this;
}

Cost linear_cost(const plan::DiagonalIndices& diagonals, plan::BsgsSplit split,
                 const ckks::TransformDomain& domain) {
  const ckks::Bsgs bsgs = make_bsgs(diagonals, split);
  const auto shape_of = [&](std::int64_t step) -> Result<ckks::KeyShape> {
    const bool giant = std::ranges::find(bsgs.groups, step, &ckks::BsgsGroup::giant) != bsgs.groups.end();
    return ckks::KeyShape{domain.level, giant ? domain.giant_digit_size : domain.baby_digit_size,
                          domain.special_count};
  };
  return linear_cost_with(diagonals, split, domain.level, shape_of).value();
}

CostArithmetic::CostArithmetic(const plan::Plan& plan, const ckks::Parameters& parameters)
    : plan_(&plan), parameters_(parameters) {
  for (const ckks::KeyRequest& key : plan.keys) shapes_.emplace(key.element, key.shape);
}

Result<CostArithmetic> CostArithmetic::create(const plan::Plan& plan) {
  TACIT_TRY(const ckks::Parameters parameters, ckks::Parameters::create(plan.parameters));
  return CostArithmetic(plan, parameters);
}

CostVector CostArithmetic::input() const {
  const plan::Value& value = plan_->values[plan_->input];
  return {value.level, value.scale};
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
  cost_ += ckks::relinearise_rescale_counts(level, shape);
  cost_.pointwise_limbs += 5 * limbs_at(level);  // four products and a sum
  cost_.ciphertext_products += 1;
  return Vector{level - 1, a.scale * b.scale / prime(level)};
}

Result<CostVector> CostArithmetic::square(const Vector& a) { return multiply(a, a); }

Result<CostVector> CostArithmetic::add(const Vector& a, const Vector& b) {
  const int level = std::min(a.level, b.level);
  cost_.pointwise_limbs += 2 * limbs_at(level);
  return Vector{level, a.scale};
}

Result<CostVector> CostArithmetic::subtract(const Vector& a, const Vector& b) { return add(a, b); }

Result<CostVector> CostArithmetic::add_scalar(const Vector& a, double) {
  cost_.pointwise_limbs += limbs_at(a.level);
  return a;
}

Result<CostVector> CostArithmetic::double_value(const Vector& a) { return add(a, a); }

Result<CostVector> CostArithmetic::drop(const Vector& a, int level) { return Vector{level, a.scale}; }

Result<CostVector> CostArithmetic::weighted_sum(std::span<const Vector* const> vectors,
                                                std::span<const double>, int target_level,
                                                double target_scale) {
  if (target_level < 0) return Error{ErrorCode::kLevelMismatch, "a sum at level 0 has no level left"};
  cost_.plaintext_products += vectors.size();
  cost_.pointwise_limbs += 4 * vectors.size() * limbs_at(target_level + 1);
  cost_ += ckks::mod_down_counts(target_level + 1, 0, true, 2);
  return Vector{target_level, target_scale};
}

Result<CostVector> CostArithmetic::linear(const plan::Linear& operation, const Vector& v) {
  const plan::Value& in = plan_->values[operation.input];
  const plan::Value& out = plan_->values[operation.output];
  const plan::DiagonalIndices diagonals = diagonal_indices(plan_->maps[operation.map], in.layout, in.period,
                                                           out.layout, out.period, plan_->slots);
  TACIT_TRY(const Cost cost, linear_cost_with(diagonals, operation.split, v.level, [this](std::int64_t step) {
              return shape_of(ckks::rotation_element(parameters_, step));
            }));
  cost_ += cost;
  return Vector{out.level, out.scale};
}

Result<CostVector> CostArithmetic::rescaling(const Vector& v, double factor, double target_scale) {
  const Vector* const vectors[] = {&v};
  return weighted_sum(vectors, std::span(&factor, 1), v.level - 1, target_scale);
}

Result<PlanCost> cost_of(const plan::Plan& plan) {
  TACIT_TRY(CostArithmetic arithmetic, CostArithmetic::create(plan));
  PlanCost result;
  const auto record = [&](plan::ValueId id, const CostVector&) {
    const Cost spent = arithmetic.take();
    if (id == plan.input) return;
    const plan::Operation& operation = plan.operations[result.operations.size()];
    const plan::Value& from = plan.values[plan::inputs_of(operation)[0]];
    result.operations.push_back({plan.values[id].name, spent, from.level - plan.values[id].level});
    result.total += spent;
  };
  TACIT_CHECK(execute(plan, arithmetic, arithmetic.input(), {}, record));
  result.levels = plan.values[plan.input].level - plan.values[plan.output].level;
  return result;
}

}  // namespace tacit::runtime
