// SPDX-License-Identifier: Apache-2.0
#include "runtime/cost.h"

#include <algorithm>

namespace tacit::runtime {

namespace {

constexpr std::uint64_t kWordBytes = 8;

// Limb counts of the pieces of key switching (ckks/key_switcher.h) for a ciphertext at `level`.
struct SwitchCounts {
  std::uint64_t limbs, special, digits;
  std::uint64_t word_bytes_of_limb;
  int digit_size;

  SwitchCounts(int level, const ckks::KeyShape& shape, std::size_t degree)
      : limbs(static_cast<std::uint64_t>(level) + 1),
        special(static_cast<std::uint64_t>(shape.special_count)),
        digits(ckks::KeyShape{level, shape.digit_size, shape.special_count}.digits()),
        word_bytes_of_limb(kWordBytes * degree),
        digit_size(shape.digit_size) {}

  // One polynomial into digits over all limbs.
  Cost decompose() const {
    Cost cost;
    cost.ntt_limbs = limbs;
    for (std::uint64_t first = 0; first < limbs; first += static_cast<std::uint64_t>(digit_size)) {
      const std::uint64_t size =
          std::min<std::uint64_t>(static_cast<std::uint64_t>(digit_size), limbs - first);
      const std::uint64_t targets = limbs + special - size;
      cost.ntt_limbs += targets;
      if (size > 1) cost.conversion_limbs += size * targets;  // a single residue is taken as it is
    }
    return cost;
  }
  // Digits times a key.
  Cost multiply() const {
    Cost cost;
    cost.product_limbs = 2 * digits * (limbs + special);
    cost.key_bytes = cost.product_limbs * word_bytes_of_limb;
    return cost;
  }
  // A pair divided by P, or by P q_level.
  Cost divide(bool rescale) const { return division(limbs, special, rescale); }
  // Polynomials times P, permuted and added to others.
  Cost raise(std::uint64_t polys) const { return pointwise(2 * polys * limbs); }
  std::uint64_t extended() const { return limbs + special; }

