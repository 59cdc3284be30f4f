// SPDX-License-Identifier: Apache-2.0
// What the server is, whether it gets on, and whether it takes work: what cannot be written, served or queued makes it not ready.
#include "server/json.h"
#include "server/routes/routes.h"

namespace tacit::server {
namespace {

// The protocol wants a status of the 400s where the answer is no.
constexpr int kNotReady = 400;

Outcome server_metadata(const Call&) {
  return json_response(
      200, {{"name", "tacit"},
            {"version", TACIT_VERSION},
            {"extensions", Json::array({"binary_tensor_data", "model_repository", "statistics"})}});
}

Json to_json(const std::vector<Hindrance>& hindrances) {
  Json list = Json::array();
  for (const Hindrance& hindrance : hindrances)
    list.push_back({{"code", std::string(to_string(hindrance.code))}, {"detail", hindrance.detail}});
  return list;
}

Outcome live(const Services& services) {
  const auto hindrances = hindrances_to_live(services);
  if (hindrances.empty()) return json_response(200, {{"live", true}});
  return json_response(kNotReady, {{"live", false}, {"reasons", to_json(hindrances)}});
}

Outcome ready(const Services& services) {
  const auto hindrances = hindrances_to_work(services);
  if (hindrances.empty()) return json_response(200, {{"ready", true}});
  Json page = {{"ready", false}, {"reasons", to_json(hindrances)}};
  const auto registry = services.models.now();
  for (const ModelState& state : registry->states())
    if (!state.ready) page["unavailable"].push_back({{"name", state.name}, {"reason", state.reason}});
  return json_response(kNotReady, page);
}

}  // namespace

std::vector<Hindrance> hindrances_to_live(const Services& services) {
  if (services.executor.silence() <= services.max_silence) return {};
  return {{ErrorCode::kInternal, "a prediction has not got to its next operation for too long"}};
}

std::vector<Hindrance> hindrances_to_work(const Services& services) {
  std::vector<Hindrance> found;
  if (services.stopping) found.push_back({ErrorCode::kServerStopping, "the server is about to end"});
  const auto registry = services.models.now();
  if (registry->models().empty())
    found.push_back({ErrorCode::kNoModels, "no model is ready"});
  else if (!registry->all_ready())
    found.push_back({ErrorCode::kModelUnavailable, "not every model could be loaded"});
  if (services.executor.load().waiting >= services.executor.limits().waiting)
    found.push_back({ErrorCode::kServerBusy, "as many predictions as allowed are waiting"});
  // Which file and why is for the log.
  if (const auto trouble = services.health.trouble())
    found.push_back({trouble->code, std::string(meaning_of(trouble->code))});
  return found;
}

void add_health_routes(Router& router, const Services& services) {
  router.add({Method::kGet, "/v2", 0, {}, {}, server_metadata});
  router.add(
      {Method::kGet, "/v2/health/live", 0, {}, {}, [&services](const Call&) { return live(services); }});
  router.add({Method::kGet, "/v2/health/ready", 0, {}, {}, [&services](const Call&) {
                return Later{[&services](const WorkContext&) { return ready(services); }};
              }});
}

}  // namespace tacit::server
