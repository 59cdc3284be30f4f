// SPDX-License-Identifier: Apache-2.0
// The page that Prometheus reads (docs/monitoring.md).
#include "server/log.h"
#include "server/routes/routes.h"

namespace tacit::server {
namespace {

Readings read(const Services& services) {
  Readings readings;
  readings.load = services.executor.load();
  readings.limits = services.executor.limits();
  readings.key_cache_bytes = services.cache.resident_bytes();
  readings.key_cache_capacity = services.cache.capacity();
  readings.key_cache_hits = services.cache.hits();
  readings.key_cache_misses = services.cache.misses();
  // What cannot be read is left out of the page.
  if (const auto jobs = services.jobs.counts(); jobs.ok())
    readings.jobs = *jobs;
  else
    log_error("jobs cannot be counted for the metrics", jobs.error());
  const auto registry = services.models.now();
  for (const ModelState& state : registry->states())
    ++(state.ready ? readings.models_ready : readings.models_unavailable);
  if (const auto space = services.health.space(); space.ok()) readings.space = *space;
  readings.live = hindrances_to_live(services).empty();
  readings.ready = hindrances_to_work(services).empty();
  readings.write_failures = services.health.failures();
  readings.audit_lines = services.audit.lines();
  readings.audit_failures = services.audit.failures();
  return readings;
}

Response page(const Services& services) {
  const std::string text = services.metrics.text(read(services));
  Response response;
  response.fields.add("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  response.fields.add("Cache-Control", "no-store");
  response.body.assign(text.begin(), text.end());
  return response;
}

}  // namespace

void add_metrics_routes(Router& router, const Services& services) {
  router.add({Method::kGet, "/metrics", kScopeMetrics, {}, {}, [&services](const Call&) {
                return Later{[&services](const WorkContext&) { return page(services); }};
              }});
}

}  // namespace tacit::server
