// SPDX-License-Identifier: Apache-2.0
// The server without its sockets: models, keys, routes, and the pools that do the work.
#pragma once

#include <atomic>
#include <filesystem>

#include "server/audit.h"
#include "server/executor.h"
#include "server/gate.h"
#include "server/inference_quota.h"
#include "server/job_pool.h"
#include "server/jobs.h"
#include "server/limits.h"
#include "server/metrics.h"
#include "server/model_registry.h"
#include "server/retention.h"
#include "server/router.h"
#include "server/service.h"
#include "server/services.h"
#include "server/state/state.h"
#include "server/state_health.h"

namespace tacit::server {

struct ApplicationOptions {
  std::filesystem::path models;
  std::filesystem::path state;
  std::uint64_t max_body_bytes = kMaxBodyBytes;
  std::uint64_t max_body_bytes_in_flight = 0;  // 0: an eighth of the memory that there is
  std::uint64_t key_cache_bytes = 0;           // 0: an eighth
  std::size_t max_waiting_inferences = kMaxInferenceJobs;
  std::size_t cores = 0;  // for predictions; 0: all that there are
  // For keys and ciphertexts of predictions that run; 0: half of what there is.
  std::uint64_t memory_bytes = 0;
  std::uint64_t max_jobs = kMaxJobs;  // of all tenants, not finished; 0: any number
  Quota quota;                        // of each tenant
  runtime::FloodingOptions flooding;  // of results
  std::chrono::milliseconds keep_results{std::chrono::hours(1)};
  std::chrono::milliseconds keep_idle_keys{0};  // 0: for ever
  std::chrono::milliseconds max_silence =
      kMaxSilence;  // of a prediction, until the server is not live any more
  bool audit = true;
  std::uint64_t audit_keep_bytes = std::uint64_t{256} << 20;  // 0: all
  std::string configuration;                                  // digest of what was set, for the audit log
};

class Application final : public Service {
 public:
  // Loads the models and opens the state. Errors of ModelRegistry::load and State::open.
  static Result<std::unique_ptr<Application>> create(const ApplicationOptions& options);
  // With models that are loaded already; `options.models` is not used.
  static Result<std::unique_ptr<Application>> create(ModelRegistry models, const ApplicationOptions& options);
  ~Application() override;

  std::variant<Response, std::shared_ptr<Exchange>> open(RequestHead head) override;
  // From now on the server says that it is not ready, begins no job, and runs that are stopped say why.
  void announce_stop();
  // Reads the models folder anew, without dropping a request. Errors of ModelRegistry::load; the models stay then.
  Status reload_models();
  // The same as the operator's wish: what fails is logged.
  void reload() override;
  // The last line of the audit log: the server ends, with a run that had to be left where not `whole`.
  void note_end(bool whole);
  std::string_view route_of(Method method, std::string_view target) const override;
  void answered(const AnsweredRequest& request) override { metrics_.answered(request); }
  void on_connection(ConnectionEvent event) override { metrics_.connection(event); }
  void on_certificate(std::optional<std::int64_t> expires) override { metrics_.certificate(expires); }
  const Router& router() const { return router_; }
  // Whether anybody may do anything, because there is no token.
  bool is_open() const { return gate_->is_open(); }

 private:
  friend class RouteExchange;
  Application(ModelRegistry models, std::unique_ptr<State> state, std::unique_ptr<Audit> audit,
              const ApplicationOptions& options);
  Status note_start(const ApplicationOptions& options);
  void warn_of_large_models() const;
  Response refuse(const Error& error, const RequestHead& head, std::string_view instance,
                  std::string_view route);
  bool reserve(std::uint64_t bytes);
  void release(std::uint64_t bytes) { in_flight_ -= bytes; }

  Metrics metrics_;
  StateHealth health_;
  ModelShelf models_;
  std::unique_ptr<State> state_;
  std::unique_ptr<Audit> audit_;
  std::unique_ptr<Gate> gate_;
  KeyStore keys_;
  KeyCache cache_;
  Executor executor_;
  Jobs jobs_;
  InferenceQuota inference_quota_;
  Retention retention_;
  std::atomic<bool> stopping_ = false;
  const std::uint64_t max_in_flight_;
  std::atomic<std::uint64_t> in_flight_ = 0;
  Services services_;
  Router router_;
  // Last, so that their threads end before what they work with.
  JobPool blocking_;
};

// What every request must keep, whatever its route: number of fields, Host, no Transfer-Encoding, no Content-Encoding,
// nothing expected but 100-continue.
Status check_head(const RequestHead& head);

}  // namespace tacit::server
