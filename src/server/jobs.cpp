// SPDX-License-Identifier: Apache-2.0
#include "server/jobs.h"

#include <sodium.h>

#include <algorithm>
#include <array>

#include "base/stopwatch.h"
#include "server/keep_going.h"
#include "server/problem.h"

namespace tacit::server {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kRetry{1};
constexpr std::chrono::seconds kExpiry{30};
constexpr std::uint64_t kMaxStoredBytes = std::uint64_t{1} << 34;

Bytes pack_input(std::span<const ByteView> ciphertexts) {
  ByteWriter out;
  out.u32(static_cast<std::uint32_t>(ciphertexts.size()));
  for (ByteView ciphertext : ciphertexts) out.blob(ciphertext);
  return std::move(out).take();
}

Result<std::vector<ByteView>> unpack_input(ByteView bytes) {
  ByteReader in(bytes, "stored input");
  TACIT_TRY(const std::uint32_t count, in.u32());
  std::vector<ByteView> ciphertexts;
  for (std::uint32_t i = 0; i < count; ++i) {
    TACIT_TRY(const ByteView ciphertext, in.blob(bytes.size()));
    ciphertexts.push_back(ciphertext);
  }
  TACIT_CHECK(in.finish());
  return ciphertexts;
}

// A response of the infer route: how long its JSON is, and the body.
Bytes pack_result(const Response& response) {
  const auto json_bytes = parse_number(response.fields.find(kInferenceHeaderLength).value_or("")).value_or(0);
  ByteWriter out;
  out.u32(static_cast<std::uint32_t>(json_bytes));
  out.raw(response.body);
  return std::move(out).take();
}

Result<Response> unpack_result(ByteView bytes) {
  ByteReader in(bytes, "stored result");
  TACIT_TRY(const std::uint32_t json_bytes, in.u32());
  TACIT_TRY(const ByteView body, in.raw(in.remaining()));
  return inference_response(Bytes(body.begin(), body.end()), json_bytes);
}

}  // namespace

std::string make_job_id() {
  std::array<std::uint8_t, 16> bytes;
  randombytes_buf(bytes.data(), bytes.size());
  return to_hex(ByteView(bytes));
}

// A claimed job on its way. Dropped before its end, it is put back.
struct Jobs::Run {
  Run(Jobs& o, const Job& j, Prediction p) : owner(o), job(j), prediction(std::move(p)) {
    const std::lock_guard lock(owner.mutex_);
    owner.running_[job.id] = stop;
    if (owner.stopping_) *stop = true;
  }
  ~Run() {
    if (!ended) owner.strays_ = true;
    const std::lock_guard lock(owner.mutex_);
    owner.running_.erase(job.id);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  Jobs& owner;
  const Job job;
  const Prediction prediction;
  const std::shared_ptr<std::atomic<bool>> stop = std::make_shared<std::atomic<bool>>(false);
  const std::shared_ptr<Pulse> pulse = std::make_shared<Pulse>();
  bool ended = false;
};

// A line of the log about a job, under the request that submitted it.
void Jobs::say(std::string_view message, const Job& job) {
  log_info(message, {{"request_id", job.request_id},
                     {"job_id", job.id},
                     {"tenant", job.tenant},
                     {"model", job.model},
                     {"stage", job.stage},
                     {"attempt", job.attempt}});
}

Jobs::Jobs(State& state, const ModelShelf& models, KeyStore& keys, KeyCache& cache, Executor& executor,
           Metrics& metrics, StateHealth& health, Audit& audit, const Limits& limits)
    : state_(state),
      queue_(state.queue()),
      models_(models),
      keys_(keys),
      cache_(cache),
      executor_(executor),
      metrics_(metrics),
      health_(health),
      audit_(audit),
      limits_(limits) {}

Status Jobs::start() {
  TACIT_TRY(const std::size_t again, queue_.recover(limits_.attempts, now(), now() + limits_.keep_results));
  if (again > 0) log_warning("jobs that ran when the server ended are queued again", {{"jobs", again}});
  executor_.set_source([this](const std::string& group) { return next(group); });
  maintenance_ = std::thread([this] { maintain(); });
  executor_.wake();
  return {};
}

void Jobs::stop() {
  std::thread maintenance;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& [id, flag] : running_) *flag = true;
    maintenance.swap(maintenance_);
  }
  woken_.notify_all();
  if (maintenance.joinable()) maintenance.join();
}

