// SPDX-License-Identifier: Apache-2.0
#include "server/application.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/stopwatch.h"
#include "server/keep_going.h"
#include "server/problem.h"
#include "server/process_info.h"
#include "server/routes/routes.h"

namespace tacit::server {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kNoMemory = "there is no memory for this request now; try again later";

// With the sizes that were left open, from the memory that there is: half of it for what runs, an eighth each for keys that are kept
// and for bodies, and so a quarter for models and all else.
ApplicationOptions settled(ApplicationOptions options) {
  const std::uint64_t memory = memory_there_is();
  if (options.memory_bytes == 0) options.memory_bytes = memory / 2;
  if (options.key_cache_bytes == 0) options.key_cache_bytes = memory / 8;
  if (options.max_body_bytes_in_flight == 0) options.max_body_bytes_in_flight = memory / 8;
  // A longer one would never be taken.
  options.max_body_bytes = std::min(options.max_body_bytes, options.max_body_bytes_in_flight);
  log_info("memory", {{"there_is", memory},
                      {"predictions", options.memory_bytes},
                      {"keys", options.key_cache_bytes},
                      {"bodies", options.max_body_bytes_in_flight}});
  return options;
}

Executor::Limits executor_limits(const ApplicationOptions& options) {
  return {options.cores > 0 ? options.cores : std::max(std::thread::hardware_concurrency(), 1u),
          options.memory_bytes, options.max_waiting_inferences};
}

Jobs::Limits job_limits(const ApplicationOptions& options) {
  Jobs::Limits limits;
  limits.quota = {options.quota.jobs, options.quota.results, options.max_jobs};
  limits.keep_results = limits.wait_for_client = options.keep_results.count();
  return limits;
}

}  // namespace

class RouteExchange final : public Exchange, public std::enable_shared_from_this<RouteExchange> {
 public:
  RouteExchange(Application& application, const Endpoint& endpoint, Call call, std::size_t prefix)
      : application_(application), endpoint_(endpoint), call_(std::move(call)), prefix_(prefix) {}
  ~RouteExchange() override { application_.release(reserved_); }
  RouteExchange(const RouteExchange&) = delete;
  RouteExchange& operator=(const RouteExchange&) = delete;

  bool reserve() {
    if (!application_.reserve(body_bytes())) return false;
    reserved_ = body_bytes();
    return true;
  }

  std::uint64_t body_bytes() const override { return call_.head.content_length.value_or(0); }
  std::size_t prefix_bytes() const override { return prefix_; }

  std::optional<Response> inspect(ByteView prefix) override {
    if (!endpoint_.inspect) return std::nullopt;
    const Status status =
        guarded(kNoMemory, [&] { return endpoint_.inspect(call_.head, call_.path, prefix); });
    if (status.ok()) return std::nullopt;
    return application_.refuse(status.error(), call_.head, call_.instance, endpoint_.pattern);
  }

  void run(Bytes body, std::function<void(Response)> done) override {
    call_.body = std::move(body);
    go_on(guarded(kNoMemory, [&]() -> Outcome { return endpoint_.handle(call_); }), done);
  }

  void cancel() override { cancelled_ = true; }

 private:
  using Done = std::function<void(Response)>;
  using Work = std::function<Outcome(const WorkContext&)>;

  // What an outcome asks for next, until it is an answer.
  void go_on(Outcome outcome, const Done& done) noexcept {
    if (keep_going("a request was given up", [&] { proceed(std::move(outcome), done); })) return;
    const bool said = keep_going("a refusal has no words", [&] {
      refuse({ErrorCode::kOutOfMemory, std::string(kNoMemory)}, done);
    });
    if (said) return;
    Response wordless;
    wordless.status = status_of(ErrorCode::kOutOfMemory);
    done(std::move(wordless));
  }

