// SPDX-License-Identifier: Apache-2.0
// The statistics extension of the Open Inference Protocol (protocol/statistics.md). They tell what all tenants do together, so
// they take the scope of the metrics.
#include "server/json.h"
#include "server/routes/routes.h"

namespace tacit::server {
namespace {

Json duration(const ModelStatistics::Duration& duration) {
  return {{"count", duration.count}, {"ns", duration.ns}};
}

Json statistics_of(const Services& services, const std::string& name) {
  const ModelStatistics statistics = services.metrics.statistics(name);
  Json batches = Json::array();
  if (statistics.execution_count > 0)
    batches.push_back({{"batch_size", statistics.batch_size},
                       {"compute_input", duration(statistics.compute_input)},
                       {"compute_infer", duration(statistics.compute_infer)},
                       {"compute_output", duration(statistics.compute_output)}});
  return {{"name", name},
          {"version", std::string(kModelVersion)},
          {"last_inference", statistics.last_inference},
          {"inference_count", statistics.inference_count},
          {"execution_count", statistics.execution_count},
          {"inference_stats",
           {{"success", duration(statistics.success)},
            {"fail", duration(statistics.fail)},
            {"queue", duration(statistics.queue)},
            {"compute_input", duration(statistics.compute_input)},
            {"compute_infer", duration(statistics.compute_infer)},
            {"compute_output", duration(statistics.compute_output)},
            {"cache_hit", duration(statistics.cache_hit)}}},
          {"batch_stats", batches}};
}

Outcome of_all(const Services& services) {
  Json list = Json::array();
  const auto registry = services.models.now();
  for (const auto& [name, served] : registry->models()) list.push_back(statistics_of(services, name));
  return json_response(200, {{"model_stats", list}});
}

Outcome of_one(const Services& services, const Call& call) {
  const auto served = model_of(services, call.path);
  if (!served.ok()) return served.error();
  return json_response(200,
                       {{"model_stats", Json::array({statistics_of(services, (*served)->model->name())})}});
}

}  // namespace

void add_statistics_routes(Router& router, const Services& services) {
  router.add({Method::kGet, "/v2/models/stats", kScopeMetrics, {}, {}, [&services](const Call&) {
                return of_all(services);
              }});
  add_model_endpoint(router, "/stats",
                     {Method::kGet, {}, kScopeMetrics, {}, {}, [&services](const Call& call) {
                        return of_one(services, call);
                      }});
}

}  // namespace tacit::server
