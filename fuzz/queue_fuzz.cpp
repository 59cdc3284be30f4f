// SPDX-License-Identifier: Apache-2.0
// The queue of jobs against a model of it in a plain list: any sequence of calls answers the same.
//
// Input: operations one after the other, on few jobs of few tenants.
#include <algorithm>

#include "server/state/state.h"
#include "server/temporary_folder.h"
#include "support/ckks_fixture.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

using namespace server;

constexpr std::size_t kKeys = 3;
constexpr int kAttempts = 2;
constexpr JobQuota kQuota{3, 3, 5};

Digest digest_of(std::size_t number) { return blake2b(as_bytes(std::to_string(number))); }
std::string tenant_of(std::size_t number) { return "tenant" + std::to_string(number); }

struct Promise {
  std::string tenant, key, job;
  Digest request{};
};

class QueueRun {
 public:
  QueueRun(Input& in, Queue& queue, std::uint64_t number) : in_(in), queue_(queue), number_(number) {}

  void run() {
    for (std::size_t i = 0; i < kMaxOperations && !in_.empty(); ++i) {
      operate();
      now_ += static_cast<Time>(in_.below(4));
    }
    compare();
    for (const Job& job : jobs_) {
      accepted(queue_.cancel(job.tenant, job.id, now_, now_));
      require(test::unwrap(queue_.remove(job.tenant, job.id)), "a job that was ended can be removed");
    }
    require(test::unwrap(queue_.jobs()).empty(), "nothing is left");
    require(test::unwrap(queue_.expire(now_ + 1'000'000, 0)).empty(), "nothing is left to expire");
  }

 private:
  // A job that there is, or was, or an unknown one.
  std::string some_id() {
    const std::size_t which = in_.below(64);
    return which < ids_.size() ? ids_[ids_.size() - 1 - which] : "nobody";
  }
  Job* of(const std::string& id) {
    const auto found = std::ranges::find(jobs_, id, &Job::id);
    return found == jobs_.end() ? nullptr : &*found;
  }
  // As of() where the tenant is the job's.
  Job* of(const std::string& tenant, const std::string& id) {
    Job* job = of(id);
    return job != nullptr && job->tenant == tenant ? job : nullptr;
  }
  void forget(const std::string& id) {
    std::erase_if(jobs_, [&](const Job& job) { return job.id == id; });
    std::erase_if(promises_, [&](const Promise& promise) { return promise.job == id; });
  }
  // What a worker holds: the job as it was claimed, perhaps long ago.
  Job held() {
    if (claimed_.empty()) return {};
    return claimed_[claimed_.size() - 1 - in_.below(claimed_.size())];
  }
  // The job that a worker's report is about, where it still runs this attempt.
  Job* running(const Job& job) {
    Job* found = of(job.id);
    return found != nullptr && found->state == JobState::kRunning && found->attempt == job.attempt ? found
                                                                                                   : nullptr;
  }

  void operate() {
    const std::string tenant = tenant_of(in_.below(kTenants));
    switch (in_.below(13)) {
      case 0:
      case 1:
        return submit(tenant);
      case 2:
      case 3:
        return claim();
      case 4: {
        const Job job = held();
        const Digest result = digest_of(in_.below(4));
        return report(job, queue_.succeed(job, result, now_, now_ + 10), JobState::kSucceeded, result, {});
      }
      case 5: {
        const Job job = held();
        const Error error{ErrorCode::kOutOfMemory, "no room"};
        return report(job, queue_.fail(job, error, now_, now_ + 10), JobState::kFailed, {}, error);
      }
      case 6: {
        const Job job = held();
        const Digest result = digest_of(in_.below(4));
        return report(job, queue_.await_client(job, result, now_, now_ + 10), JobState::kAwaitingClient,
                      result, {});
      }
      case 7:
        return resume(tenant, some_id());
      case 8:
        return put_back(held());
      case 9:
        return cancel(tenant, some_id());
      case 10:
        return remove(tenant, some_id());
      case 11:
        return in_.below(4) == 0 ? recover() : expire();
      default:
        return compare();
    }
  }

