// SPDX-License-Identifier: Apache-2.0
// Running a model on ciphertexts (protocol/inference.md): on the connection, or as a job (protocol/jobs.md). Everything that can be
// refused is refused before the request waits for its turn.
#include <algorithm>
#include <chrono>

#include "base/stopwatch.h"
#include "server/json.h"
#include "server/limits.h"
#include "server/log.h"
#include "server/problem.h"
#include "server/routes/routes.h"

namespace tacit::server {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxIdempotencyKeyBytes = 255;

// Preferences that the server knows (RFC 7240); others, "wait" among them, are to be ignored.
bool wants_job(const RequestHead& head) {
  const std::string_view field = head.fields.find("Prefer").value_or("");
  std::size_t start = 0;
  while (start <= field.size()) {
    const std::size_t end = std::min(field.find(',', start), field.size());
    std::string_view item = field.substr(start, end - start);
    item = item.substr(0, item.find(';'));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (equal_ignoring_case(item, "respond-async")) return true;
    start = end + 1;
  }
  return false;
}

// Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07): a quoted string; one without quotes is taken as well.
Result<std::optional<std::string>> idempotency_key(const RequestHead& head) {
  const auto field = head.fields.find("Idempotency-Key");
  if (!field) return std::optional<std::string>();
  std::string_view key = *field;
  if (key.size() >= 2 && key.starts_with('"') && key.ends_with('"')) key = key.substr(1, key.size() - 2);
  const bool sound =
      !key.empty() && key.size() <= kMaxIdempotencyKeyBytes &&
      std::ranges::all_of(key, [](char c) { return c > ' ' && c < 127 && c != '"' && c != '\\'; });
  if (!sound)
    return Error{ErrorCode::kRequestMalformed,
                 "Idempotency-Key must have 1 to 255 visible characters, in quotes"};
  return std::optional(std::string(key));
}

// Of everything that makes two requests the same one.
Digest digest_of(const Call& call) {
  ByteWriter out;
  for (const std::string_view part :
       {std::string_view(call.instance), call.head.fields.find(kInferenceHeaderLength).value_or(""),
        call.head.fields.find(kKeyIdField).value_or(""), call.head.fields.find(kStageField).value_or("")})
    out.string(part);
  out.raw(blake2b(call.body));
  return blake2b(std::move(out).take());
}

// A prediction on the connection has ended: for the metrics and, with others of the same second, the audit log.
void note_run(const Services& services, const Call& call, const Prediction& prediction, double queue_ms,
              double total_ms, const Result<InferenceResult>& result) {
  const runtime::Model& model = *prediction.model->model;
  services.metrics.inference(model.name(), model.client_half().batch(), queue_ms, total_ms, result);
  Json line = audit_event("prediction", call);
  line["model"] = model.name();
  line["key_id"] = to_hex(prediction.keys.id);
  line["stage"] = prediction.stage;
  line["code"] = result.ok() ? "ok" : to_string(result.error().code);
  services.audit.record_soon(std::move(line));
}

using Charge = std::shared_ptr<InferenceQuota::Charge>;

// `call` outlives the work.
Outcome run_now(const Services& services, const Call& call, const Prediction& prediction,
                const std::vector<ByteView>& ciphertexts, const Charge& charge) {
  return Turn{prediction.group(), prediction.model->model->run_bytes(),
              [&services, &call, prediction, ciphertexts, charge](const WorkContext& context) -> Outcome {
                charge->keep();
                const auto steps = [&](std::size_t, std::size_t, const std::string&) {
                  context.pulse->beat();
                  return !context.cancelled;
                };
                const Clock::time_point start = Clock::now();
                auto result = predict(prediction, ciphertexts, services.keys, services.cache, steps);
                Response response;
                if (result.ok()) {
                  result->queue_ms = context.queue_ms;
                  response = inference_response(*result);
                }
                note_run(services, call, prediction, context.queue_ms, milliseconds_since(start), result);
                if (!result.ok()) return std::move(result).error();
                return response;
              }};
}

// What a finished job answers, as if it had been waited for.
Outcome final_answer(const Services& services, const Job& job) {
  TACIT_TRY(Response response, services.jobs.result(job));
  response.fields.add("Location", "/v2/jobs/" + job.id);
  return response;
}

// Waits on the connection for a job that goes on without it.
Outcome await(const Services& services, const Job& job) {
  return Awaited{[&services, job](std::function<void(Outcome)> done) {
    struct Wait {
      std::function<void(Outcome)> done;
      std::atomic<bool> over = false;
    };
    const auto wait = std::make_shared<Wait>();
    wait->done = std::move(done);
    const auto rest = [&services, id = job.id, tenant = job.tenant, wait](bool stopping) {
      if (wait->over.exchange(true)) return;
      if (stopping)
        return wait->done(
            Error{ErrorCode::kServerStopping,
                  "the server is about to end; the job goes on after its next start, ask for it "
                  "with the same Idempotency-Key or at /v2/jobs/" +
                      id});
      wait->done(Later{[&services, id, tenant](const WorkContext&) -> Outcome {
        TACIT_TRY(const Job now, services.jobs.find(tenant, id));
        return final_answer(services, now);
      }});
    };
    const ProgressBoard::Watch watch =
        services.jobs.board().watch(job.id, [rest](const ProgressBoard::News& news) {
          if (news.state == JobState::kRunning) return true;
          rest(news.state == JobState::kQueued);
          return false;
        });
    // It may have ended before anybody watched.
    const auto now = services.jobs.find(job.tenant, job.id);
    if (now.ok() && !rests(now->state)) return;
    services.jobs.board().unwatch(job.id, watch);
    rest(false);
  }};
}

// The answer where a tenant's predictions are too many.
Response refuse_images(const Services& services, const Call& call, const Error& error, int retry_after) {
  services.metrics.quota_refused("predictions");
  Response response = problem_response(error, call.instance);
  if (retry_after > 0) response.fields.set("Retry-After", std::to_string(retry_after));
  return response;
}

Status note_job(const Services& services, const Call& call, const Job& job, bool repeated) {
  Json line = audit_event("job.accepted", call);
  line["job_id"] = job.id;
  line["model"] = job.model;
  line["key_id"] = to_hex(job.key_id);
  line["input"] = to_hex(job.input);
  if (repeated) line["repeated"] = true;
  return services.audit.record(std::move(line));
}

// What a request is answered whose key was used before. It has a line of its own in the audit log: where the first one's could not be
// written, or the server ended before it was, the client has asked again.
Outcome answer_again(const Services& services, const Call& call, const Job& job, bool async) {
  if (async || rests(job.state)) TACIT_CHECK(note_job(services, call, job, true));
  if (async) return accepted(services, job);
  if (!rests(job.state))
    return Error{
        ErrorCode::kIdempotencyInProgress,
        "the first request with this Idempotency-Key is still being worked on, as /v2/jobs/" + job.id};
  const Clock::time_point start = Clock::now();
  Outcome answer = final_answer(services, job);
  if (std::holds_alternative<Response>(answer))
    services.metrics.answered_again(job.model, milliseconds_since(start));
  return answer;
}

Outcome submit(const Services& services, const Call& call, const Prediction& prediction,
               const InferenceRequest& request, const std::optional<Idempotency>& idempotency, bool async,
               const Charge& charge) {
  Job job;
  job.tenant = call.tenant;
  job.model = prediction.model->model->name();
  job.stage = request.stage;
  job.key_id = request.key_id;
  job.request_id = call.head.id;
  job.client_id = request.id;
  job.timings = request.timings;
  TACIT_TRY(const Submission submission,
            services.jobs.submit(std::move(job), request.ciphertexts, idempotency));
  if (submission.repeated) return answer_again(services, call, submission.job, async);
  // A job that the audit log does not know must not be acknowledged, so it must not run either.
  if (const Status noted = note_job(services, call, submission.job, false); !noted.ok()) {
    if (const Status gone = services.jobs.withdraw(submission.job); !gone.ok())
      log_error("a job runs that is not in the audit log", gone.error(), call.head.id);
    return noted.error();
  }
  charge->keep();
  return async ? Outcome(accepted(services, submission.job)) : await(services, submission.job);
}

Outcome infer(const Services& services, const Call& call) {
  return Later{[&services, &call](const WorkContext&) -> Outcome {
    TACIT_TRY(std::shared_ptr<const ServedModel> served, model_of(services, call.path));
    TACIT_TRY(const InferenceRequest request, read_prediction(*served->model, call.head, call.body));
    TACIT_TRY(const std::optional<std::string> key, idempotency_key(call.head));
    const bool async = wants_job(call.head);
    std::optional<Idempotency> idempotency;
    if (key) {
      idempotency = Idempotency{*key, digest_of(call)};
      TACIT_TRY(const std::optional<Job> earlier, services.jobs.repeated(call.tenant, *idempotency));
      if (earlier) return answer_again(services, call, *earlier, async);
    }
    TACIT_TRY(const Prediction prediction,
              prepare_prediction(std::move(served), services.keys.ledger(), call.tenant, request));
    const runtime::Model& model = *prediction.model->model;
    TACIT_CHECK(services.executor.admits(model.run_bytes()));
    int retry_after = 0;
    const auto charge =
        services.inference_quota.take(call.tenant, model.client_half().batch(), now(), retry_after);
    if (!charge.ok()) {
      if (charge.error().code != ErrorCode::kQuota) return charge.error();
      return refuse_images(services, call, charge.error(), retry_after);
    }
    if (key || async) return submit(services, call, prediction, request, idempotency, async, *charge);
    return run_now(services, call, prediction, request.ciphertexts, *charge);
  }};
}

}  // namespace

void add_infer_routes(Router& router, const Services& services) {
  Endpoint endpoint;
  endpoint.method = Method::kPost;
  endpoint.scope = kScopeInfer;
  endpoint.plan_body = [&services](const RequestHead& head, const PathArguments& path) -> Result<BodyPlan> {
    TACIT_TRY(const std::shared_ptr<const ServedModel> served, model_of(services, path));
    return plan_prediction_body(*served->model, head);
  };
  endpoint.handle = [&services](const Call& call) { return infer(services, call); };
  add_model_endpoint(router, "/infer", std::move(endpoint));
}

}  // namespace tacit::server
