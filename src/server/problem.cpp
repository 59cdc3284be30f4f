// SPDX-License-Identifier: Apache-2.0
#include "server/problem.h"

#include "server/json.h"
#include "server/limits.h"

namespace tacit::server {
namespace {

// Whether the same request may succeed a little later.
bool passes_by_itself(ErrorCode code) {
  return code == ErrorCode::kServerBusy || code == ErrorCode::kServerStopping ||
         code == ErrorCode::kOutOfMemory;
}

}  // namespace

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kRequestMalformed:
      return 400;
    case ErrorCode::kHttpVersion:
      return 400;
    case ErrorCode::kJsonMalformed:
      return 400;
    case ErrorCode::kAuthentication:
      return 401;
    case ErrorCode::kScope:
      return 403;
    case ErrorCode::kMethodNotAllowed:
      return 405;
    case ErrorCode::kRequestTimeout:
      return 408;
    case ErrorCode::kLengthRequired:
      return 411;
    case ErrorCode::kMediaType:
      return 415;
    case ErrorCode::kExpectation:
      return 417;
    case ErrorCode::kRateLimited:
    case ErrorCode::kQuota:
      return 429;
    case ErrorCode::kHeadersTooLarge:
      return 431;
    case ErrorCode::kDiskFull:
      return 507;
    default:
      break;
  }
  switch (kind_of(code)) {
    case ErrorKind::kInvalid:
      return 422;
    case ErrorKind::kNotFound:
      return 404;
    case ErrorKind::kConflict:
      return 409;
    case ErrorKind::kTooLarge:
      return 413;
    case ErrorKind::kUnavailable:
      return 503;
    case ErrorKind::kFault:
      break;
  }
  return 500;
}

Response problem_response(const Error& error, std::string_view instance) {
  return problem_response(error, instance, Json::object());
}

Response problem_response(const Error& error, std::string_view instance, const Json& extra) {
  const int status = status_of(error.code);
  const std::string code(to_string(error.code));
  // What went wrong inside belongs into the log, not to the other side of the network.
  const std::string detail = status == 500 ? std::string(meaning_of(error.code)) : error.message;
  Json problem = {{"type", "urn:tacit:problem:" + code},
                  {"title", std::string(meaning_of(error.code))},
                  {"status", status},
                  {"detail", detail},
                  {"instance", std::string(instance)},
                  {"code", code},
                  {"error", detail}};
  problem.update(extra);
  const std::string text = dump(problem);
  Response response;
  response.status = status;
  response.fields.add("Content-Type", "application/problem+json");
  response.fields.add("Cache-Control", "no-store");
  if (passes_by_itself(error.code)) response.fields.add("Retry-After", std::to_string(kRetryAfterSeconds));
  response.body.assign(text.begin(), text.end());
  return response;
}

}  // namespace tacit::server
