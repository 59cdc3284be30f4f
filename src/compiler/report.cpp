// SPDX-License-Identifier: Apache-2.0
#include "compiler/report.h"

#include <cmath>
#include <utility>

#include "ckks/wire.h"
#include "compiler/splits.h"
#include "plan/stages.h"
#include "runtime/cost.h"

namespace tacit::compiler {

namespace {

std::string kind_of_operation(const plan::Operation& operation) {
  static constexpr const char* kNames[] = {"linear",    "square", "polynomial", "add",
                                           "rescaling", "client", "product"};
  return kNames[operation.index()];
}

// The scale that the plan's last encrypted value has.
double scale_of(const plan::Plan& plan) {
  double scale = plan.values[plan.input].scale;
  for (const plan::Operation& operation : plan.operations)
    if (const plan::Value& value = plan.values[plan::output_of(operation)]; value.level != plan::kClear)
      scale = value.scale;
  return scale;
}

std::uint64_t weights_of(const plan::LinearMap& map) {
  std::uint64_t count = map.bias.size();
  for (const plan::LinearPiece& piece : map.pieces) {
    if (const auto* convolution = std::get_if<plan::Convolution>(&piece))
      count += convolution->weights.size();
    if (const auto* matrix = std::get_if<plan::Matrix>(&piece)) count += matrix->weights.size();
    if (const auto* scaling = std::get_if<plan::Scaling>(&piece)) count += scaling->factor.size();
  }
  return count;
}

// One entry for each input of each client step.
std::vector<ClientView> client_views(const plan::Plan& plan) {
  std::vector<ClientView> views;
  const std::vector<bool> own = made_by_client(plan);
  for (const plan::Operation& operation : plan.operations) {
    const auto* step = std::get_if<plan::ClientStep>(&operation);
    if (step == nullptr) continue;
    std::string function = "sum";
    std::uint64_t weights = 0;
    if (const auto* activation = std::get_if<Activation>(&step->function)) {
      function = name_of(activation->kind);
    } else if (std::holds_alternative<plan::MaxPooling>(step->function)) {
      function = "MaxPool";
    } else if (const auto* linear = std::get_if<plan::ClearLinear>(&step->function)) {
      function = "linear";
      weights = weights_of(linear->map);
    }
    for (plan::ValueId input : step->inputs) {
      // A layer's weights are published once, whatever it reads.
      views.push_back({plan.values[own[input] ? step->output : input].name, function,
                       plan.values[input].layout.shape, !own[input], std::exchange(weights, 0)});
    }
  }
  return views;
}

}  // namespace

Status fill_costs(plan::Package& package) {
  plan::ClientHalf& client = package.client;
  TACIT_TRY(const ckks::Parameters parameters, ckks::Parameters::create(package.plan.parameters));
  TACIT_TRY(const runtime::PlanCost cost, runtime::cost_of(package.plan));
  client.estimated_ms = ckks::estimate_ms(cost.total, ckks::measure_unit_costs(parameters));
  client.rotations = static_cast<std::uint32_t>(cost.total.rotations());
  client.products = static_cast<std::uint32_t>(cost.total.ciphertext_products);
  client.upload_bytes = client.download_bytes = 0;
  std::vector<bool> computed(client.values.size(), false);  // what came from the server goes back as it came
  for (const plan::Request& request : client.requests()) {
    for (std::uint32_t value : request.inputs)
      client.upload_bytes +=
          client.ciphertexts(client.values[value]) *
          (computed[value] ? ckks::ciphertext_bytes(parameters, client.values[value].level)
                           : ckks::seeded_ciphertext_bytes(parameters, client.values[value].level));
    for (std::uint32_t value : request.outputs) {
      computed[value] = true;
      client.download_bytes += client.ciphertexts(client.values[value]) *
                               ckks::ciphertext_bytes(parameters, client.values[value].level);
    }
  }
  client.key_bytes = 0;
  for (const ckks::KeyRequest& key : client.keys) client.key_bytes += ckks::key_bytes(parameters, key.shape);
  return {};
}

Result<Report> describe(const plan::Package& package) {
  const plan::Plan& plan = package.plan;
  const plan::ClientHalf& client = package.client;
  TACIT_TRY(const ckks::Parameters parameters, ckks::Parameters::create(plan.parameters));
  TACIT_TRY(const runtime::PlanCost cost, runtime::cost_of(plan));
  const ckks::UnitCosts unit = fixed_unit_costs(parameters);
  const double total_ms = ckks::estimate_ms(cost.total, unit);

  Report report;
  report.name = client.name;
  report.ring_degree = parameters.degree();
  report.log_qp = parameters.log_modulus();
  report.scale_bits = static_cast<int>(std::lround(std::log2(scale_of(plan))));
  report.levels = cost.levels;
  report.rotations = cost.total.rotations();
  report.products = cost.total.ciphertext_products;
  report.keys = client.keys.size();
  report.key_bytes = client.key_bytes;
  report.upload_bytes = client.upload_bytes;
  report.download_bytes = client.download_bytes;
  report.estimated_ms = client.estimated_ms;
  report.batch = client.batch();
  TACIT_TRY(report.memory, runtime::estimate_memory(plan));
  report.client = client_views(plan);
  for (const plan::Stage& stage : plan::stages_of(plan))
    for (plan::ValueId id : stage.outputs)
      report.results.emplace_back(plan.values[id].name,
                                  runtime::flooding_of(parameters, plan.values[id], id != plan.output,
                                                       {.bits = runtime::kDefaultFloodingBits}));
  for (std::size_t i = 0; i < plan.operations.size(); ++i) {
    const plan::Operation& operation = plan.operations[i];
    const plan::Value& out = plan.values[plan::output_of(operation)];
    const runtime::Cost& spent = cost.operations[i].cost;
    LayerReport layer;
    layer.name = out.name;
    layer.kind = kind_of_operation(operation);
    layer.layout = out.layout;
    layer.period = out.period;
    layer.ciphertexts = ciphertext_count(out.layout, out.period, plan.slots);
    layer.level = plan.values[plan::inputs_of(operation)[0]].level;
    layer.level_after = out.level;
    layer.scale_bits = std::log2(out.scale);
    layer.babies = spent.babies, layer.giants = spent.giants, layer.folds = spent.folds;
    layer.rotations = spent.rotations();
    layer.products = spent.ciphertext_products;
    layer.diagonals = spent.plaintext_products;
    layer.estimated_ms = total_ms == 0 ? 0 : client.estimated_ms * ckks::estimate_ms(spent, unit) / total_ms;
    report.layers.push_back(std::move(layer));
  }
  return report;
}

}  // namespace tacit::compiler
