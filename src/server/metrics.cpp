// SPDX-License-Identifier: Apache-2.0
#include "server/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <sstream>

#include "server/metrics_readings.h"

namespace tacit::server {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using Buckets = Histogram::BucketBoundaries;

// In seconds. A prediction takes from milliseconds to minutes.
const Buckets kLong = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300, 600};
const Buckets kLayer = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60};

Family<Counter>& counter(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}
Family<Histogram>& histogram(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

std::string_view outcome_of(const Result<InferenceResult>& result) {
  if (result.ok()) return "success";
  return result.error().code == ErrorCode::kCancelled ? "cancelled" : "failure";
}

}  // namespace

void ModelStatistics::Duration::add(double ms, std::uint64_t times) {
  count += times;
  ns += static_cast<std::uint64_t>(std::max(ms, 0.0) * 1e6);
}

struct Metrics::Counters {
  prometheus::Registry registry;
  Family<Counter>& requests = counter(registry, "tacit_http_requests_total",
                                      "Answered requests; the status is gone where the client was.");
  Family<Histogram>& request_duration = histogram(registry, "tacit_http_request_duration_seconds",
                                                  "From a request's first byte to its answer's last.");
  Counter& received =
      counter(registry, "tacit_http_request_body_bytes_total", "Bytes of bodies that were received.").Add({});
  Counter& sent =
      counter(registry, "tacit_http_response_body_bytes_total", "Bytes of bodies that were sent.").Add({});
  Gauge& open = prometheus::BuildGauge()
                    .Name("tacit_connections_open")
                    .Help("Open connections.")
                    .Register(registry)
                    .Add({});
  Family<Counter>& refused_connections = counter(registry, "tacit_connections_refused_total",
                                                 "Connections that were not served: too many in all, too "
                                                 "many of one address, dropped without a word, no TLS.");
  Family<Counter>& inferences =
      counter(registry, "tacit_inference_requests_total", "Predictions that have ended, by how.");
  Family<Histogram>& queue_duration = histogram(registry, "tacit_inference_queue_duration_seconds",
                                                "How long successful predictions waited for their turn.");
  Family<Histogram>& keys_duration =
      histogram(registry, "tacit_inference_keys_duration_seconds",
                "Bringing evaluation keys into memory, where they were not there.");
  Family<Histogram>& compute_duration =
      histogram(registry, "tacit_inference_compute_duration_seconds", "Running the network.");
  Family<Histogram>& layer_duration =
      histogram(registry, "tacit_layer_duration_seconds", "Running one layer of the network.");
  Family<Counter>& authentication_failures =
      counter(registry, "tacit_authentication_failures_total",
              "Requests without a valid token, or whose token does not allow them.");
  Family<Counter>& quota_refusals =
      counter(registry, "tacit_quota_refusals_total", "Requests beyond what their tenant may have, by what.");
  Family<Counter>& model_reloads =
      counter(registry, "tacit_model_reloads_total", "Times that the models folder was read anew.");
  Family<Counter>& tls_reloads =
      counter(registry, "tacit_tls_reloads_total", "Times that the certificate was read anew.");
  Family<Gauge>& certificate_expiry = prometheus::BuildGauge()
                                          .Name("tacit_tls_certificate_expiry_time_seconds")
                                          .Help("When the certificate in use ends, in seconds since 1970.")
                                          .Register(registry);
  mutable std::mutex mutex;
  std::map<std::string, ModelStatistics> models;  // guarded by mutex
  bool has_certificate = false;                   // guarded by mutex

  // So that a rate can be taken from the first event on.
  Counters() {
    for (const char* reason : {"full", "address", "dropped", "tls"})
      refused_connections.Add({{"reason", reason}});
    for (const char* reason : {"token", "scope"}) authentication_failures.Add({{"reason", reason}});
    for (const char* kind : {"rate", "keys", "jobs", "predictions"}) quota_refusals.Add({{"kind", kind}});
    for (const char* outcome : {"success", "failure"}) {
      model_reloads.Add({{"outcome", outcome}});
      tls_reloads.Add({{"outcome", outcome}});
    }
  }
};

Metrics::Metrics() : counters_(std::make_unique<Counters>()) {}
Metrics::~Metrics() = default;

