// SPDX-License-Identifier: Apache-2.0
#include "server/state/sqlite_queue.h"

#include <algorithm>

#include "server/state/database.h"

namespace tacit::server {

namespace {

// Rows have the numbers of JobState; a released one never changes.
#define TACIT_FINAL_STATES "(3, 4, 5)"
static_assert(static_cast<int>(JobState::kSucceeded) == 3 && static_cast<int>(JobState::kCancelled) == 5);

constexpr std::int64_t number_of(JobState state) { return static_cast<std::int64_t>(state); }

#define TACIT_JOB_COLUMNS                                                                             \
  "id, tenant, model, stage, key_id, input, request_id, client_id, timings, state, attempt, result, " \
  "error_code, "                                                                                      \
  "error_text, created, started, ended, expires"

Job read_job(Query& row) {
  Job job;
  job.id = row.text(0);
  job.tenant = row.text(1);
  job.model = row.text(2);
  job.stage = static_cast<std::size_t>(row.number(3));
  job.key_id = row.digest(4);
  job.input = row.digest(5);
  job.request_id = row.text(6);
  if (!row.is_null(7)) job.client_id = row.text(7);
  job.timings = row.number(8) != 0;
  job.state =
      static_cast<JobState>(std::clamp<std::int64_t>(row.number(9), 0, number_of(JobState::kCancelled)));
  job.attempt = static_cast<int>(row.number(10));
  if (!row.is_null(11)) job.result = row.digest(11);
  if (!row.is_null(12)) job.error = Error{error_code_from(row.text(12)), row.text(13)};
  job.created = row.number(14);
  job.started = row.number(15);
  job.ended = row.number(16);
  job.expires = row.number(17);
  return job;
}

Error unknown(std::string_view id) {
  return Error{ErrorCode::kJobUnknown, "there is no job " + std::string(id.substr(0, 64))};
}

class SqliteQueue final : public Queue {
 public:
  explicit SqliteQueue(std::shared_ptr<Database> database) : database_(std::move(database)) {}

  Result<Submission> submit(const Job& job, const std::optional<Idempotency>& idempotency,
                            const JobQuota& quota) override {
    return database_->transact([&]() -> Result<Submission> {
      if (idempotency) {
        TACIT_TRY(std::optional<Job> earlier, find_repeated(job.tenant, *idempotency));
        if (earlier) return Submission{std::move(*earlier), true};
      }
      TACIT_CHECK(check_quota(job.tenant, quota));
      database_
          ->query("INSERT INTO job (" TACIT_JOB_COLUMNS
                  ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, NULL, NULL, NULL, ?, 0, 0, 0)")
          .with(job.id)
          .with(job.tenant)
          .with(job.model)
          .with(static_cast<std::int64_t>(job.stage))
          .with(job.key_id)
          .with(job.input)
          .with(job.request_id)
          .with(job.client_id)
          .with(std::int64_t{job.timings ? 1 : 0})
          .with(number_of(JobState::kQueued))
          .with(job.created)
          .run();
      if (idempotency)
        database_->query("INSERT INTO idempotency (tenant, key, request, job) VALUES (?, ?, ?, ?)")
            .with(job.tenant)
            .with(idempotency->key)
            .with(idempotency->request)
            .with(job.id)
            .run();
      TACIT_TRY(Job accepted, load(job.tenant, job.id));
      return Submission{std::move(accepted), false};
    });
  }

  Result<std::optional<Job>> repeated(std::string_view tenant, const Idempotency& idempotency) override {
    return database_->transact(
        [&]() -> Result<std::optional<Job>> { return find_repeated(tenant, idempotency); });
  }

  Result<std::optional<Job>> claim(std::span<const Digest> preferred, std::string_view last_tenant,
                                   Time now) override {
    return database_->transact([&]() -> Result<std::optional<Job>> {
      std::string id;
      for (const Digest& key : preferred) {
        Query row = database_->query(
            "SELECT id, number FROM job WHERE state = 0 AND key_id = ? ORDER BY number LIMIT 1");
        if (row.with(key).next()) {
          id = row.text(0);
          break;
        }
      }
      if (id.empty()) {
        Query row = database_->query(
            "SELECT id FROM job WHERE state = 0 ORDER BY tenant <= ?, tenant, number LIMIT 1");
        if (!row.with(last_tenant).next()) return std::optional<Job>();
        id = row.text(0);
      }
      database_->query("UPDATE job SET state = 1, attempt = attempt + 1, started = ? WHERE id = ?")
          .with(now)
          .with(id)
          .run();
      Query row = database_->query("SELECT " TACIT_JOB_COLUMNS " FROM job WHERE id = ?");
      row.with(id).next();
      return std::optional(read_job(row));
    });
  }

  Result<bool> succeed(const Job& job, const Digest& result, Time now, Time expires) override {
    return leave_running(job, JobState::kSucceeded, result, std::nullopt, now, expires);
  }

