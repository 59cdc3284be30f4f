// SPDX-License-Identifier: Apache-2.0
#include "runtime/clear.h"

#include <algorithm>

namespace tacit::runtime {

PreparedLinear prepare_linear(const plan::Plan& plan, const plan::Linear& operation) {
  const plan::Value& in = plan.values[operation.input];
  const plan::Value& out = plan.values[operation.output];
  const plan::LinearMap& map = plan.maps[operation.map];
  PreparedLinear prepared;
  prepared.bias = bias_slots(map, out.layout, out.period);
  if (plan.slots == 1) {
    prepared.rows = map.rows();
    return prepared;
  }
  const plan::Diagonals diagonals =
      make_diagonals(map, in.layout, in.period, out.layout, out.period, plan.slots);
  const plan::DiagonalIndices indices = diagonals.indices();
  prepared.bsgs = make_bsgs(indices, operation.split);
  if (operation.split.chained) {
    prepared.tables = make_tables(plan, operation, indices);
    prepared.chains = make_chains(indices, prepared.bsgs, *prepared.tables);
  }
  const auto shift = static_cast<std::int64_t>(prepared.bsgs.shift);
  for (const ckks::BsgsGroup& group : prepared.bsgs.groups)
    for (const ckks::BsgsTerm& term : group.terms) {
      const auto [input, step] = prepared.bsgs.babies[term.baby];
      const auto plaintext = [&](std::optional<std::size_t> index, std::int64_t rotation) {
        if (!index) return std::vector<double>();
        return bsgs_plaintext(diagonals, rotation, group.giant, {group.output, input, *index});
      };
      prepared.terms.push_back({plaintext(term.direct, step), plaintext(term.shifted, step + shift)});
    }
  prepared.folds = diagonals.folds;
  return prepared;
}

namespace {

Status check_same_scale(const ClearVector& a, const ClearVector& b) {
  if (ckks::same_scale(a.scale, b.scale)) return {};
  return Error{ErrorCode::kScaleMismatch, "two values of scales " + std::to_string(a.scale) + " and " +
                                              std::to_string(b.scale) + " cannot be added"};
}

Status check_level_above(const ClearVector& a, int level) {
  if (a.level > level && level >= 0) return {};
  return Error{ErrorCode::kLevelMismatch, "an operation that ends at level " + std::to_string(level) +
                                              " was given a value at level " + std::to_string(a.level)};
}

// Two vectors combined slot by slot, at the lower level.
template <class F>
ClearVector combine(const ClearVector& a, const ClearVector& b, double scale, const F& f) {
  ClearVector result{std::vector<double>(a.slots.size()), std::min(a.level, b.level), scale};
  std::transform(a.slots.begin(), a.slots.end(), b.slots.begin(), result.slots.begin(), f);
  return result;
}

template <class F>
ClearVector map_slots(const ClearVector& a, const F& f) {
  ClearVector result{std::vector<double>(a.slots.size()), a.level, a.scale};
  std::transform(a.slots.begin(), a.slots.end(), result.slots.begin(), f);
  return result;
}

}  // namespace

std::vector<double> rotate(std::span<const double> in, std::int64_t step) {
  const auto n = static_cast<std::int64_t>(in.size());
  const auto offset = static_cast<std::size_t>((step % n + n) % n);
  std::vector<double> out(in.size());
  std::rotate_copy(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(offset), in.end(), out.begin());
  return out;
}

void add_product(std::span<double> sum, std::span<const double> periodic, std::span<const double> x) {
  for (std::size_t base = 0; base < sum.size(); base += periodic.size())
    for (std::size_t t = 0; t < periodic.size(); ++t) sum[base + t] += periodic[t] * x[base + t];
}

void add_repeated(std::span<double> sum, std::span<const double> periodic) {
  for (std::size_t base = 0; base < sum.size(); base += periodic.size())
    for (std::size_t t = 0; t < periodic.size(); ++t) sum[base + t] += periodic[t];
}

std::span<const double> ClearArithmetic::slots_of(const Vector& v, std::size_t ciphertext) const {
  return std::span(v.slots).subspan(ciphertext * plan_->slots, plan_->slots);
}

std::vector<double> ClearArithmetic::sum_groups(const PreparedLinear& layer,
                                                std::span<const RotatedBaby> babies,
                                                const GroupObserver& observe) const {
  const std::size_t n = plan_->slots;
  std::vector<double> result(layer.bsgs.outputs() * n, 0);
  std::size_t next = 0;
  for (const ckks::BsgsGroup& group : layer.bsgs.groups) {
    std::vector<double> sum(n, 0);
    for (const ckks::BsgsTerm& term : group.terms) {
      const PreparedTerm& prepared = layer.terms[next++];
      if (term.direct) add_product(sum, prepared.direct, babies[term.baby].direct);
      if (term.shifted) add_product(sum, prepared.shifted, babies[term.baby].shifted);
    }
    sum = rotate(sum, group.giant);
    observe(sum, group.giant);
    add_repeated(std::span(result).subspan(group.output * n, n), sum);
  }
  return result;
}

std::vector<double> ClearArithmetic::multiply_rows(const PreparedLinear& layer,
                                                   std::span<const double> x) const {
  std::vector<double> result;
  for (const plan::SparseRow& row : layer.rows) {
    double sum = layer.bias[result.size()];
    for (const plan::SparseEntry& entry : row) sum += entry.value * x[entry.column];
    result.push_back(sum);
  }
  return result;
}

void ClearArithmetic::add_bias(const PreparedLinear& layer, std::span<double> slots) const {
  if (layer.bias.size() <= plan_->slots) {
    add_repeated(slots, layer.bias);
  } else {
    for (std::size_t t = 0; t < slots.size(); ++t) slots[t] += layer.bias[t];
  }
}

ClearArithmetic::ClearArithmetic(const plan::Plan& plan) : plan_(&plan) {
  auto prepared = std::make_shared<std::vector<PreparedLinear>>(plan.values.size());
  for (const plan::Operation& operation : plan.operations)
    if (const auto* linear = std::get_if<plan::Linear>(&operation))
      (*prepared)[linear->output] = prepare_linear(plan, *linear);
  prepared_ = std::move(prepared);
}

ClearVector ClearArithmetic::encrypt(std::vector<double> slots, int level, double scale, std::size_t) {
  return {std::move(slots), level, scale};
}

ClearVector ClearArithmetic::input(std::vector<double> slots) {
  const plan::Value& value = plan_->values[plan_->input];
  return encrypt(std::move(slots), value.level, value.scale, value.period);
}

double ClearArithmetic::prime(int level) const {
  return static_cast<double>(plan_->parameters.primes[static_cast<std::size_t>(level)]);
}

const PreparedLinear& ClearArithmetic::prepared(const plan::Linear& operation) const {
  return (*prepared_)[operation.output];
}

Result<ClearVector> ClearArithmetic::multiply(const Vector& a, const Vector& b) {
  const int level = std::min(a.level, b.level);
  TACIT_CHECK(check_level_above(level == a.level ? a : b, level - 1));
  ClearVector result =
      combine(a, b, a.scale * b.scale / prime(level), [](double x, double y) { return x * y; });
  result.level = level - 1;
  return result;
}

Result<ClearVector> ClearArithmetic::square(const Vector& a) { return multiply(a, a); }

Result<ClearVector> ClearArithmetic::add(const Vector& a, const Vector& b) {
  TACIT_CHECK(check_same_scale(a, b));
  return combine(a, b, a.scale, [](double x, double y) { return x + y; });
}

Result<ClearVector> ClearArithmetic::subtract(const Vector& a, const Vector& b) {
  TACIT_CHECK(check_same_scale(a, b));
  return combine(a, b, a.scale, [](double x, double y) { return x - y; });
}

Result<ClearVector> ClearArithmetic::add_scalar(const Vector& a, double c) {
  return map_slots(a, [c](double x) { return x + c; });
}

Result<ClearVector> ClearArithmetic::double_value(const Vector& a) {
  return map_slots(a, [](double x) { return x + x; });
}

Result<ClearVector> ClearArithmetic::drop(const Vector& a, int level) {
  if (level < 0 || level > a.level)
    return Error{ErrorCode::kLevelMismatch, "a value at level " + std::to_string(a.level) +
                                                " cannot be brought to level " + std::to_string(level)};
  ClearVector result = a;
  result.level = level;
  return result;
}

Result<ClearVector> ClearArithmetic::weighted_sum(std::span<const Vector* const> vectors,
                                                  std::span<const double> coefficients, int target_level,
                                                  double target_scale) {
  if (vectors.empty()) return Error{ErrorCode::kInternal, "a weighted sum of no vectors"};
  ClearVector result{std::vector<double>(vectors[0]->slots.size(), 0), target_level, target_scale};
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    TACIT_CHECK(check_level_above(*vectors[i], target_level));
    add_product(result.slots, std::span(&coefficients[i], 1), vectors[i]->slots);
  }
  return result;
}