void Metrics::answered(const AnsweredRequest& request) {
  const std::string route(request.route.empty() ? "none" : request.route);
  const std::string method(to_string(request.method));
  const std::string status = request.status == 0 ? "gone" : std::to_string(request.status);
  Counters& c = *counters_;
  c.requests.Add({{"route", route}, {"method", method}, {"status", status}}).Increment();
  c.request_duration.Add({{"route", route}, {"method", method}}, kLong).Observe(request.seconds);
  c.received.Increment(static_cast<double>(request.received));
  c.sent.Increment(static_cast<double>(request.sent));
}

void Metrics::connection(ConnectionEvent event) {
  const auto refused = [this](const char* reason) {
    counters_->refused_connections.Add({{"reason", reason}}).Increment();
  };
  switch (event) {
    case ConnectionEvent::kOpened:
      return counters_->open.Increment();
    case ConnectionEvent::kClosed:
      return counters_->open.Decrement();
    case ConnectionEvent::kFull:
      return refused("full");
    case ConnectionEvent::kAddressFull:
      return refused("address");
    case ConnectionEvent::kDropped:
      return refused("dropped");
    case ConnectionEvent::kNoTls:
      return refused("tls");
  }
}

void Metrics::certificate(std::optional<std::int64_t> expires) {
  bool first = false;
  {
    const std::lock_guard lock(counters_->mutex);
    first = !counters_->has_certificate;
    counters_->has_certificate = true;
  }
  if (expires) counters_->certificate_expiry.Add({}).Set(static_cast<double>(*expires));
  if (!first) counters_->tls_reloads.Add({{"outcome", expires ? "success" : "failure"}}).Increment();
}

void Metrics::models_reloaded(bool whole) {
  counters_->model_reloads.Add({{"outcome", whole ? "success" : "failure"}}).Increment();
}

void Metrics::authentication_failed(std::string_view reason) {
  counters_->authentication_failures.Add({{"reason", std::string(reason)}}).Increment();
}

void Metrics::quota_refused(std::string_view kind) {
  counters_->quota_refusals.Add({{"kind", std::string(kind)}}).Increment();
}

void Metrics::inference(const std::string& model, std::uint64_t images, double queue_ms, double total_ms,
                        const Result<InferenceResult>& result) {
  Counters& c = *counters_;
  c.inferences.Add({{"model", model}, {"outcome", std::string(outcome_of(result))}}).Increment();
  if (result.ok()) {
    const prometheus::Labels label = {{"model", model}};
    c.queue_duration.Add(label, kLong).Observe(queue_ms / 1000);
    if (result->keys_ms > 0) c.keys_duration.Add(label, kLong).Observe(result->keys_ms / 1000);
    c.compute_duration.Add(label, kLong).Observe(result->compute_ms / 1000);
    for (const InferenceResult::LayerTime& layer : result->layers)
      c.layer_duration.Add({{"model", model}, {"layer", layer.layer}}, kLayer).Observe(layer.ms / 1000);
  }
  const std::lock_guard lock(c.mutex);
  ModelStatistics& statistics = c.models[model];
  statistics.last_inference = now();
  statistics.batch_size = images;
  if (!result.ok()) return statistics.fail.add(queue_ms + total_ms);
  statistics.inference_count += images;
  ++statistics.execution_count;
  statistics.success.add(queue_ms + total_ms);
  statistics.queue.add(queue_ms);
  statistics.compute_input.add(result->keys_ms);
  statistics.compute_infer.add(result->compute_ms);
  statistics.compute_output.add(total_ms - result->keys_ms - result->compute_ms);
}

void Metrics::answered_again(const std::string& model, double ms) {
  const std::lock_guard lock(counters_->mutex);
  counters_->models[model].cache_hit.add(ms);
}

ModelStatistics Metrics::statistics(const std::string& model) const {
  const std::lock_guard lock(counters_->mutex);
  const auto found = counters_->models.find(model);
  return found == counters_->models.end() ? ModelStatistics() : found->second;
}

std::string Metrics::text(const Readings& readings) const {
  std::vector<prometheus::MetricFamily> families = families_of(readings);
  for (prometheus::MetricFamily& family : counters_->registry.Collect())
    if (!family.metric.empty()) families.push_back(std::move(family));
  std::ranges::sort(families, {}, &prometheus::MetricFamily::name);
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return std::move(out).str();
}

}  // namespace tacit::server
