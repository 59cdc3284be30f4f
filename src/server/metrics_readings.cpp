// SPDX-License-Identifier: Apache-2.0
#include "server/metrics_readings.h"

#include "server/log.h"
#include "server/memory_reserve.h"
#include "server/process_info.h"

namespace tacit::server {
namespace {

using Label = prometheus::ClientMetric::Label;
using prometheus::MetricType;

class Families {
 public:
  Families& family(std::string name, std::string help, MetricType type) {
    all_.push_back({std::move(name), std::move(help), type, {}});
    return *this;
  }
  template <class Number>
  Families& value(Number number, std::vector<Label> labels = {}) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    (all_.back().type == MetricType::Counter ? metric.counter.value : metric.gauge.value) =
        static_cast<double>(number);
    all_.back().metric.push_back(std::move(metric));
    return *this;
  }
  template <class Number>
  void gauge(std::string name, std::string help, Number number) {
    family(std::move(name), std::move(help), MetricType::Gauge).value(number);
  }
  template <class Number>
  void counter(std::string name, std::string help, Number number) {
    family(std::move(name), std::move(help), MetricType::Counter).value(number);
  }
  std::vector<prometheus::MetricFamily> take() { return std::move(all_); }

 private:
  std::vector<prometheus::MetricFamily> all_;
};

// Names that every exporter has, so without our prefix.
void add_process(Families& out) {
  const ProcessInfo info = read_process_info();
  out.counter("process_cpu_seconds_total", "Processor time that the process has used, in seconds.",
              info.cpu_seconds);
  out.gauge("process_resident_memory_bytes", "Memory that the process has in RAM.", info.resident_bytes);
  out.gauge("process_virtual_memory_bytes", "Address space of the process.", info.virtual_bytes);
  out.gauge("process_open_fds", "Open file descriptors.", info.open_descriptors);
  out.gauge("process_max_fds", "File descriptors that the process may have open.", info.max_descriptors);
  out.gauge("process_start_time_seconds", "When the process was started, in seconds since 1970.",
            info.start_time);
}

void add_executor(Families& out, const Readings& readings) {
  out.family("tacit_executor_tasks", "Predictions that run, and those that wait in memory for their turn.",
             MetricType::Gauge)
      .value(readings.load.running, {{"state", "running"}})
      .value(readings.load.waiting, {{"state", "waiting"}});
  out.gauge("tacit_executor_waiting_limit", "Predictions that may wait; further ones are refused.",
            readings.limits.waiting);
  out.gauge("tacit_executor_busy_cores", "Cores that running predictions have.", readings.load.cores);
  out.gauge("tacit_executor_cores", "Cores that predictions may have together.", readings.limits.cores);
  out.gauge("tacit_executor_reserved_bytes", "Memory that was given to running predictions.",
            readings.load.bytes);
  out.gauge("tacit_executor_limit_bytes", "Memory that predictions may have together.",
            readings.limits.bytes);
}

void add_state(Families& out, const Readings& readings) {
  if (readings.jobs) {
    out.family("tacit_jobs", "Jobs in the ledger by state; finished ones are kept for a while.",
               MetricType::Gauge)
        .value(readings.jobs->queued, {{"state", "queued"}})
        .value(readings.jobs->running, {{"state", "running"}})
        .value(readings.jobs->awaiting, {{"state", "awaiting_client"}})
        .value(readings.jobs->kept, {{"state", "finished"}});
  }
  if (readings.space) {
    out.gauge("tacit_state_free_bytes", "Space that is left for the state folder.",
              readings.space->free_bytes);
    out.gauge("tacit_state_filesystem_bytes", "Size of the state folder's file system.",
              readings.space->bytes);
  }
  out.counter("tacit_state_write_failures_total", "Writes to the state folder that failed.",
              readings.write_failures);
  out.counter("tacit_audit_lines_total", "Lines written to the audit log.", readings.audit_lines);
  out.counter("tacit_audit_failures_total", "Failed attempts to write the audit log.",
              readings.audit_failures);
}

}  // namespace

std::vector<prometheus::MetricFamily> families_of(const Readings& readings) {
  Families out;
  out.family("tacit_build_info", "Always 1; the labels say what is running.", MetricType::Gauge)
      .value(1, {{"version", TACIT_VERSION}, {"compiler", "gcc " __VERSION__}});
  out.gauge("tacit_live", "1 where the server gets on with its work, as /v2/health/live.", readings.live);
  out.gauge("tacit_ready", "1 where the server takes work, as /v2/health/ready.", readings.ready);
  add_executor(out, readings);
  out.gauge("tacit_key_cache_resident_bytes", "Memory of evaluation keys that are kept for the next use.",
            readings.key_cache_bytes);
  out.gauge("tacit_key_cache_limit_bytes", "Memory that kept evaluation keys may have.",
            readings.key_cache_capacity);
  out.family("tacit_key_cache_requests_total", "Predictions whose keys were in memory, or were not.",
             MetricType::Counter)
      .value(readings.key_cache_hits, {{"outcome", "hit"}})
      .value(readings.key_cache_misses, {{"outcome", "miss"}});
  out.family("tacit_models", "Files of the models folder by whether they are served.", MetricType::Gauge)
      .value(readings.models_ready, {{"state", "ready"}})
      .value(readings.models_unavailable, {{"state", "unavailable"}});
  add_state(out, readings);
  out.counter("tacit_log_lost_lines_total", "Lines of the log that were given up because nobody read them.",
              lost_log_lines());
  out.counter("tacit_memory_reserve_uses_total",
              "Small allocations for which the system had no memory, served from memory put by for them.",
              memory_reserve.uses());
  add_process(out);
  return out.take();
}

}  // namespace tacit::server
