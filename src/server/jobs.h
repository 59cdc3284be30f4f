// SPDX-License-Identifier: Apache-2.0
// Predictions that outlive their connection (docs/service.md, "A job's life"): rows in the queue, bytes in the blobs, run by the
// executor when their turn comes. Whatever a function has answered survives a crash. All functions but the constructor and start()
// may be called from several threads at once, and may wait for the disk.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <thread>

#include "server/audit.h"
#include "server/executor.h"
#include "server/metrics.h"
#include "server/prediction.h"
#include "server/progress.h"
#include "server/state/state.h"
#include "server/state_health.h"

namespace tacit::server {

class Jobs {
 public:
  struct Limits {
    JobQuota quota;
    Time keep_results = 3'600'000;     // milliseconds
    Time wait_for_client = 3'600'000;  // milliseconds
    int attempts = 2;                  // a job that was running at so many crashes is given up
  };
  // All must outlive it.
  Jobs(State& state, const ModelShelf& models, KeyStore& keys, KeyCache& cache, Executor& executor,
       Metrics& metrics, StateHealth& health, Audit& audit, const Limits& limits);
  ~Jobs() { stop(); }
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  // Queues again what was running when the process ended, removes what a crash left of no use, and begins to work. Errors of the
  // state.
  Status start();
  // Begins nothing more.
  void hold() { holding_ = true; }
  // Stops what runs, too, which is queued again.
  void stop();

  // The ciphertexts are stored, then the row. kQuota, kServerBusy, kDiskFull, kIdempotencyMismatch, kStateFailed.
  Result<Submission> submit(Job job, std::span<const ByteView> ciphertexts,
                            const std::optional<Idempotency>& idempotency);
  // As Queue.
  Result<std::optional<Job>> repeated(std::string_view tenant, const Idempotency& idempotency) {
    return queue_.repeated(tenant, idempotency);
  }
  // The client's answer to a stage: the input of the next. kJobUnknown, kJobNotAwaiting, kDiskFull.
  Result<Job> resume(std::string_view tenant, std::string_view id, std::span<const ByteView> ciphertexts);
  // kJobUnknown.
  Result<Job> find(std::string_view tenant, std::string_view id) { return queue_.find(tenant, id); }
  Result<std::vector<Job>> list(std::string_view tenant, std::size_t limit) {
    return queue_.list(tenant, limit);
  }
  // As the infer route answers. kJobNotFinished, kJobCancelled, and the job's own error where it has failed.
  Result<Response> result(const Job& job);
  // Ends a job that is not final, within a second where it runs, or takes out a final one with its result; true for the latter.
  // kJobUnknown.
  Result<bool> remove(std::string_view tenant, std::string_view id);
  // Takes out a job that was submitted and not acknowledged: whoever sends it again submits it anew. Errors of the state.
  Status withdraw(const Job& job);
  // How many queued jobs are before this one.
  Result<std::size_t> position(const Job& job) { return queue_.position(job); }

  // Of all tenants.
  Result<QueueCounts> counts() { return queue_.counts(std::nullopt); }

  ProgressBoard& board() { return board_; }
  const Limits& limits() const { return limits_; }

 private:
  struct Run;
  // Whatever happens after a claim: the job runs, has ended, or is put back by maintain().
  std::optional<Task> next(const std::string& group);
  std::optional<Task> claim(const std::string& group);
  std::optional<Task> begin(const Job& job);
  void run(Run& run);
  static void say(std::string_view message, const Job& job);
  // A line of the audit log, soon: a stage has ended so. `code` is an error's, or "ok".
  void note_end(const Job& job, JobState state, std::string_view code);
  void succeed(const Job& job, InferenceResult result, bool last);
  void fail(const Job& job, const Error& error);
  // Does it now, or again every second until it works: a disk that is full must not lose a job.
  void settle(std::function<Status()> work);
  // Whether it worked; else the log says why not.
  bool try_to(const std::function<Status()>& work) noexcept;
  // Has a run stop at its next step, where there is one.
  void stop_run(std::string_view id);
  void remove_blobs(const Job& job);
  void remove_blob(const BlobName& name, const Job& job);
  // Queues again what the ledger says is running and nobody runs.
  Status put_back_strays();
  void maintain();
  void settle_rest();
  void expire();

  State& state_;
  Queue& queue_;
  const ModelShelf& models_;
  KeyStore& keys_;
  KeyCache& cache_;
  Executor& executor_;
  Metrics& metrics_;
  StateHealth& health_;
  Audit& audit_;
  const Limits limits_;
  ProgressBoard board_;
  std::atomic<bool> holding_ = false, stopping_ = false;
  // Held while a job gets its next input, whose blob's name is the stage's: of two at once the second finds it taken.
  std::mutex resuming_;
  std::mutex claiming_;               // held from a claim until its job is in running_ or has failed
  std::string last_tenant_;           // whose job was claimed last; guarded by claiming_
  std::atomic<bool> strays_ = false;  // there may be jobs that were claimed and that nobody runs

  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<std::atomic<bool>>, std::less<>> running_;  // and whether to stop
  std::vector<std::function<Status()>> unsettled_;
  std::condition_variable woken_;
  std::thread maintenance_;
};

// 32 random hexadecimal digits.
std::string make_job_id();

}  // namespace tacit::server