  void proceed(Outcome outcome, const Done& done) {
    if (auto* response = std::get_if<Response>(&outcome)) return done(std::move(*response));
    if (auto* error = std::get_if<Error>(&outcome)) return refuse(std::move(*error), done);
    if (auto* awaited = std::get_if<Awaited>(&outcome))
      return awaited->begin(
          [self = shared_from_this(), done](Outcome next) { self->go_on(std::move(next), done); });
    if (auto* later = std::get_if<Later>(&outcome)) {
      if (!application_.blocking_.submit(continuation(std::move(later->work), done)))
        refuse({ErrorCode::kServerBusy, "as many requests as allowed are waiting already; try again later"},
               done);
      return;
    }
    Turn& turn = *std::get_if<Turn>(&outcome);
    auto pulse = std::make_shared<Pulse>();
    Task task{std::move(turn.group), turn.bytes, continuation(std::move(turn.work), done, pulse), pulse,
              call_.tenant};
    const Status taken = application_.executor_.submit(std::move(task));
    if (!taken.ok()) refuse(taken.error(), done);
  }

  std::function<void()> continuation(Work work, const Done& done, std::shared_ptr<Pulse> pulse = nullptr) {
    return [self = shared_from_this(), work = std::move(work), done, pulse = std::move(pulse),
            submitted = Clock::now()] {
      const double waited = milliseconds_since(submitted);
      const auto cancelled = [] { return Outcome(Error{ErrorCode::kCancelled, "the run was cancelled"}); };
      self->go_on(self->cancelled_
                      ? cancelled()
                      : guarded(kNoMemory,
                                [&]() -> Outcome {
                                  return work(WorkContext{self->cancelled_, waited, pulse.get()});
                                }),
                  done);
    };
  }

  void refuse(Error error, const Done& done) {
    if (error.code == ErrorCode::kCancelled && application_.stopping_) {
      error = Error{ErrorCode::kServerStopping,
                    "the server is about to end and stopped this run; try another one"};
    }
    Response response = application_.refuse(error, call_.head, call_.instance, endpoint_.pattern);
    // A job or a prediction of the tenant may end meanwhile; keys stay until somebody deletes them.
    const bool may_pass = error.code == ErrorCode::kQuota && endpoint_.scope == kScopeInfer;
    if (error.code == ErrorCode::kServerBusy || may_pass)
      response.fields.set("Retry-After", application_.executor_.retry_after());
    done(std::move(response));
  }

  Application& application_;
  const Endpoint& endpoint_;
  Call call_;
  const std::size_t prefix_;
  std::uint64_t reserved_ = 0;
  std::atomic<bool> cancelled_ = false;
};

Status check_head(const RequestHead& head) {
  if (head.fields.size() > kMaxHeaderFields) {
    return Error{ErrorCode::kHeadersTooLarge,
                 "the header has more than " + std::to_string(kMaxHeaderFields) + " fields"};
  }
  if (head.version != 10 && head.version != 11) {
    return Error{ErrorCode::kHttpVersion, "this server speaks HTTP/1.1"};
  }
  if (head.version == 11 && !head.fields.find("Host")) {
    return Error{ErrorCode::kRequestMalformed, "the field Host is missing"};
  }
  if (head.transfer_encoding) {
    return Error{ErrorCode::kLengthRequired,
                 "a body must come with Content-Length, not with Transfer-Encoding"};
  }
  if (head.fields.find("Content-Encoding")) {
    return Error{ErrorCode::kMediaType, "bodies must not be compressed; send it without Content-Encoding"};
  }
  if (const auto expected = head.fields.find("Expect");
      expected && !equal_ignoring_case(*expected, "100-continue")) {
    return Error{ErrorCode::kExpectation, "the field Expect may only be 100-continue"};
  }
  return {};
}

Result<std::unique_ptr<Application>> Application::create(const ApplicationOptions& options) {
  TACIT_TRY(ModelRegistry models, ModelRegistry::load(options.models, options.flooding));
  return create(std::move(models), options);
}

