// SPDX-License-Identifier: Apache-2.0
// JSON from and to clients, without exceptions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "server/http_types.h"

namespace tacit::server {

using Json = nlohmann::ordered_json;

// An object, or kJsonMalformed. `what` begins the message, for instance "the request body".
Result<Json> parse_object(ByteView text, std::string_view what);
// The member of this name, or null where there is none.
const Json* member(const Json& object, const char* name);
// Bytes that are not UTF-8 are replaced; never throws for what came out of a request.
std::string dump(const Json& json);
// application/json, not to be stored by caches.
Response json_response(int status, const Json& json);

}  // namespace tacit::server
