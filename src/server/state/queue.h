// SPDX-License-Identifier: Apache-2.0
// Jobs from their acceptance to their end (docs/service.md, "A job's life"). Whatever a function has answered is durable.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "server/state/blobs.h"
#include "server/state/ledger.h"

namespace tacit::server {

enum class JobState { kQueued, kRunning, kAwaitingClient, kSucceeded, kFailed, kCancelled };

std::string_view to_string(JobState state);
// Whether nothing happens to it any more.
bool is_final(JobState state);
// Whether nothing happens to it before somebody asks for it: final, or waiting for the client.
bool rests(JobState state);

struct Job {
  std::string id;  // 32 random hexadecimal digits
  std::string tenant;
  std::string model;
  std::size_t stage = 0;
  Digest key_id{};
  Digest input{};  // of the blob that input_blob names
  std::string request_id;
  std::optional<std::string> client_id;  // "id" of the inference request
  bool timings = false;                  // the result says how long each layer took
  JobState state = JobState::kQueued;
  int attempt = 0;  // how often it has been begun
  std::optional<Digest>
      result;  // of the blob that result_blob names; where it has succeeded or awaits the client
  std::optional<Error> error;  // where it has failed
  Time created = 0, started = 0, ended = 0;
  Time expires = 0;  // when result and row may go, or a client that is waited for is given up; else 0
};

// The ciphertexts of the stage that the job is in, and what that stage made of them. Each stage has names of its own, so that a row
// always names whole bytes.
BlobName input_blob(const Job& job);
BlobName result_blob(const Job& job);
// The job that a blob of these kinds belongs to.
std::string job_of(const BlobName& blob);

// What resume() answers for a job in any other state.
Error not_awaiting(const Job& job);

// A client's promise that a repeated request is the same one.
struct Idempotency {
  std::string key;
  Digest request{};  // of method, path and body
};

struct Submission {
  Job job;
  bool repeated = false;  // the job was there: the same key and the same request
};

// How many jobs there may be; 0: any number.
struct JobQuota {
  std::uint64_t unfinished = 0;  // of one tenant: queued, running or waiting for the client
  std::uint64_t kept = 0;        // of one tenant: final
  std::uint64_t all = 0;         // of all tenants, not final
};

// How a queue stands; of one tenant or of all.
struct QueueCounts {
  std::size_t queued = 0, running = 0, awaiting = 0, kept = 0;
  std::size_t unfinished() const { return queued + running + awaiting; }
};

class Queue {
 public:
  virtual ~Queue() = default;

  // The input must be in the blobs already, unless the job turns out to be a repeated one. The idempotency key is known as long as
  // its job is there. kIdempotencyMismatch where the key was used for another request; kQuota; kServerBusy where there
  // are too many jobs of all tenants.
  virtual Result<Submission> submit(const Job& job, const std::optional<Idempotency>& idempotency,
                                    const JobQuota& quota = {}) = 0;
  // The oldest queued job among those with one of the `preferred` keys, or else the oldest of the tenant that comes after
  // `last_tenant`, in the order of their names and round again; nothing where none is queued. It is running from now on.
  virtual Result<std::optional<Job>> claim(std::span<const Digest> preferred, std::string_view last_tenant,
                                           Time now) = 0;
  // The job of an earlier request with this key; nothing where there was none. kIdempotencyMismatch.
  virtual Result<std::optional<Job>> repeated(std::string_view tenant, const Idempotency& idempotency) = 0;
  // Each of these is false, and nothing has changed, where the attempt is no longer the job's running one.
  virtual Result<bool> succeed(const Job& job, const Digest& result, Time now, Time expires) = 0;
  virtual Result<bool> fail(const Job& job, const Error& error, Time now, Time expires) = 0;
  // Where there are further stages: waits for the client until `expires`.
  virtual Result<bool> await_client(const Job& job, const Digest& result, Time now, Time expires) = 0;
  // Queues the next stage of a job that awaits the client, whose input is in the blobs already. The answer is the job as it stood
  // before, whose blobs are to be removed. kJobUnknown; kJobNotAwaiting.
  virtual Result<Job> resume(std::string_view tenant, std::string_view id, const Digest& input) = 0;
  // Back into the queue at its old place, the attempt not counted: the server is about to end.
  virtual Result<bool> put_back(const Job& job) = 0;

  // kJobUnknown for what is not there or another tenant's.
  virtual Result<Job> find(std::string_view tenant, std::string_view id) = 0;
  // The newest first, at most `limit`.
  virtual Result<std::vector<Job>> list(std::string_view tenant, std::size_t limit) = 0;
  // Ends a job that is not final; it has no result then. The answer is the job as it stands then. kJobUnknown.
  virtual Result<Job> cancel(std::string_view tenant, std::string_view id, Time now, Time expires) = 0;
  // How many queued jobs are before this one where tenants take turns: its tenant's older ones, and of every other tenant one more
  // than these at most.
  virtual Result<std::size_t> position(const Job& job) = 0;
  virtual Result<QueueCounts> counts(std::optional<std::string_view> tenant) = 0;

  // After a start: what was running is queued again, or has failed (kJobPoisoned) where it was begun `attempts` times.
  virtual Result<std::size_t> recover(int attempts, Time now, Time expires) = 0;
  // Ends jobs for whose client the time is over (kJobExpired, kept until `keep_until`), and takes out final jobs whose time has come;
  // answers the jobs taken out, whose blobs are to be removed.
  virtual Result<std::vector<Job>> expire(Time now, Time keep_until) = 0;
  // Takes out one final job. False where it is not final. kJobUnknown.
  virtual Result<bool> remove(std::string_view tenant, std::string_view id) = 0;
  // Takes a job out in whatever state it is, as if it had never been submitted.
  virtual Status withdraw(std::string_view tenant, std::string_view id) = 0;
  // Every job of every tenant.
  virtual Result<std::vector<Job>> jobs() = 0;
};

}  // namespace tacit::server