  Result<bool> fail(const Job& job, const Error& error, Time now, Time expires) override {
    return leave_running(job, JobState::kFailed, std::nullopt, error, now, expires);
  }

  Result<bool> await_client(const Job& job, const Digest& result, Time now, Time expires) override {
    return leave_running(job, JobState::kAwaitingClient, result, std::nullopt, now, expires);
  }

  Result<Job> resume(std::string_view tenant, std::string_view id, const Digest& input) override {
    return database_->transact([&]() -> Result<Job> {
      TACIT_TRY(const Job job, load(tenant, id));
      if (job.state != JobState::kAwaitingClient) return not_awaiting(job);
      // It has its place in the queue from when it was submitted, so that rounds do not wait behind newer jobs.
      database_
          ->query(
              "UPDATE job SET state = 0, stage = stage + 1, input = ?, result = NULL, attempt = 0, "
              "started = 0, ended = 0, expires = 0 WHERE id = ?")
          .with(input)
          .with(id)
          .run();
      return job;
    });
  }

  Result<bool> put_back(const Job& job) override {
    return database_->transact([&]() -> Result<bool> {
      return database_
                 ->query(
                     "UPDATE job SET state = 0, attempt = attempt - 1, started = 0 "
                     "WHERE id = ? AND state = 1 AND attempt = ?")
                 .with(job.id)
                 .with(std::int64_t{job.attempt})
                 .run() > 0;
    });
  }

  Result<Job> find(std::string_view tenant, std::string_view id) override {
    return database_->transact([&]() -> Result<Job> { return load(tenant, id); });
  }

  Result<std::vector<Job>> list(std::string_view tenant, std::size_t limit) override {
    return database_->transact([&]() -> Result<std::vector<Job>> {
      Query rows = database_->query("SELECT " TACIT_JOB_COLUMNS
                                    " FROM job WHERE tenant = ? ORDER BY number DESC LIMIT ?");
      return all_of(rows.with(tenant).with(static_cast<std::int64_t>(limit)));
    });
  }

  Result<Job> cancel(std::string_view tenant, std::string_view id, Time now, Time expires) override {
    return database_->transact([&]() -> Result<Job> {
      database_
          ->query(
              "UPDATE job SET state = 5, result = NULL, ended = ?, expires = ? "
              "WHERE tenant = ? AND id = ? AND state NOT IN " TACIT_FINAL_STATES)
          .with(now)
          .with(expires)
          .with(tenant)
          .with(id)
          .run();
      return load(tenant, id);
    });
  }

  Result<std::size_t> position(const Job& job) override {
    return database_->transact([&]() -> Result<std::size_t> {
      Query older = database_->query(
          "SELECT count(*) FROM job WHERE state = 0 AND tenant = ? AND number < (SELECT number FROM job "
          "WHERE id = ?)");
      older.with(job.tenant).with(job.id).next();
      const std::int64_t own = older.number(0);
      Query others = database_->query(
          "SELECT coalesce(sum(min(jobs, ?)), 0) FROM (SELECT count(*) AS jobs FROM job WHERE state = 0 AND "
          "tenant != ? GROUP BY tenant)");
      others.with(own + 1).with(job.tenant).next();
      return static_cast<std::size_t>(own + others.number(0));
    });
  }

  Result<QueueCounts> counts(std::optional<std::string_view> tenant) override {
    return database_->transact([&]() -> Result<QueueCounts> { return count(tenant); });
  }

  Result<std::size_t> recover(int attempts, Time now, Time expires) override {
    return database_->transact([&]() -> Result<std::size_t> {
      database_
          ->query(
              "UPDATE job SET state = 4, error_code = ?, error_text = ?, ended = ?, expires = ? "
              "WHERE state = 1 AND attempt >= ?")
          .with(to_string(ErrorCode::kJobPoisoned))
          .with("the server ended " + std::to_string(attempts) + " times while it ran")
          .with(now)
          .with(expires)
          .with(std::int64_t{attempts})
          .run();
      return static_cast<std::size_t>(
          database_->query("UPDATE job SET state = 0, started = 0 WHERE state = 1").run());
    });
  }

  Result<std::vector<Job>> expire(Time now, Time keep_until) override {
    return database_->transact([&]() -> Result<std::vector<Job>> {
      database_
          ->query(
              "UPDATE job SET state = 4, error_code = ?, error_text = ?, ended = ?, expires = ? "
              "WHERE state = 2 AND expires <= ?")
          .with(to_string(ErrorCode::kJobExpired))
          .with("the next input did not come in time; begin anew")
          .with(now)
          .with(keep_until)
          .with(now)
          .run();
      std::vector<Job> gone;
      {
        Query rows = database_->query("SELECT " TACIT_JOB_COLUMNS
                                      " FROM job WHERE state IN " TACIT_FINAL_STATES " AND expires <= ?");
        gone = all_of(rows.with(now));
      }
      for (const Job& job : gone) database_->query("DELETE FROM job WHERE id = ?").with(job.id).run();
      return gone;
    });
  }

