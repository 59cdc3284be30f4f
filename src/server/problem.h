// SPDX-License-Identifier: Apache-2.0
// Errors as HTTP answers: application/problem+json (RFC 9457), with the member "error" of the Open Inference Protocol.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"
#include "server/http_types.h"

namespace tacit::server {

// The one place that turns an error into an HTTP status: a few codes that HTTP has statuses for, else by kind.
int status_of(ErrorCode code);

// {"type", "title", "status", "detail", "instance", "code", "error"}, then the members of `extra` (an object).
Response problem_response(const Error& error, std::string_view instance);
Response problem_response(const Error& error, std::string_view instance, const nlohmann::ordered_json& extra);

}  // namespace tacit::server
