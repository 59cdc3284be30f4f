// SPDX-License-Identifier: Apache-2.0
// The walk over a plan's schedule, written once for every kind of arithmetic: plain doubles, simulated noise, costs,
// ciphertexts.
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "ckks/chebyshev.h"
#include "ckks/evaluator.h"
#include "plan/stages.h"
#include "runtime/model.h"

namespace tacit::runtime {

// What the walk asks of an arithmetic beyond ckks::ChebyshevArithmetic:
//   linear(operation, v)                   the layer with folds and bias, one level down, at exactly the scale of the
//                                          plan's output value
//   rescaling(v, factor, target_scale)     v * factor, one level down, at exactly target_scale
template <class A>
concept PlanArithmetic = ckks::ChebyshevArithmetic<A> &&
    requires(A& a, const typename A::Vector& v, const plan::Linear& linear, double factor, double scale) {
  { a.linear(linear, v) } -> std::same_as<Result<typename A::Vector>>;
  { a.rescaling(v, factor, scale) } -> std::same_as<Result<typename A::Vector>>;
};

// Called with each value as soon as it is there, the input first.
template <class Vector>
using Observer = std::function<void(plan::ValueId, const Vector&)>;

namespace detail {

// kLevelMismatch or kScaleMismatch unless `v` has the level and scale that the plan gives to `value`.
template <class A>
Status check_value(const plan::Value& value, const A& arithmetic, const typename A::Vector& v) {
  if (arithmetic.level(v) != value.level)
    return Error{ErrorCode::kLevelMismatch, "value \"" + value.name + "\" is at level " +
                                                std::to_string(arithmetic.level(v)) +
                                                ", the plan has it at level " + std::to_string(value.level)};
  if (!ckks::same_scale(arithmetic.scale(v), value.scale))
    return Error{ErrorCode::kScaleMismatch, "value \"" + value.name + "\" has scale " +
                                                std::to_string(arithmetic.scale(v)) + ", the plan gives it " +
                                                std::to_string(value.scale)};
  return {};
}

template <class A>
Result<typename A::Vector> apply(const plan::Plan& plan, A& arithmetic, const plan::Operation& operation,
                                 const std::vector<std::optional<typename A::Vector>>& values) {
  using Vector = typename A::Vector;
  const plan::Value& target = plan.values[plan::output_of(operation)];
  if (const auto* linear = std::get_if<plan::Linear>(&operation))
    return arithmetic.linear(*linear, *values[linear->input]);
  if (const auto* square = std::get_if<plan::Square>(&operation))
    return arithmetic.square(*values[square->input]);
  if (const auto* polynomial = std::get_if<plan::Polynomial>(&operation))
    return ckks::evaluate_chebyshev(arithmetic, *values[polynomial->input],
                                    std::span<const double>(polynomial->coefficients), target.level,
                                    target.scale);
  if (const auto* add = std::get_if<plan::Add>(&operation)) {
    TACIT_TRY(Vector sum, arithmetic.add(*values[add->left], *values[add->right]));
    if (arithmetic.level(sum) == target.level) return sum;
    return arithmetic.drop(sum, target.level);
  }
  if (const auto* product = std::get_if<plan::Product>(&operation))
    return arithmetic.multiply(*values[product->left], *values[product->right]);
  const auto& rescaling = *std::get_if<plan::Rescaling>(&operation);
  return arithmetic.rescaling(*values[rescaling.input], rescaling.factor, target.scale);
}

}  // namespace detail

// What one stage of the plan makes (Stage::outputs) from what it takes (Stage::inputs), each with its value's level and scale.
// The plan must be valid. Each value is freed after its last use. kCancelled where `progress` returns false; errors of
// the arithmetic carry the name of the value that could not be made.
template <PlanArithmetic A>
Result<std::vector<typename A::Vector>> execute_stage(
    const plan::Plan& plan, const plan::Stage& stage, A& arithmetic, std::vector<typename A::Vector> inputs,
    const Progress& progress = {}, const Observer<std::type_identity_t<typename A::Vector>>& observer = {}) {
  using Vector = typename A::Vector;
  const std::size_t total = stage.operations.size();
  std::vector<std::size_t> last_use(plan.values.size(), total);
  for (std::size_t i = 0; i < total; ++i)
    for (plan::ValueId id : plan::inputs_of(plan.operations[stage.operations[i]])) last_use[id] = i;
  for (plan::ValueId id : stage.outputs) last_use[id] = total;

  std::vector<std::optional<Vector>> values(plan.values.size());
  for (std::size_t i = 0; i < stage.inputs.size(); ++i) {
    const plan::ValueId id = stage.inputs[i];
    TACIT_CHECK(detail::check_value(plan.values[id], arithmetic, inputs[i]));
    values[id] = std::move(inputs[i]);
    if (observer) observer(id, *values[id]);
  }
  for (std::size_t i = 0; i < total; ++i) {
    if (progress && !progress(i, total)) return Error{ErrorCode::kCancelled, "the run was cancelled"};
    const plan::Operation& operation = plan.operations[stage.operations[i]];
    const plan::ValueId id = plan::output_of(operation);
    Result<Vector> made = detail::apply(plan, arithmetic, operation, values);
    if (!made.ok()) return std::move(made).error().within(plan.values[id].name);
    TACIT_CHECK(detail::check_value(plan.values[id], arithmetic, *made));
    for (plan::ValueId used : plan::inputs_of(operation))
      if (last_use[used] == i) values[used].reset();
    values[id] = std::move(made).value();
    if (observer) observer(id, *values[id]);
  }
  if (progress && !progress(total, total)) return Error{ErrorCode::kCancelled, "the run was cancelled"};
  std::vector<Vector> outputs;
  for (plan::ValueId id : stage.outputs) outputs.push_back(std::move(*values[id]));
  return outputs;
}

// The output of a plan without client steps.
template <PlanArithmetic A>
Result<typename A::Vector> execute(const plan::Plan& plan, A& arithmetic, typename A::Vector input,
                                   const Progress& progress = {},
                                   const Observer<std::type_identity_t<typename A::Vector>>& observer = {}) {
  const std::vector<plan::Stage> stages = plan::stages_of(plan);
  if (stages.size() != 1 || stages[0].inputs.size() != 1 || stages[0].outputs.size() != 1)
    return Error{ErrorCode::kInternal, "a plan with client steps is run stage by stage"};
  std::vector<typename A::Vector> inputs;
  inputs.push_back(std::move(input));
  TACIT_TRY(std::vector<typename A::Vector> outputs,
            execute_stage(plan, stages[0], arithmetic, std::move(inputs), progress, observer));
  return std::move(outputs.front());
}

}  // namespace tacit::runtime