  Result<bool> remove(std::string_view tenant, std::string_view id) override {
    return database_->transact([&]() -> Result<bool> {
      TACIT_TRY(const Job job, load(tenant, id));
      if (!is_final(job.state)) return false;
      database_->query("DELETE FROM job WHERE id = ?").with(job.id).run();
      return true;
    });
  }

  Status withdraw(std::string_view tenant, std::string_view id) override {
    return database_->transact([&]() -> Status {
      database_->query("DELETE FROM job WHERE tenant = ? AND id = ?").with(tenant).with(id).run();
      return {};
    });
  }

  Result<std::vector<Job>> jobs() override {
    return database_->transact([&]() -> Result<std::vector<Job>> {
      Query rows = database_->query("SELECT " TACIT_JOB_COLUMNS " FROM job ORDER BY number");
      return all_of(rows);
    });
  }

 private:
  // A running job has neither result nor error until then.
  Result<bool> leave_running(const Job& job, JobState state, const std::optional<Digest>& result,
                             const std::optional<Error>& error, Time now, Time expires) {
    const auto code = error ? std::optional(to_string(error->code)) : std::nullopt;
    const auto text = error ? std::optional<std::string_view>(error->message) : std::nullopt;
    return database_->transact([&]() -> Result<bool> {
      return database_
                 ->query(
                     "UPDATE job SET state = ?, result = ?, error_code = ?, error_text = ?, ended = ?, "
                     "expires = ? WHERE id = ? AND state = 1 AND attempt = ?")
                 .with(number_of(state))
                 .with(result)
                 .with(code)
                 .with(text)
                 .with(now)
                 .with(expires)
                 .with(job.id)
                 .with(std::int64_t{job.attempt})
                 .run() > 0;
    });
  }

  Result<Job> load(std::string_view tenant, std::string_view id) {
    Query row = database_->query("SELECT " TACIT_JOB_COLUMNS " FROM job WHERE tenant = ? AND id = ?");
    if (!row.with(tenant).with(id).next()) return unknown(id);
    return read_job(row);
  }

  Result<std::optional<Job>> find_repeated(std::string_view tenant, const Idempotency& idempotency) {
    Query known = database_->query("SELECT request, job FROM idempotency WHERE tenant = ? AND key = ?");
    if (!known.with(tenant).with(idempotency.key).next()) return std::optional<Job>();
    if (known.digest(0) != idempotency.request)
      return Error{ErrorCode::kIdempotencyMismatch,
                   "this Idempotency-Key was used for another request; use a new one"};
    TACIT_TRY(Job earlier, load(tenant, known.text(1)));
    return std::optional(std::move(earlier));
  }

  QueueCounts count(std::optional<std::string_view> tenant) {
    Query rows =
        database_->query("SELECT state, count(*) FROM job WHERE ?1 IS NULL OR tenant = ?1 GROUP BY state");
    rows.with(tenant);
    QueueCounts counts;
    while (rows.next()) {
      const auto jobs = static_cast<std::size_t>(rows.number(1));
      switch (static_cast<JobState>(rows.number(0))) {
        case JobState::kQueued:
          counts.queued = jobs;
          break;
        case JobState::kRunning:
          counts.running = jobs;
          break;
        case JobState::kAwaitingClient:
          counts.awaiting = jobs;
          break;
        default:
          counts.kept += jobs;
      }
    }
    return counts;
  }

  Status check_quota(std::string_view tenant, const JobQuota& quota) {
    const QueueCounts counts = count(tenant);
    if (quota.all > 0 && count(std::nullopt).unfinished() >= quota.all)
      return Error{ErrorCode::kServerBusy,
                   "as many jobs as the server keeps are waiting or running already; "
                   "try again later"};
    if (quota.unfinished > 0 && counts.unfinished() >= quota.unfinished)
      return Error{ErrorCode::kQuota, "this tenant has " + std::to_string(counts.unfinished()) +
                                          " jobs that are not finished, as many as it may; wait for one, or "
                                          "DELETE one"};
    if (quota.kept > 0 && counts.kept >= quota.kept)
      return Error{ErrorCode::kQuota,
                   "this tenant has " + std::to_string(counts.kept) +
                       " finished jobs, as many as it may; DELETE those whose results it has"};
    return {};
  }

  static std::vector<Job> all_of(Query& rows) {
    std::vector<Job> jobs;
    while (rows.next()) jobs.push_back(read_job(rows));
    return jobs;
  }

  const std::shared_ptr<Database> database_;
};

}  // namespace

std::unique_ptr<Queue> make_sqlite_queue(std::shared_ptr<Database> database) {
  return std::make_unique<SqliteQueue>(std::move(database));
}

}  // namespace tacit::server
