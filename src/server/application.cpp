// SPDX-License-Identifier: Apache-2.0
#include "server/application.h"

#include <algorithm>
#include <chrono>
#include <new>

#include "server/log.h"
#include "server/problem.h"
#include "server/routes/routes.h"

namespace tacit::server {
namespace {

using Clock = std::chrono::steady_clock;

// An error as an answer; what is the server's own fault is written to the log in full.
Response answer(const Error& error, const RequestHead& head, std::string_view instance) {
  if (status_of(error.code) == 500) log_error(head.id + " " + error.to_line());
  return problem_response(error, instance);
}

Response answer(Result<Response> result, const RequestHead& head, std::string_view instance) {
  return result.ok() ? std::move(result).value() : answer(result.error(), head, instance);
}

// `work`, with what libraries throw turned into errors.
template <class Work>
auto guarded(const Work& work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kOutOfMemory, "there is no memory for this request now; try again later"};
  } catch (const std::exception& failure) { return Error{ErrorCode::kInternal, failure.what()}; }
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
    const Status status = guarded([&] { return endpoint_.inspect(call_.head, call_.path, prefix); });
    if (status.ok()) return std::nullopt;
    return answer(status.error(), call_.head, call_.instance);
  }

  void run(Bytes body, std::function<void(Response)> done) override {
    call_.body = std::move(body);
    Outcome outcome = guarded([&]() -> Outcome { return endpoint_.handle(call_); });
    if (auto* response = std::get_if<Response>(&outcome)) return done(std::move(*response));
    if (auto* error = std::get_if<Error>(&outcome)) return done(answer(*error, call_.head, call_.instance));
    Later& later = *std::get_if<Later>(&outcome);
    JobPool& pool = later.pool == Pool::kInference ? application_.inference_ : application_.blocking_;
    const bool taken = pool.submit([self = shared_from_this(), work = std::move(later.work), done,
                                    submitted = Clock::now()] { self->finish(work, done, submitted); });
    if (!taken) {
      done(answer(
          Error{ErrorCode::kServerBusy, "as many requests as allowed are waiting already; try again later"},
          call_.head, call_.instance));
    }
  }

  void cancel() override { cancelled_ = true; }

 private:
  void finish(const std::function<Result<Response>(const WorkContext&)>& work,
              const std::function<void(Response)>& done, Clock::time_point submitted) {
    const std::chrono::duration<double, std::milli> waited = Clock::now() - submitted;
    Result<Response> result =
        cancelled_ ? Result<Response>(Error{ErrorCode::kCancelled, "the run was cancelled"}) : guarded([&] {
          return work(WorkContext{cancelled_, waited.count()});
        });
    if (!result.ok() && result.error().code == ErrorCode::kCancelled && application_.stopping_) {
      result = Error{ErrorCode::kServerStopping,
                     "the server is about to end and stopped this run; try another one"};
    }
    done(answer(std::move(result), call_.head, call_.instance));
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
                                                         const ApplicationOptions& options) {
  TACIT_TRY(std::unique_ptr<State> state, State::open(options.state));
  std::unique_ptr<Application> application(new Application(std::move(models), std::move(state), options));
  TACIT_TRY(application->gate_, Gate::create(application->state_->ledger(), options.quota));
  TACIT_TRY(const std::size_t orphans, application->keys_.sweep());
  if (orphans > 0) log_warning(std::to_string(orphans) + " evaluation keys removed that nobody was told of");
  return application;
}

Application::Application(ModelRegistry models, std::unique_ptr<State> state,
                         const ApplicationOptions& options)
    : models_(std::move(models)),
      state_(std::move(state)),
      keys_(
          state_->ledger(), state_->blobs(),
          [this](ByteView bytes) -> Result<ckks::KeyHeader> {
            TACIT_TRY(const ckks::KeyHeader header, ckks::read_key_header(bytes));
            TACIT_TRY(const ckks::Parameters* parameters, models_.parameters_for(header));
            return ckks::check_key(*parameters, bytes);
          },
          options.quota),
      cache_(options.key_cache_bytes),
      services_{models_, keys_, cache_, options.max_body_bytes, stopping_},
      blocking_(kBlockingThreads, kMaxBlockingJobs),
      inference_(1, options.max_waiting_inferences) {
  add_all_routes(router_, services_);
}

Application::~Application() {
  inference_.stop();
  blocking_.stop();
}

bool Application::reserve(std::uint64_t bytes) {
  std::uint64_t taken = in_flight_;
  do {
    if (bytes > kMaxBodyBytesInFlight || taken > kMaxBodyBytesInFlight - bytes) return false;
  } while (!in_flight_.compare_exchange_weak(taken, taken + bytes));
  return true;
}

std::variant<Response, std::shared_ptr<Exchange>> Application::open(RequestHead head) {
  const std::string instance = printable_path(head.target);
  auto refuse = [&](const Error& error) { return answer(error, head, instance); };
  if (const Status status = check_head(head); !status.ok()) return refuse(status.error());

  auto matched = router_.match(head.method, head.target);
  if (const auto* refusal = std::get_if<RouteRefusal>(&matched)) {
    Response response = refuse(refusal->error);
    if (!refusal->allow.empty()) response.fields.add("Allow", refusal->allow);
    return response;
  }
  RouteMatch& match = *std::get_if<RouteMatch>(&matched);
  const Endpoint& endpoint = *match.endpoint;

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
    const auto planned = guarded([&] { return endpoint.plan_body(head, match.path); });
    if (!planned.ok()) return refuse(planned.error());
    plan = *planned;
    if (!head.content_length) {
      return refuse({ErrorCode::kLengthRequired, "the field Content-Length is missing"});
    }
  }
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
      *this, endpoint, Call{head, std::move(match.path), {}, instance, identity->tenant}, plan.prefix);
  if (!exchange->reserve()) {
    return refuse({ErrorCode::kServerBusy, "too many bytes are being received already; try again later"});
  }
  return exchange;
}

}  // namespace tacit::server