Result<std::unique_ptr<Application>> Application::create(ModelRegistry models,
                                                         const ApplicationOptions& given) {
  const ApplicationOptions options = settled(given);
  TACIT_TRY(std::unique_ptr<State> state, State::open(options.state));
  auto audit = std::unique_ptr<Audit>(Audit::none());
  if (options.audit) { TACIT_TRY(audit, Audit::open(options.state / "audit", options.audit_keep_bytes)); }
  std::unique_ptr<Application> application(
      new Application(std::move(models), std::move(state), std::move(audit), options));
  TACIT_TRY(application->gate_, Gate::create(application->state_->ledger(), options.quota));
  TACIT_TRY(const std::size_t orphans, application->state_->sweep());
  if (orphans > 0) log_warning("files removed that nobody was told of", {{"files", orphans}});
  application->warn_of_large_models();
  TACIT_CHECK(application->note_start(options));
  TACIT_CHECK(application->jobs_.start());
  application->retention_.start();
  return application;
}

Application::Application(ModelRegistry models, std::unique_ptr<State> state, std::unique_ptr<Audit> audit,
                         const ApplicationOptions& options)
    : health_(options.state),
      models_(std::move(models), options.models, options.flooding),
      state_(std::move(state)),
      audit_(std::move(audit)),
      keys_(
          state_->ledger(), state_->blobs(),
          [this](ByteView bytes) -> Result<ckks::KeyHeader> {
            TACIT_TRY(const ckks::KeyHeader header, ckks::read_key_header(bytes));
            TACIT_TRY(const std::shared_ptr<const ServedModel> served, models_.now()->model_for(header));
            return ckks::check_key(served->model->parameters(), bytes);
          },
          options.quota),
      cache_(options.key_cache_bytes),
      executor_(executor_limits(options)),
      jobs_(*state_, models_, keys_, cache_, executor_, metrics_, health_, *audit_, job_limits(options)),
      inference_quota_(state_->ledger(), options.quota.inferences_per_day),
      retention_(keys_, cache_, *audit_, options.keep_idle_keys.count()),
      max_in_flight_(options.max_body_bytes_in_flight),
      services_{models_,
                keys_,
                cache_,
                executor_,
                jobs_,
                inference_quota_,
                metrics_,
                *audit_,
                health_,
                options.max_silence,
                options.max_body_bytes,
                stopping_},
      blocking_(kBlockingThreads, kMaxBlockingJobs) {
  add_all_routes(router_, services_);
}

Application::~Application() {
  retention_.stop();
  jobs_.stop();
  executor_.stop();
  blocking_.stop();
}

void Application::announce_stop() {
  stopping_ = true;
  jobs_.hold();
}

// The first lines of the audit log: with what the server begins.
Status Application::note_start(const ApplicationOptions& options) {
  Json line = audit_event("server.start");
  line["version"] = TACIT_VERSION;
  line["configuration"] = options.configuration;
  line["open_mode"] = is_open();
  TACIT_CHECK(audit_->record(std::move(line)));
  return audit_models(*audit_, ModelRegistry(), *models_.now(), Json::object());
}

void Application::note_end(bool whole) {
  Json line = audit_event("server.stop");
  line["whole"] = whole;
  if (const Status status = audit_->record_last(std::move(line)); !status.ok())
    log_error("the end of the server is not in the audit log", status.error());
}

// Such a model is offered, for its plan tells the client what it would cost, but no prediction will run.
void Application::warn_of_large_models() const {
  for (const auto& [name, served] : models_.now()->models())
    if (const Status status = executor_.admits(served->model->run_bytes()); !status.ok())
      log_warning("every prediction with this model will be refused",
                  {{"model", name}, {"error", status.error().message}});
}

Status Application::reload_models() {
  const auto before = models_.now();
  const Status status = models_.reload();
  metrics_.models_reloaded(status.ok() && models_.now()->all_loaded());
  TACIT_CHECK(status);
  warn_of_large_models();
  return audit_models(*audit_, *before, *models_.now(), {{"by", "SIGHUP"}});
}

