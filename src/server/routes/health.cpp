// SPDX-License-Identifier: Apache-2.0
// What the server is, whether it runs, and whether all that it was given to serve can be used.
#include "server/json.h"
#include "server/routes/routes.h"

namespace tacit::server {
namespace {

// The protocol wants a status of the 400s where the answer is no.
constexpr int kNotReady = 400;

Outcome server_metadata(const Call&) {
  return json_response(200, {{"name", "tacit"},
                             {"version", TACIT_VERSION},
                             {"extensions", Json::array({"binary_tensor_data", "model_repository"})}});
}

Outcome live(const Call&) { return json_response(200, {{"live", true}}); }

Outcome ready(const Services& services) {
  if (services.stopping)
    return json_response(kNotReady, {{"ready", false}, {"reason", "the server is about to end"}});
  const auto registry = services.models.now();
  if (registry->all_ready()) return json_response(200, {{"ready", true}});
  Json unavailable = Json::array();
  for (const ModelState& state : registry->states()) {
    if (!state.ready) unavailable.push_back({{"name", state.name}, {"reason", state.reason}});
  }
  return json_response(kNotReady, {{"ready", false}, {"unavailable", unavailable}});
}

}  // namespace

void add_health_routes(Router& router, const Services& services) {
  router.add({Method::kGet, "/v2", 0, {}, {}, server_metadata});
  router.add({Method::kGet, "/v2/health/live", 0, {}, {}, live});
  router.add(
      {Method::kGet, "/v2/health/ready", 0, {}, {}, [&services](const Call&) { return ready(services); }});
}

}  // namespace tacit::server