Result<ClearVector> ClearArithmetic::linear(const plan::Linear& operation, const Vector& v) {
  const plan::Value& in = plan_->values[operation.input];
  const plan::Value& out = plan_->values[operation.output];
  if (v.level != in.level) return Error{ErrorCode::kLevelMismatch, "a linear layer was given another level"};
  TACIT_CHECK(check_level_above(v, out.level));
  const PreparedLinear& layer = prepared(operation);
  if (plan_->slots == 1) return ClearVector{multiply_rows(layer, v.slots), out.level, out.scale};
  const auto shift = static_cast<std::int64_t>(layer.bsgs.shift);
  std::vector<RotatedBaby> babies;
  for (const auto& [input, step] : layer.bsgs.babies) {
    const std::span<const double> part = slots_of(v, input);
    babies.push_back({rotate(part, step), shift == 0 ? std::vector<double>() : rotate(part, step + shift)});
  }
  ClearVector result{sum_groups(layer, babies, [](std::vector<double>&, std::int64_t) {}), out.level,
                     out.scale};
  for (std::size_t fold : layer.folds)
    add_repeated(result.slots, rotate(result.slots, static_cast<std::int64_t>(fold)));
  add_bias(layer, result.slots);
  return result;
}

Result<ClearVector> ClearArithmetic::rescaling(const Vector& v, double factor, double target_scale) {
  const Vector* const vectors[] = {&v};
  return weighted_sum(vectors, std::span(&factor, 1), v.level - 1, target_scale);
}

}  // namespace tacit::runtime
