// SPDX-License-Identifier: Apache-2.0
#include "compiler/emit.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/parallel.h"
#include "compiler/levels.h"
#include "graph/text.h"
#include "plan/key_plan.h"
#include "plan/results.h"

namespace tacit::compiler {

namespace {

constexpr double kLeastRange = 0x1p-40, kLargestRange = 0x1p40;

Result<plan::LinearMap> normalised_map(const Network& network, const Layer& layer,
                                       const Normalisation& normalisation) {
  plan::LinearMap map = std::get_if<LinearLayer>(&layer.operation)->map;
  const double range_in = normalisation.ranges[layer.inputs[0]],
               range_out = normalisation.ranges[layer.output];
  const double offset_in = normalisation.offsets[layer.inputs[0]],
               offset_out = normalisation.offsets[layer.output];
  map.bias.resize(map.out.elements(), 0);
  bool zero = true;
  std::size_t row = 0;
  for (const plan::SparseRow& entries : map.rows()) {
    double sum = 0;
    for (const plan::SparseEntry& entry : entries) sum += entry.value;
    zero = zero && entries.empty();
    map.bias[row] = (offset_in * sum + map.bias[row] - offset_out) / range_out;
    ++row;
  }
  if (zero)
    return Error{
        ErrorCode::kCompileUnsupported,
        "node " + graph::in_quotes(network.values[layer.output].name) +
            " has only zero weights, so that its result does not depend on the image; remove the branch"};
  if (std::all_of(map.bias.begin(), map.bias.end(), [](double b) { return b == 0; })) map.bias.clear();
  map.scale = range_in / range_out;
  return map;
}

// Coefficients of the polynomial from stored numbers to stored numbers.
std::vector<double> stored_coefficients(const PolynomialLayer& layer, double range_in, double range_out,
                                        double offset_out) {
  std::vector<double> c = with_range({layer.range, layer.coefficients}, range_in).coefficients;
  c[0] -= offset_out;
  for (double& x : c) x /= range_out;
  return c;
}

std::vector<double> prime_values(const ckks::Parameters& parameters) {
  std::vector<double> primes;
  for (ring::u64 q : parameters.literal().primes) primes.push_back(static_cast<double>(q));
  return primes;
}

// The client multiplies by these, and plans do not take just any number.
Status check_ranges(const Schedule& schedule) {
  for (ValueIndex v = 0; v < schedule.network.values.size(); ++v) {
    const double range = std::abs(schedule.normalisation.ranges[v]);
    if (range >= kLeastRange && range <= kLargestRange) continue;
    return Error{ErrorCode::kCompilePrecision,
                 "node " + graph::in_quotes(schedule.network.values[v].name) +
                     ": its values would be kept in units of " + std::to_string(range) +
                     ", too far from 1 to be computed with; normalise the network's layers, for "
                     "instance by batch normalisation"};
  }
  return {};
}

// Every ciphertext of a layer's result must depend on the image.
Status check_outputs(const plan::DiagonalIndices& diagonals, const Packing& packing,
                     const std::string& name) {
  std::set<std::uint32_t> outputs;
  for (const ckks::DiagonalIndex& diagonal : diagonals.indices) outputs.insert(diagonal.output);
  if (outputs.size() == ciphertext_count(packing.layout, packing.period, diagonals.slots)) return {};
  return Error{ErrorCode::kCompileUnsupported,
               "node " + graph::in_quotes(name) +
                   " has channels with only zero weights that fill a whole ciphertext, so that it does not "
                   "depend on the image; remove these channels"};
}

}  // namespace

std::size_t Schedule::largest_period() const {
  std::size_t largest = 1;
  for (const Packing& p : packing) largest = std::max(largest, p.period);
  return largest;
}

namespace {

// Where clients take part, the packing of their results with which the layers have fewer diagonals.
Result<std::vector<Packing>> pack_image(Schedule schedule) {
  TACIT_TRY(schedule.packing, pack(schedule.network, ClientPacking::kDense));
  const bool client = std::ranges::any_of(schedule.network.layers, [](const Layer& layer) {
    return std::holds_alternative<ClientLayer>(layer.operation);
  });
  if (!client) return std::move(schedule.packing);
  const auto count = [](const Schedule& s) -> Result<std::size_t> {
    std::size_t products = 0;
    TACIT_TRY(const std::vector<plan::DiagonalIndices> layers, layer_diagonals(s, plan::kMaxSlots));
    for (const plan::DiagonalIndices& layer : layers) products += layer.indices.size();
    return products;
  };
  TACIT_TRY(const std::size_t dense, count(schedule));
  std::vector<Packing> packing = std::move(schedule.packing);
  TACIT_TRY(schedule.packing, pack(schedule.network, ClientPacking::kKept));
  TACIT_TRY(const std::size_t kept, count(schedule));
  return kept < dense ? std::move(schedule.packing) : std::move(packing);
}

}  // namespace

Result<Schedule> make_schedule(Network network, std::span<const Range> calibrated, double margin,
                               PackingStyle style) {
  Schedule schedule;
  schedule.by_elements = style == PackingStyle::kElements;
  schedule.normalisation = normalise(network, calibrated, margin);
  schedule.network = std::move(network);
  TACIT_TRY(schedule.levels, assign_levels(schedule.network));
  TACIT_CHECK(check_ranges(schedule));
  for (ValueIndex v = 0; v < schedule.network.values.size(); ++v) {
    const double largest =
        calibrated_size(schedule.network, v, schedule.normalisation.offsets[v], calibrated);
    schedule.bounds.push_back(std::max(largest / std::abs(schedule.normalisation.ranges[v]), 0x1p-40));
  }
  for (const Layer& layer : schedule.network.layers)
    if (std::holds_alternative<LinearLayer>(layer.operation)) {
      TACIT_TRY(plan::LinearMap map, normalised_map(schedule.network, layer, schedule.normalisation));
      schedule.maps.push_back(std::move(map));
    }
  TACIT_TRY(schedule.packing, schedule.by_elements ? pack_elements(schedule.network) : pack_image(schedule));
  return schedule;
}

Result<std::vector<plan::DiagonalIndices>> layer_diagonals(const Schedule& schedule, std::size_t slots) {
  const Network& network = schedule.network;
  std::vector<const Layer*> layers;
  for (const Layer& layer : network.layers)
    if (std::holds_alternative<LinearLayer>(layer.operation)) layers.push_back(&layer);
  std::vector<plan::DiagonalIndices> diagonals(layers.size());
  parallel_for(layers.size(), [&](std::size_t i) {
    const Packing &in = schedule.packing[layers[i]->inputs[0]], &out = schedule.packing[layers[i]->output];
    diagonals[i] =
        plan::diagonal_indices(schedule.maps[i], in.layout, in.period, out.layout, out.period, slots);
  });
  for (std::size_t i = 0; i < layers.size(); ++i)
    TACIT_CHECK(check_outputs(diagonals[i], schedule.packing[layers[i]->output],
                              network.values[layers[i]->output].name));
  return diagonals;
}

std::vector<LinearUse> linear_uses(const Schedule& schedule,
                                   std::span<const plan::DiagonalIndices> diagonals) {
  std::vector<LinearUse> uses;
  if (schedule.by_elements) return uses;
  for (const Layer& layer : schedule.network.layers)
    if (std::holds_alternative<LinearLayer>(layer.operation))
      uses.push_back({&diagonals[uses.size()], schedule.levels[layer.inputs[0]]});
  return uses;
}

Result<plan::Plan> make_plan(const Schedule& schedule, const ckks::Parameters& parameters, double scale,
                             const KeyGoal& keys, std::span<const plan::DiagonalIndices> diagonals) {
  const Network& network = schedule.network;
  const Normalisation& normalisation = schedule.normalisation;
  plan::Plan plan;
  plan.parameters = parameters.literal();
  plan.slots = schedule.by_elements ? 1 : parameters.slots();
  plan.maps = schedule.maps;
  const std::vector<double> scales = assign_scales(network, schedule.levels, prime_values(parameters), scale);

  // Values in the order in which they are made.
  std::vector<plan::ValueId> ids(network.values.size(), 0);
  const auto add_value = [&](ValueIndex v) {
    ids[v] = static_cast<plan::ValueId>(plan.values.size());
    plan.values.push_back({printable(network.values[v].name, 200), schedule.packing[v].layout,
                           schedule.packing[v].period, schedule.levels[v], scales[v], schedule.bounds[v],
                           normalisation.ranges[v]});
    return ids[v];
  };
  plan.input = add_value(network.input);
  std::uint32_t next_map = 0;
  for (const Layer& layer : network.layers) {
    const ValueIndex in = layer.inputs[0], out = layer.output;
    const plan::ValueId input = ids[in], output = add_value(out);
    if (std::holds_alternative<LinearLayer>(layer.operation)) {
      plan.operations.push_back(plan::Linear{input, output, next_map++, {}});
    } else if (std::holds_alternative<SquareLayer>(layer.operation)) {
      plan.operations.push_back(plan::Square{input, output});
    } else if (const auto* polynomial = std::get_if<PolynomialLayer>(&layer.operation)) {
      plan.operations.push_back(
          plan::Polynomial{input, output,
                           stored_coefficients(*polynomial, normalisation.ranges[in],
                                               normalisation.ranges[out], normalisation.offsets[out])});
    } else if (std::holds_alternative<AddLayer>(layer.operation)) {
      plan.operations.push_back(plan::Add{input, ids[layer.inputs[1]], output});
    } else if (std::holds_alternative<ProductLayer>(layer.operation)) {
      plan.operations.push_back(plan::Product{input, ids[layer.inputs[1]], output});
    } else if (const auto* client = std::get_if<ClientLayer>(&layer.operation)) {
      plan::ClientStep step{{}, output, client->function};
      for (ValueIndex v : layer.inputs) step.inputs.push_back(ids[v]);
      plan.operations.push_back(std::move(step));
    } else {
      plan.operations.push_back(
          plan::Rescaling{input, output, normalisation.ranges[in] / normalisation.ranges[out]});
    }
  }
  plan.output = ids[network.output];

  const Splits splits =
      choose_splits(parameters, linear_uses(schedule, diagonals), plan::relinearisation_level(plan), keys);
  std::size_t next = 0;
  for (plan::Operation& operation : plan.operations)
    if (auto* linear = std::get_if<plan::Linear>(&operation); linear != nullptr && !schedule.by_elements)
      linear->split = splits.splits[next++];
  plan.keys = splits.keys;
  plan::add_zero_key(parameters, plan);
  return plan;
}

Status check_plan(const plan::Plan& plan) {
  const Status status = plan.validate();
  if (status.ok()) return {};
  // Memory limits of a plan are the network's fault, anything else is ours.
  if (status.error().code == ErrorCode::kDataTooLarge)
    return Error{ErrorCode::kCompileTooWide,
                 status.error().message + "; use fewer channels, smaller images or smaller dense layers"};
  return Error{ErrorCode::kCompileInternal, "the plan is not valid: " + status.error().message};
}

}  // namespace tacit::compiler
