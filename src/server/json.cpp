// SPDX-License-Identifier: Apache-2.0
#include "server/json.h"

#include "server/limits.h"

namespace tacit::server {

Result<Json> parse_object(ByteView text, std::string_view what) {
  if (text.size() > kMaxJsonBytes) {
    return Error{ErrorCode::kDataTooLarge, std::string(what) + " has " + std::to_string(text.size()) +
                                               " bytes of JSON where at most " +
                                               std::to_string(kMaxJsonBytes) + " are allowed"};
  }
  Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  if (json.is_discarded()) return Error{ErrorCode::kJsonMalformed, std::string(what) + " is not JSON"};
  if (!json.is_object()) return Error{ErrorCode::kJsonMalformed, std::string(what) + " is not a JSON object"};
  return json;
}

const Json* member(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Response json_response(int status, const Json& json) {
  const std::string text = dump(json);
  Response response;
  response.status = status;
  response.fields.add("Content-Type", "application/json");
  response.fields.add("Cache-Control", "no-store");
  response.body.assign(text.begin(), text.end());
  return response;
}

}  // namespace tacit::server