Result<Submission> Jobs::submit(Job job, std::span<const ByteView> ciphertexts,
                                const std::optional<Idempotency>& idempotency) {
  job.id = make_job_id();
  job.created = now();
  const Bytes input = pack_input(ciphertexts);
  job.input = blake2b(input);
  TACIT_CHECK(state_.blobs().put(input_blob(job), input));
  Result<Submission> submission = queue_.submit(job, idempotency, limits_.quota);
  // What failed may still have been written: only where certainly no row names the bytes may they go.
  const bool refused = submission.ok() ? submission->repeated
                                       : submission.error().code == ErrorCode::kIdempotencyMismatch ||
                                             submission.error().code == ErrorCode::kQuota ||
                                             submission.error().code == ErrorCode::kServerBusy;
  if (refused) remove_blobs(job);
  if (submission.ok() && !submission->repeated) {
    say("job accepted", job);
    executor_.wake();
  }
  return submission;
}

Result<Job> Jobs::resume(std::string_view tenant, std::string_view id,
                         std::span<const ByteView> ciphertexts) {
  const std::lock_guard one_at_a_time(resuming_);
  TACIT_TRY(Job job, queue_.find(tenant, id));
  if (job.state != JobState::kAwaitingClient) return not_awaiting(job);
  const Job before = job;
  ++job.stage;
  const Bytes input = pack_input(ciphertexts);
  TACIT_CHECK(state_.blobs().put(input_blob(job), input));
  TACIT_CHECK(queue_.resume(tenant, id, blake2b(input)));
  remove_blobs(before);
  board_.state(job.id, JobState::kQueued);
  executor_.wake();
  return queue_.find(tenant, id);
}

Result<Response> Jobs::result(const Job& job) {
  switch (job.state) {
    case JobState::kSucceeded:
    case JobState::kAwaitingClient:
      break;
    case JobState::kCancelled:
      return Error{ErrorCode::kJobCancelled, "the job was cancelled, so it has no result"};
    case JobState::kFailed:
      return job.error.value_or(Error{ErrorCode::kInternal, "the job failed"});
    default:
      return Error{ErrorCode::kJobNotFinished,
                   "the job is " + std::string(to_string(job.state)) + "; ask again later"};
  }
  TACIT_TRY(const Bytes bytes, state_.blobs().get(result_blob(job), kMaxStoredBytes));
  if (!job.result || blake2b(bytes) != *job.result)
    return Error{ErrorCode::kStateCorrupt, "the result of job " + job.id + " was altered on the disk"};
  return unpack_result(bytes);
}

Result<bool> Jobs::remove(std::string_view tenant, std::string_view id) {
  TACIT_TRY(const Job job, queue_.find(tenant, id));
  if (is_final(job.state)) {
    TACIT_TRY(const bool removed, queue_.remove(tenant, id));
    if (removed) remove_blobs(job);
    return removed;
  }
  TACIT_TRY(const Job cancelled, queue_.cancel(tenant, id, now(), now() + limits_.keep_results));
  stop_run(id);
  if (cancelled.state == JobState::kCancelled) {
    remove_blobs(job);
    board_.state(job.id, JobState::kCancelled);
  }
  return false;
}

Status Jobs::withdraw(const Job& job) {
  TACIT_CHECK(queue_.withdraw(job.tenant, job.id));
  stop_run(job.id);
  remove_blobs(job);
  board_.state(job.id, JobState::kCancelled);
  return {};
}

void Jobs::stop_run(std::string_view id) {
  const std::lock_guard lock(mutex_);
  if (const auto run = running_.find(id); run != running_.end()) *run->second = true;
}

// Bytes without a row harm nobody and go at the next start.
void Jobs::remove_blobs(const Job& job) {
  remove_blob(input_blob(job), job);
  remove_blob(result_blob(job), job);
}

void Jobs::remove_blob(const BlobName& name, const Job& job) {
  if (const Status status = state_.blobs().remove(name); !status.ok())
    log_error("a job's bytes stay until the next start", status.error(), job.request_id);
}

std::optional<Task> Jobs::next(const std::string& group) {
  std::optional<Task> task;
  if (!keep_going("no job can be begun now", [&] { task = claim(group); })) strays_ = true;
  return task;
}

