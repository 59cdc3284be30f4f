// SPDX-License-Identifier: Apache-2.0
// Who did what, for those who must be able to tell later (docs/monitoring.md, "Audit log"). Lines hold names, identifiers, digests, sizes
// and codes; never a token's secret, bytes of keys or of ciphertexts.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "server/audit_file.h"
#include "server/endpoint.h"
#include "server/model_registry.h"

namespace tacit::server {

// All functions may be called from several threads at once.
class Audit {
 public:
  // Errors of AuditFile::open.
  static Result<std::unique_ptr<Audit>> open(const std::filesystem::path& folder, std::uint64_t keep_bytes);
  // One that writes nothing.
  static std::unique_ptr<Audit> none() { return std::unique_ptr<Audit>(new Audit(nullptr)); }
  // Writes what is left.
  ~Audit();
  Audit(const Audit&) = delete;
  Audit& operator=(const Audit&) = delete;

  // Durable when it returns. Errors of AuditFile::append.
  Status record(Json event);
  // The same for the last line: everything that waits comes before it.
  Status record_last(Json event);
  // Durable within about a second, together with others; given up, and counted, where the disk takes nothing for long.
  void record_soon(Json event);
  // A request without a valid token: a line at once, then for those that follow one a minute with their number, so that nobody fills the
  // disk, or pushes older lines out, by asking.
  void refused(const Error& error, std::string_view request_id);

  std::uint64_t lines() const { return lines_; }
  std::uint64_t failures() const { return failures_; }

 private:
  using Clock = std::chrono::steady_clock;
  explicit Audit(std::unique_ptr<AuditFile> file);
  Status flush(std::vector<Json> more);
  void write_in_groups();

  const std::unique_ptr<AuditFile> file_;
  std::mutex writing_;  // held while lines are taken out and written, so that they stay in order
  std::mutex mutex_;
  std::condition_variable woken_;
  std::vector<Json> waiting_;
  std::uint64_t lost_ = 0;
  std::uint64_t refused_ = 0;  // not yet told
  std::string refused_request_;
  std::string refused_code_;
  Clock::time_point next_refusal_{};
  bool ending_ = false;
  std::atomic<std::uint64_t> lines_ = 0, failures_ = 0;
  std::thread thread_;
};

// {"time", "event", "tenant", "token", "request_id"}: what somebody asked for.
Json audit_event(std::string_view event, const Call& call);
// A line for each model that `after` has and `before` had not, or had another of, and for each that is gone. `who` is put beside it.
Status audit_models(Audit& audit, const ModelRegistry& before, const ModelRegistry& after, const Json& who);

}  // namespace tacit::server
