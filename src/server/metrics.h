// SPDX-License-Identifier: Apache-2.0
// What the server counts and measures, and the page that Prometheus reads (text format 0.0.4). Labels are routes, models, layers and
// kinds: never a tenant, a key, a job or a request.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/binary_tensor.h"
#include "server/executor.h"
#include "server/service.h"
#include "server/state/queue.h"
#include "server/state_health.h"

namespace tacit::server {

// A model's counters since the server's start, as the protocol's statistics extension has them (protocol/statistics.md).
struct ModelStatistics {
  struct Duration {
    std::uint64_t count = 0, ns = 0;
    void add(double ms, std::uint64_t times = 1);
  };
  Time last_inference = 0;            // milliseconds since 1970
  std::uint64_t inference_count = 0;  // images of successful requests, empty places of a batch included
  std::uint64_t execution_count = 0;  // successful runs
  std::uint64_t batch_size = 1;       // of each run
  Duration success, fail, queue, compute_input, compute_infer, compute_output, cache_hit;
};

// What is not counted but looked at when somebody asks.
struct Readings {
  Executor::Load load;
  Executor::Limits limits;
  std::uint64_t key_cache_bytes = 0, key_cache_capacity = 0, key_cache_hits = 0, key_cache_misses = 0;
  std::optional<QueueCounts> jobs;
  std::size_t models_ready = 0, models_unavailable = 0;
  std::optional<StateHealth::Space> space;
  std::uint64_t write_failures = 0;
  std::uint64_t audit_lines = 0, audit_failures = 0;
  bool live = true, ready = true;
};

// All functions may be called from several threads at once.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void answered(const AnsweredRequest& request);
  void connection(ConnectionEvent event);
  // `expires` in seconds since 1970; nothing where the files could not be used.
  void certificate(std::optional<std::int64_t> expires);
  void models_reloaded(bool whole);
  // `reason`: "token", "scope". `kind`: "rate", "keys", "jobs", "predictions".
  void authentication_failed(std::string_view reason);
  void quota_refused(std::string_view kind);

  // A run of a model for `images` images (places of its batch) that took `total_ms` after waiting for `queue_ms`.
  void inference(const std::string& model, std::uint64_t images, double queue_ms, double total_ms,
                 const Result<InferenceResult>& result);
  // A request that was answered with the stored result of an earlier one.
  void answered_again(const std::string& model, double ms);
  // All zeros where nothing has run yet.
  ModelStatistics statistics(const std::string& model) const;

  // The page.
  std::string text(const Readings& readings) const;

 private:
  struct Counters;
  const std::unique_ptr<Counters> counters_;
};

}  // namespace tacit::server