std::optional<Task> Jobs::claim(const std::string& group) {
  {
    // What could not be written yet would only become more.
    const std::lock_guard lock(mutex_);
    if (holding_ || stopping_ || !unsettled_.empty()) return std::nullopt;
  }
  std::vector<Digest> preferred;
  if (const auto key = key_set_of(group)) preferred.push_back(*key);
  while (!holding_ && !stopping_) {
    const std::lock_guard claiming(claiming_);
    const Result<std::optional<Job>> claimed = queue_.claim(preferred, last_tenant_, now());
    if (!claimed.ok()) {
      strays_ = true;
      log_error("no job can be begun now", claimed.error());
      health_.note(claimed.error());
      return std::nullopt;
    }
    if (!*claimed) return std::nullopt;
    last_tenant_ = (*claimed)->tenant;
    if (std::optional<Task> task = begin(**claimed)) return task;
  }
  return std::nullopt;
}

// Nothing where the job has failed already.
std::optional<Task> Jobs::begin(const Job& job) {
  InferenceRequest request;
  request.key_id = job.key_id;
  request.stage = job.stage;
  request.id = job.client_id;
  request.timings = job.timings;
  const auto prediction = [&]() -> Result<Prediction> {
    TACIT_TRY(std::shared_ptr<const ServedModel> model, models_.now()->find(job.model));
    if (job.stage >= model->model->stages().size())
      return Error{ErrorCode::kModelUnknown, "the model was replaced by one of fewer stages"};
    TACIT_CHECK(executor_.admits(model->model->run_bytes()));
    return prepare_prediction(std::move(model), keys_.ledger(), job.tenant, request);
  }();
  if (!prediction.ok()) {
    fail(job, prediction.error());
    return std::nullopt;
  }
  auto started = std::make_shared<Run>(*this, job, *prediction);
  board_.step(job.id, {0, 1, prediction->model->model->layer_name(job.stage, 0)});
  return Task{prediction->group(), prediction->model->model->run_bytes(), [this, started] { run(*started); },
              started->pulse, job.tenant};
}

void Jobs::run(Run& run) {
  const Job& job = run.job;
  auto steps = [&](std::size_t done, std::size_t total, const std::string& layer) {
    run.pulse->beat();
    board_.step(job.id, {done, total, layer});
    return !*run.stop;
  };
  auto work = [&]() -> Result<InferenceResult> {
    TACIT_TRY(const Bytes input, state_.blobs().get(input_blob(job), kMaxStoredBytes));
    if (blake2b(input) != job.input)
      return Error{ErrorCode::kStateCorrupt, "the job's input was altered on the disk"};
    TACIT_TRY(const std::vector<ByteView> ciphertexts, unpack_input(input));
    return predict(run.prediction, ciphertexts, keys_, cache_, steps);
  };
  say("job begins", job);
  const Clock::time_point start = Clock::now();
  Result<InferenceResult> result = guarded("there was no memory for this job; submit it again later", work);
  const double took = milliseconds_since(start);
  const auto since_submitted = static_cast<double>(std::max<Time>(job.started - job.created, 0));
  // The first stage waited since it was submitted; when a later one was queued is not known.
  const double waited = job.stage == 0 ? since_submitted : 0;
  const runtime::Model& model = *run.prediction.model->model;
  metrics_.inference(model.name(), model.client_half().batch(), waited, took, result);
  if (result.ok()) {
    result->queue_ms = since_submitted;
    succeed(job, std::move(result).value(), job.stage + 1 == model.stages().size());
  } else if (result.error().code != ErrorCode::kCancelled) {
    fail(job, result.error());
  } else if (stopping_) {
    // Where this cannot be written, the next start finds it running and queues it again.
    if (const auto back = queue_.put_back(job); !back.ok())
      log_error("a job is queued again at the next start", back.error(), job.request_id);
    board_.state(job.id, JobState::kQueued);
  } else {
    // Its row says so already.
    board_.state(job.id, JobState::kCancelled);
  }
  run.ended = true;
}

void Jobs::succeed(const Job& job, InferenceResult result, bool last) {
  settle([this, job, last, bytes = pack_result(inference_response(result))]() -> Status {
    const Digest digest = blake2b(bytes);
    TACIT_CHECK(state_.blobs().put(result_blob(job), bytes));
    const Time time = now();
    TACIT_TRY(const bool done, last ? queue_.succeed(job, digest, time, time + limits_.keep_results)
                                    : queue_.await_client(job, digest, time, time + limits_.wait_for_client));
    if (!done) {
      // Cancelled meanwhile, or an earlier try was written though it failed.
      const auto row = queue_.find(job.tenant, job.id);
      if (!row.ok() && row.error().code != ErrorCode::kJobUnknown) return row.error();
      if (!row.ok() || row->result != digest) {
        remove_blobs(job);
        return {};
      }
    }
    remove_blob(input_blob(job), job);
    const JobState state = last ? JobState::kSucceeded : JobState::kAwaitingClient;
    say(last ? "job succeeded" : "job awaits its client", job);
    note_end(job, state, "ok");
    board_.state(job.id, state);
    return {};
  });
}