void Application::reload() {
  constexpr std::string_view kTrouble = "the models stay as they were";
  keep_going(kTrouble, [&] {
    if (const Status status = reload_models(); !status.ok()) log_error(kTrouble, status.error());
  });
}

std::string_view Application::route_of(Method method, std::string_view target) const {
  const auto matched = router_.match(method, target);
  const auto* match = std::get_if<RouteMatch>(&matched);
  return match == nullptr ? std::string_view() : std::string_view(match->endpoint->pattern);
}

// An error as an answer, and everything that has to know of it; what is the server's own fault is written to the log in full.
Response Application::refuse(const Error& error, const RequestHead& head, std::string_view instance,
                             std::string_view route) {
  if (status_of(error.code) == 500) log_error("request failed", error, head.id);
  health_.note(error);
  if (error.code == ErrorCode::kAuthentication || error.code == ErrorCode::kScope) {
    metrics_.authentication_failed(error.code == ErrorCode::kScope ? "scope" : "token");
    audit_->refused(error, head.id);
  } else if (error.code == ErrorCode::kRateLimited) {
    metrics_.quota_refused("rate");
  } else if (error.code == ErrorCode::kQuota) {
    metrics_.quota_refused(route.starts_with("/v2/keys") ? "keys" : "jobs");
  }
  return problem_response(error, instance);
}

bool Application::reserve(std::uint64_t bytes) {
  std::uint64_t taken = in_flight_;
  do {
    if (bytes > max_in_flight_ || taken > max_in_flight_ - bytes) return false;
  } while (!in_flight_.compare_exchange_weak(taken, taken + bytes));
  return true;
}

std::variant<Response, std::shared_ptr<Exchange>> Application::open(RequestHead head) {
  const std::string instance = printable_path(head.target);
  std::string_view route;
  auto refuse = [&](const Error& error) { return this->refuse(error, head, instance, route); };
  if (const Status status = check_head(head); !status.ok()) return refuse(status.error());

  auto matched = router_.match(head.method, head.target);
  if (const auto* refusal = std::get_if<RouteRefusal>(&matched)) {
    Response response = refuse(refusal->error);
    if (!refusal->allow.empty()) response.fields.add("Allow", refusal->allow);
    return response;
  }
  RouteMatch& match = *std::get_if<RouteMatch>(&matched);
  const Endpoint& endpoint = *match.endpoint;
  route = endpoint.pattern;

  int retry_after = 0;
  const auto identity = gate_->admit(head, endpoint.scope, retry_after);
  if (!identity.ok()) {
    Response response = refuse(identity.error());
    if (response.status == 401) response.fields.add("WWW-Authenticate", "Bearer");
    if (retry_after > 0) response.fields.add("Retry-After", std::to_string(retry_after));
    return response;
  }

  BodyPlan plan;
  if (endpoint.plan_body) {
    const auto planned = guarded(kNoMemory, [&] { return endpoint.plan_body(head, match.path); });
    if (!planned.ok()) return refuse(planned.error());
    plan = *planned;
  }
  // Without the field there is no body (RFC 9112, section 6.3).
  const std::uint64_t length = head.content_length.value_or(0);
  const std::uint64_t limit = std::min(plan.limit, services_.max_body_bytes);
  if (length > limit) {
    return refuse({ErrorCode::kDataTooLarge, "the body may have at most " + std::to_string(limit) +
                                                 " bytes here; Content-Length says " +
                                                 std::to_string(length)});
  }
  if (length < plan.prefix) {
    return refuse(
        {ErrorCode::kDataTruncated, "the body must have at least " + std::to_string(plan.prefix) + " bytes"});
  }
  auto exchange = std::make_shared<RouteExchange>(
      *this, endpoint, Call{head, std::move(match.path), {}, instance, identity->tenant, identity->token},
      plan.prefix);
  if (!exchange->reserve()) {
    return refuse({ErrorCode::kServerBusy, "too many bytes are being received already; try again later"});
  }
  return exchange;
}

}  // namespace tacit::server