  void submit(const std::string& tenant) {
    Job job;
    job.id = "job" + std::to_string(number_) + "-" + std::to_string(ids_.size());
    job.tenant = tenant;
    job.model = "model";
    job.key_id = digest_of(in_.below(kKeys));
    job.input = digest_of(10 + in_.below(4));
    job.request_id = "request";
    job.created = now_;
    std::optional<Idempotency> idempotency;
    if (const std::size_t key = in_.below(4); key > 0)
      idempotency = Idempotency{"key" + std::to_string(key), digest_of(in_.below(2))};

    const auto earlier = std::ranges::find_if(promises_, [&](const Promise& promise) {
      return idempotency && promise.tenant == tenant && promise.key == idempotency->key;
    });
    std::uint64_t unfinished = 0, kept = 0, all = 0;
    for (const Job& one : jobs_) {
      all += !is_final(one.state);
      if (one.tenant == tenant) (is_final(one.state) ? kept : unfinished) += 1;
    }

    const auto submitted = queue_.submit(job, idempotency, kQuota);
    if (earlier != promises_.end()) {
      require(accepted(submitted) == (earlier->request == idempotency->request), "a key is for one request");
      if (submitted.ok())
        require(submitted->repeated && submitted->job.id == earlier->job, "and is for one job");
      return;
    }
    require(accepted(submitted) == (unfinished < kQuota.unfinished && kept < kQuota.kept && all < kQuota.all),
            "a quota is kept");
    if (!submitted.ok()) return;
    require(!submitted->repeated, "a new job is new");
    ids_.push_back(job.id);
    if (idempotency) promises_.push_back({tenant, idempotency->key, job.id, idempotency->request});
    jobs_.push_back(std::move(job));
  }

  void claim() {
    std::vector<Digest> preferred;
    if (in_.below(2) == 1) preferred.push_back(digest_of(in_.below(kKeys)));
    const std::string last = tenant_of(in_.below(kTenants));
    const auto claimed = test::unwrap(queue_.claim(preferred, last, now_));
    const auto queued = [](const Job& job) { return job.state == JobState::kQueued; };
    auto expected = std::ranges::find_if(jobs_, [&](const Job& job) {
      return queued(job) && !preferred.empty() && job.key_id == preferred[0];
    });
    // The tenant that comes after the last one, in a circle.
    for (std::size_t i = 1; expected == jobs_.end() && i <= kTenants; ++i)
      for (std::size_t number = 0; expected == jobs_.end() && number < kTenants; ++number)
        if (last == tenant_of(number))
          expected = std::ranges::find_if(jobs_, [&](const Job& job) {
            return queued(job) && job.tenant == tenant_of((number + i) % kTenants);
          });
    require(claimed.has_value() == (expected != jobs_.end()), "a job is claimed where one is queued");
    if (!claimed) return;
    expected->state = JobState::kRunning;
    expected->attempt += 1;
    expected->started = now_;
    same(*claimed, *expected);
    claimed_.push_back(*claimed);
  }

  void report(const Job& job, const Result<bool>& reported, JobState state, std::optional<Digest> result,
              const std::optional<Error>& error) {
    Job* found = running(job);
    require(test::unwrap(reported) == (found != nullptr), "a report counts while its attempt runs");
    if (found == nullptr) return;
    found->state = state;
    if (result) found->result = result;
    if (error) found->error = error;
    found->ended = now_;
    found->expires = now_ + 10;
  }

  void resume(const std::string& tenant, const std::string& id) {
    const Digest next = digest_of(10 + in_.below(4));
    Job* job = of(tenant, id);
    const auto resumed = queue_.resume(tenant, id, next);
    require(accepted(resumed) == (job != nullptr && job->state == JobState::kAwaitingClient),
            "a job that waits for its client goes on");
    if (!resumed.ok()) return;
    same(*resumed, *job);
    job->state = JobState::kQueued;
    job->stage += 1;
    job->input = next;
    job->result.reset();
    job->attempt = 0;
    job->started = job->ended = job->expires = 0;
  }

  void put_back(const Job& job) {
    Job* found = running(job);
    require(test::unwrap(queue_.put_back(job)) == (found != nullptr), "what runs can be put back");
    if (found == nullptr) return;
    found->state = JobState::kQueued;
    found->attempt -= 1;
    found->started = 0;
  }

  void cancel(const std::string& tenant, const std::string& id) {
    Job* job = of(tenant, id);
    if (job != nullptr && !is_final(job->state)) {
      job->state = JobState::kCancelled;
      job->result.reset();
      job->ended = now_;
      job->expires = now_ + 10;
    }
    const auto cancelled = queue_.cancel(tenant, id, now_, now_ + 10);
    require(accepted(cancelled) == (job != nullptr), "a job that is there can be ended");
    if (job != nullptr) same(*cancelled, *job);
  }

  void remove(const std::string& tenant, const std::string& id) {
    const Job* job = of(tenant, id);
    const auto removed = queue_.remove(tenant, id);
    require(accepted(removed) == (job != nullptr), "a job that is there can be asked to go");
    if (job == nullptr) return;
    require(*removed == is_final(job->state), "it goes where it is final");
    if (*removed) forget(id);
  }

