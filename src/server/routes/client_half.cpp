// SPDX-License-Identifier: Apache-2.0
// The public half of a model (protocol/client-half.md). It changes only with the model, so clients may keep it.
#include "server/routes/routes.h"

namespace tacit::server {
namespace {

// Whether an If-None-Match field names the tag (RFC 9110, section 13.1.2: weak comparison).
bool names_tag(std::string_view field, std::string_view etag) {
  return field == "*" || field.find(etag) != std::string_view::npos;
}

Outcome client_half(const Services& services, const Call& call) {
  auto served = model_of(services, call.path);
  if (!served.ok()) return std::move(served).error();
  Response response;
  response.fields.add("ETag", (*served)->etag);
  response.fields.add("Cache-Control", "no-cache");
  const auto known = call.head.fields.find("If-None-Match");
  if (known && names_tag(*known, (*served)->etag)) {
    response.status = 304;
    return response;
  }
  const std::string& json = (*served)->model->client_json();
  response.fields.add("Content-Type", "application/json");
  response.body.assign(json.begin(), json.end());
  return response;
}

}  // namespace

void add_client_half_routes(Router& router, const Services& services) {
  add_model_endpoint(router, "/client",
                     {Method::kGet, {}, kScopeInfer, {}, {}, [&services](const Call& call) {
                        return client_half(services, call);
                      }});
}

}  // namespace tacit::server