  static Cost division(std::uint64_t limbs, std::uint64_t special, bool rescale, std::uint64_t polys = 2) {
    const std::uint64_t sources = special + (rescale ? 1 : 0), targets = limbs - (rescale ? 1 : 0);
    Cost cost;
    cost.ntt_limbs = polys * (sources + targets);
    cost.conversion_limbs = polys * sources * targets;
    cost.pointwise_limbs = polys * targets;
    return cost;
  }
  static Cost pointwise(std::uint64_t limbs) {
    Cost cost;
    cost.pointwise_limbs = limbs;
    return cost;
  }
};

// Shape: callable from a rotation step to Result<KeyShape>.
template <class Shape>
Result<Cost> linear_cost_with(const plan::DiagonalIndices& diagonals, plan::BsgsSplit split, int level,
                              std::size_t degree, const Shape& shape_of) {
  const plan::Bsgs bsgs = make_bsgs(diagonals, split);
  const auto limbs = static_cast<std::uint64_t>(level) + 1;
  Cost cost;
  bool hoisted = false;
  ckks::KeyShape last;
  for (const plan::RotationUse& rotation : required_rotations(diagonals, split, level)) {
    TACIT_TRY(last, shape_of(rotation.step));
    const SwitchCounts counts(rotation.level, last, degree);
    switch (rotation.role) {
      case plan::RotationRole::kBaby:
        cost.babies += 1;
        if (!hoisted) cost += counts.decompose();
        hoisted = true;
        cost += counts.multiply();
        cost += counts.raise(1);
        break;
      case plan::RotationRole::kGiant:
        cost.giants += 1;
        cost += SwitchCounts::division(limbs, counts.special, false, 1);
        cost += counts.decompose();
        cost += counts.multiply();
        cost.pointwise_limbs += 2 * counts.extended();
        break;
      case plan::RotationRole::kFold:
        cost.folds += 1;
        cost += counts.decompose();
        cost += counts.multiply();
        cost += counts.divide(false);
        cost.pointwise_limbs += 5 * (limbs - 1);
        break;
    }
  }
  const std::uint64_t products = bsgs.products();
  cost.plaintext_products = products;
  const SwitchCounts counts(level, last, degree);
  cost.product_limbs += 2 * products * counts.extended();
  cost.plaintext_bytes = products * counts.extended() * kWordBytes * degree;
  if (bsgs.rotated_babies() < bsgs.babies.size()) cost += counts.raise(2);
  cost += counts.divide(true);
  cost.pointwise_limbs += limbs - 1;  // the bias
  return cost;
}

}  // namespace

Cost& Cost::operator+=(const Cost& other) {
  babies += other.babies;
  giants += other.giants;
  folds += other.folds;
  plaintext_products += other.plaintext_products;
  ciphertext_products += other.ciphertext_products;
  ntt_limbs += other.ntt_limbs;
  product_limbs += other.product_limbs;
  conversion_limbs += other.conversion_limbs;
  pointwise_limbs += other.pointwise_limbs;
  key_bytes += other.key_bytes;
  plaintext_bytes += other.plaintext_bytes;
  return *this;
}

Cost linear_cost(const plan::DiagonalIndices& diagonals, plan::BsgsSplit split, int level,
                 const ckks::KeyShape& shape, std::size_t degree) {
  return linear_cost_with(diagonals, split, level, degree,
                          [&](std::int64_t) -> Result<ckks::KeyShape> { return shape; })
      .value();
}

Cost key_switch_cost(int level, const ckks::KeyShape& shape, std::size_t degree) {
  const SwitchCounts counts(level, shape, degree);
  Cost cost = counts.decompose();
  cost += counts.multiply();
  cost += counts.divide(false);
  return cost;
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
  const SwitchCounts counts(level, shape, parameters_.degree());
  cost_ += counts.decompose();
  cost_ += counts.multiply();
  cost_ += counts.raise(2);
  cost_ += counts.divide(true);
  cost_ += SwitchCounts::pointwise(5 * counts.limbs);  // four products and a sum
  cost_.ciphertext_products += 1;
  return Vector{level - 1, a.scale * b.scale / prime(level)};
}

Result<CostVector> CostArithmetic::square(const Vector& a) { return multiply(a, a); }

Result<CostVector> CostArithmetic::add(const Vector& a, const Vector& b) {
  const int level = std::min(a.level, b.level);
  cost_.pointwise_limbs += 2 * (static_cast<std::uint64_t>(level) + 1);
  return Vector{level, a.scale};
}

Result<CostVector> CostArithmetic::subtract(const Vector& a, const Vector& b) { return add(a, b); }

Result<CostVector> CostArithmetic::add_scalar(const Vector& a, double) {
  cost_.pointwise_limbs += static_cast<std::uint64_t>(a.level) + 1;
  return a;
}

Result<CostVector> CostArithmetic::double_value(const Vector& a) { return add(a, a); }

Result<CostVector> CostArithmetic::drop(const Vector& a, int level) { return Vector{level, a.scale}; }

Result<CostVector> CostArithmetic::weighted_sum(std::span<const Vector* const> vectors,
                                                std::span<const double>, int target_level,
                                                double target_scale) {
  if (target_level < 0) return Error{ErrorCode::kLevelMismatch, "a sum at level 0 has no level left"};
  const auto limbs = static_cast<std::uint64_t>(target_level) + 2;
  cost_.plaintext_products += vectors.size();
  cost_.pointwise_limbs += 4 * vectors.size() * limbs;
  cost_ += SwitchCounts::division(limbs, 0, true);
  return Vector{target_level, target_scale};
}

Result<CostVector> CostArithmetic::linear(const plan::Linear& operation, const Vector& v) {
  const plan::Value& in = plan_->values[operation.input];
  const plan::Value& out = plan_->values[operation.output];
  const plan::DiagonalIndices diagonals = diagonal_indices(plan_->maps[operation.map], in.layout, in.period,
                                                           out.layout, out.period, plan_->slots);
  TACIT_TRY(const Cost cost, linear_cost_with(diagonals, operation.split, v.level, parameters_.degree(),
                                              [this](std::int64_t step) {
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

double estimate_ms(const Cost& cost, const UnitCosts& unit) {
  return 1e-6 * (static_cast<double>(cost.ntt_limbs) * unit.ntt +
                 static_cast<double>(cost.product_limbs) * unit.product +
                 static_cast<double>(cost.conversion_limbs) * unit.conversion +
                 static_cast<double>(cost.pointwise_limbs) * unit.pointwise);
}

}  // namespace tacit::runtime