  void recover() {
    std::size_t expected = 0;
    for (Job& job : jobs_) {
      if (job.state != JobState::kRunning) continue;
      if (job.attempt >= kAttempts) {
        job.state = JobState::kFailed;
        job.error = Error{ErrorCode::kJobPoisoned, ""};
        job.ended = now_;
        job.expires = now_ + 10;
      } else {
        job.state = JobState::kQueued;
        job.started = 0;
        ++expected;
      }
    }
    require(test::unwrap(queue_.recover(kAttempts, now_, now_ + 10)) == expected, "what ran is queued again");
  }

  void expire() {
    now_ += static_cast<Time>(in_.below(16));
    const Time until = now_ + static_cast<Time>(in_.below(8));
    for (Job& job : jobs_) {
      if (job.state != JobState::kAwaitingClient || job.expires > now_) continue;
      job.state = JobState::kFailed;
      job.error = Error{ErrorCode::kJobExpired, ""};
      job.ended = now_;
      job.expires = until;
    }
    std::vector<std::string> expected;
    for (const Job& job : jobs_)
      if (is_final(job.state) && job.expires <= now_) expected.push_back(job.id);
    std::vector<std::string> gone;
    for (const Job& job : test::unwrap(queue_.expire(now_, until))) gone.push_back(job.id);
    std::ranges::sort(expected);
    std::ranges::sort(gone);
    require(gone == expected, "what has had its time goes");
    for (const std::string& id : gone) forget(id);
  }

  void compare() {
    const auto rows = test::unwrap(queue_.jobs());
    require(rows.size() == jobs_.size(), "the jobs are those that there are");
    QueueCounts counts;
    std::map<std::string, std::size_t> queued, before;
    for (const Job& job : jobs_) queued[job.tenant] += job.state == JobState::kQueued;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      same(rows[i], jobs_[i]);
      const std::size_t own = before[rows[i].tenant];
      std::size_t position = own;
      for (const auto& [tenant, jobs] : queued)
        if (tenant != rows[i].tenant) position += std::min(jobs, own + 1);
      require(test::unwrap(queue_.position(rows[i])) == position, "a place in the queue is that in turns");
      const auto found = queue_.find(jobs_[i].tenant, jobs_[i].id);
      require(accepted(found), "a job is found");
      require(!accepted(queue_.find("somebody", jobs_[i].id)), "but not by another tenant");
      before[jobs_[i].tenant] += jobs_[i].state == JobState::kQueued;
      counts.queued += jobs_[i].state == JobState::kQueued;
      counts.running += jobs_[i].state == JobState::kRunning;
      counts.awaiting += jobs_[i].state == JobState::kAwaitingClient;
      counts.kept += is_final(jobs_[i].state);
    }
    const QueueCounts found = test::unwrap(queue_.counts({}));
    require(found.queued == counts.queued && found.running == counts.running &&
                found.awaiting == counts.awaiting && found.kept == counts.kept,
            "the counts are those of the jobs");
    for (std::size_t i = 0; i < kTenants; ++i) {
      std::vector<std::string> own, listed;
      for (const Job& job : jobs_)
        if (job.tenant == tenant_of(i)) own.push_back(job.id);
      std::ranges::reverse(own);
      for (const Job& job : test::unwrap(queue_.list(tenant_of(i), 1000))) listed.push_back(job.id);
      require(own == listed, "a tenant's jobs are listed, the newest first");
    }
  }

  static void same(const Job& row, const Job& job) {
    require(row.id == job.id && row.tenant == job.tenant && row.stage == job.stage &&
                row.key_id == job.key_id && row.input == job.input && row.state == job.state &&
                row.attempt == job.attempt && row.result == job.result && row.created == job.created &&
                row.started == job.started && row.ended == job.ended && row.expires == job.expires &&
                row.error.has_value() == job.error.has_value() &&
                (!row.error || row.error->code == job.error->code),
            "a row is the job's");
  }

  Input& in_;
  Queue& queue_;
  const std::uint64_t number_;
  std::vector<Job> jobs_;     // in the order in which they were submitted
  std::vector<Job> claimed_;  // as they were then
  std::vector<std::string> ids_;
  std::vector<Promise> promises_;
  Time now_ = 1000;
};

TACIT_FUZZ_TARGET(queue) {
  static const TemporaryFolder kFolder;
  static const auto kState = test::unwrap(State::open(kFolder.path() / "state"));
  static std::uint64_t number = 0;
  Input in(input);
  QueueRun(in, kState->queue(), number++).run();
}

}  // namespace
}  // namespace tacit::fuzz
