// SPDX-License-Identifier: Apache-2.0
// Jobs: where they are, what they made, the client's part of a refresh, and their end (protocol/jobs.md).
#include "server/job_events.h"
#include "server/json.h"
#include "server/limits.h"
#include "server/routes/routes.h"
#include "server/time_text.h"

namespace tacit::server {
namespace {

constexpr std::size_t kListed = 100;

Json time_or_null(Time time) { return time == 0 ? Json() : Json(time_text(time)); }

Result<Response> with_retry(const Services& services, const Job& job, Response response) {
  if (!rests(job.state)) response.fields.add("Retry-After", services.executor.retry_after());
  return response;
}

Outcome show_job(const Services& services, const Call& call) {
  return Later{[&services, &call](const WorkContext&) -> Outcome {
    TACIT_TRY(const Job job, services.jobs.find(call.tenant, call.path.get("job")));
    return with_retry(services, job, json_response(200, describe_job(services, job)));
  }};
}

Outcome list_jobs(const Services& services, const Call& call) {
  return Later{[&services, &call](const WorkContext&) -> Outcome {
    TACIT_TRY(const std::vector<Job> jobs, services.jobs.list(call.tenant, kListed));
    Json all = Json::array();
    for (const Job& job : jobs) all.push_back(describe_job(services, job));
    return json_response(200, {{"jobs", std::move(all)}});
  }};
}

Outcome result(const Services& services, const Call& call) {
  return Later{[&services, &call](const WorkContext&) -> Outcome {
    TACIT_TRY(const Job job, services.jobs.find(call.tenant, call.path.get("job")));
    return services.jobs.result(job);
  }};
}

Outcome events(const Services& services, const Call& call) {
  return Later{[&services, &call](const WorkContext&) -> Outcome {
    const std::string id(call.path.get("job"));
    TACIT_CHECK(services.jobs.find(call.tenant, id));
    const std::shared_ptr<JobEvents> stream = JobEvents::of(services.jobs.board(), id);
    // Read again, now that no change can be missed.
    TACIT_TRY(const Job job, services.jobs.find(call.tenant, id));
    // An EventSource that connects again after the last event is told to stop (204).
    if (is_final(job.state) && call.head.fields.find("Last-Event-ID"))
      return Response{.status = 204, .fields = {}, .body = {}};
    stream->begin(job);
    Response response;
    response.fields.add("Content-Type", "text/event-stream");
    response.fields.add("Cache-Control", "no-store");
    response.stream = stream;
    return response;
  }};
}

Outcome remove_job(const Services& services, const Call& call) {
  return Later{[&services, &call](const WorkContext&) -> Outcome {
    TACIT_TRY(const bool gone, services.jobs.remove(call.tenant, call.path.get("job")));
    Json line = audit_event(gone ? "job.deleted" : "job.cancelled", call);
    line["job_id"] = call.path.get("job");
    TACIT_CHECK(services.audit.record(std::move(line)));
    if (gone) return Response{.status = 204, .fields = {}, .body = {}};
    TACIT_TRY(const Job job, services.jobs.find(call.tenant, call.path.get("job")));
    return json_response(200, describe_job(services, job));
  }};
}

// Of the longest request to any model: which one the job has is not known without the disk.
Result<BodyPlan> plan_input(const Services& services, const RequestHead& head) {
  std::optional<BodyPlan> longest;
  std::optional<Error> refusal;
  for (const auto& [name, served] : services.models.now()->models()) {
    const auto plan = plan_prediction_body(*served->model, head);
    if (!plan.ok())
      refusal = plan.error();
    else if (!longest || longest->limit < plan->limit)
      longest = *plan;
  }
  if (longest) return *longest;
  if (refusal) return *refusal;
  return Error{ErrorCode::kModelUnknown, "no model is offered here now; try again later"};
}

Outcome input(const Services& services, const Call& call) {
  return Later{[&services, &call](const WorkContext&) -> Outcome {
    TACIT_TRY(const Job job, services.jobs.find(call.tenant, call.path.get("job")));
    TACIT_TRY(const std::shared_ptr<const ServedModel> served, services.models.now()->find(job.model));
    TACIT_TRY(const InferenceRequest request, read_prediction(*served->model, call.head, call.body));
    if (request.key_id != job.key_id)
      return Error{ErrorCode::kParametersMismatch, "the job runs with the keys " + to_hex(job.key_id)};
    if (job.state == JobState::kAwaitingClient && request.stage != job.stage + 1)
      return Error{ErrorCode::kRequestMalformed,
                   "the job waits for the input of stage " + std::to_string(job.stage + 1) +
                       ", the request is for stage " + std::to_string(request.stage)};
    TACIT_TRY(const Job resumed, services.jobs.resume(call.tenant, job.id, request.ciphertexts));
    Json line = audit_event("job.resumed", call);
    line["job_id"] = job.id;
    line["input"] = to_hex(resumed.input);
    TACIT_CHECK(services.audit.record(std::move(line)));
    return accepted(services, resumed);
  }};
}

}  // namespace

Json describe_job(const Services& services, const Job& job) {
  const std::optional<JobStep> step = services.jobs.board().step_of(job.id);
  const bool has_result = job.state == JobState::kSucceeded || job.state == JobState::kAwaitingClient;
  Json page = {{"job_id", job.id}, {"model", job.model}, {"version", std::string(kModelVersion)}};
  if (job.client_id) page["id"] = *job.client_id;
  page["key_id"] = to_hex(job.key_id);
  page["state"] = std::string(to_string(job.state));
  page["stage"] = job.stage;
  page["layer"] = step ? Json(step->layer) : Json();
  page["progress"] = has_result ? 1.0 : step ? step->share() : 0.0;
  page["attempt"] = job.attempt;
  if (job.state == JobState::kQueued)
    if (const auto before = services.jobs.position(job); before.ok()) page["position"] = *before;
  page["created"] = time_or_null(job.created);
  page["started"] = time_or_null(job.started);
  page["ended"] = time_or_null(job.ended);
  page["expires"] = time_or_null(job.expires);
  page["result"] = has_result ? Json("/v2/jobs/" + job.id + "/result") : Json();
  page["error"] =
      job.error ? Json{{"code", std::string(to_string(job.error->code))}, {"detail", job.error->message}}
                : Json();
  return page;
}

Response accepted(const Services& services, const Job& job) {
  Response response = json_response(202, describe_job(services, job));
  response.fields.add("Location", "/v2/jobs/" + job.id);
  response.fields.add("Retry-After", services.executor.retry_after());
  response.fields.add("Preference-Applied", "respond-async");
  return response;
}

void add_job_routes(Router& router, const Services& services) {
  const auto add = [&](Method method, std::string pattern, Outcome (*handle)(const Services&, const Call&)) {
    router.add({method, std::move(pattern), kScopeInfer, {}, {}, [&services, handle](const Call& call) {
                  return handle(services, call);
                }});
  };
  add(Method::kGet, "/v2/jobs", list_jobs);
  add(Method::kGet, "/v2/jobs/{job}", show_job);
  add(Method::kDelete, "/v2/jobs/{job}", remove_job);
  add(Method::kGet, "/v2/jobs/{job}/result", result);
  add(Method::kGet, "/v2/jobs/{job}/events", events);
  router.add(
      {Method::kPost,
       "/v2/jobs/{job}/input",
       kScopeInfer,
       [&services](const RequestHead& head, const PathArguments&) { return plan_input(services, head); },
       {},
       [&services](const Call& call) { return input(services, call); }});
}

}  // namespace tacit::server