void Jobs::fail(const Job& job, const Error& error) {
  if (status_of(error.code) == 500)
    log_error("job failed", {{"request_id", job.request_id},
                             {"job_id", job.id},
                             {"model", job.model},
                             {"code", to_string(error.code)},
                             {"error", error.message}});
  else
    say("job failed", job);
  settle([this, job, error]() -> Status {
    const Time time = now();
    TACIT_TRY(const bool done, queue_.fail(job, error, time, time + limits_.keep_results));
    remove_blobs(job);
    if (!done) {  // cancelled meanwhile, or an earlier try was written though it failed
      const auto row = queue_.find(job.tenant, job.id);
      if (!row.ok() || row->state != JobState::kFailed) return {};
    }
    note_end(job, JobState::kFailed, to_string(error.code));
    board_.state(job.id, JobState::kFailed);
    return {};
  });
}

void Jobs::note_end(const Job& job, JobState state, std::string_view code) {
  Json line = audit_event("job.ended");
  line["tenant"] = job.tenant;
  line["request_id"] = job.request_id;
  line["job_id"] = job.id;
  line["model"] = job.model;
  line["stage"] = job.stage;
  line["state"] = std::string(to_string(state));
  line["code"] = code;
  audit_.record_soon(std::move(line));
}

void Jobs::settle(std::function<Status()> work) {
  if (try_to(work)) return;
  const std::lock_guard lock(mutex_);
  unsettled_.push_back(std::move(work));
}

bool Jobs::try_to(const std::function<Status()>& work) noexcept {
  constexpr std::string_view kTrouble = "a job's end cannot be written and is tried again";
  bool done = false;
  keep_going(kTrouble, [&] {
    const Status status = work();
    done = status.ok();
    if (done) return;
    log_error(kTrouble, status.error());
    health_.note(status.error());
  });
  return done;
}

// A commit whose last sync fails may be durable all the same: then a job is claimed and nobody has it.
Status Jobs::put_back_strays() {
  const std::lock_guard claiming(claiming_);
  TACIT_TRY(const std::vector<Job> jobs, queue_.jobs());
  for (const Job& job : jobs) {
    if (job.state != JobState::kRunning) continue;
    {
      const std::lock_guard lock(mutex_);
      if (!unsettled_.empty()) return {};  // it may be one of these
      if (running_.contains(job.id)) continue;
    }
    TACIT_CHECK(queue_.put_back(job));
  }
  strays_ = false;
  return {};
}

void Jobs::maintain() {
  Clock::time_point expiry = Clock::now();
  while (!stopping_) {
    const bool all = keep_going("jobs are looked after later", [&] {
      settle_rest();
      if (Clock::now() < expiry) return;
      expiry = Clock::now() + kExpiry;
      expire();
    });
    if (!all) strays_ = true;
    std::unique_lock lock(mutex_);
    // A claim that failed is not repeated by the executor.
    if (unsettled_.empty()) executor_.wake();
    woken_.wait_for(lock, kRetry, [this] { return stopping_.load(); });
  }
}

void Jobs::settle_rest() {
  std::vector<std::function<Status()>> unsettled;
  {
    const std::lock_guard lock(mutex_);
    unsettled.swap(unsettled_);
  }
  std::erase_if(unsettled, [this](const std::function<Status()>& work) { return try_to(work); });
  if (unsettled.empty() && strays_)
    if (const Status status = put_back_strays(); !status.ok())
      log_error("no job can be put back", status.error());
  const std::lock_guard lock(mutex_);
  unsettled.swap(unsettled_);
  unsettled_.insert(unsettled_.end(), std::make_move_iterator(unsettled.begin()),
                    std::make_move_iterator(unsettled.end()));
}

void Jobs::expire() {
  const Time time = now();
  const Result<std::vector<Job>> gone = queue_.expire(time, time + limits_.keep_results);
  if (!gone.ok()) return log_error("old results are not removed", gone.error());
  for (const Job& job : *gone) remove_blobs(job);
}

}  // namespace tacit::server
