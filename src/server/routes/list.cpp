// SPDX-License-Identifier: Apache-2.0
// What is offered: for people and clients that choose a model, and as the protocol's repository index.
#include "server/json.h"
#include "server/limits.h"
#include "server/routes/routes.h"

namespace tacit::server {
namespace {

Json shape_json(const plan::Shape& shape) { return Json::array({shape.channels, shape.height, shape.width}); }

Json summary(const runtime::Model& model) {
  const plan::ClientHalf& half = model.client_half();
  return {{"name", half.name},
          {"version", std::string(kModelVersion)},
          {"state", "READY"},
          {"input", {{"shape", shape_json(half.input_shape())}}},
          {"output", {{"shape", shape_json(half.output_shape())}}},
          {"labels", half.labels},
          {"cost",
           {{"estimated_ms", half.estimated_ms},
            {"upload_bytes", half.upload_bytes},
            {"download_bytes", half.download_bytes},
            {"key_bytes", half.key_bytes},
            {"rotations", half.rotations},
            {"products", half.products},
            {"ring_degree", model.parameters().degree()},
            {"levels", half.input_value().level},
            {"requests", half.requests().size()},
            {"batch", half.batch()}}}};
}

Outcome list_models(const Services& services) {
  Json models = Json::array();
  for (const auto& [name, served] : services.models.models()) models.push_back(summary(*served.model));
  // Kept apart, so that everything under "models" can be used.
  Json unavailable = Json::array();
  for (const ModelState& state : services.models.states()) {
    if (!state.ready)
      unavailable.push_back({{"name", state.name}, {"state", "UNAVAILABLE"}, {"reason", state.reason}});
  }
  return json_response(200, {{"models", models}, {"unavailable", unavailable}});
}

Outcome repository_index(const Services& services, const Call& call) {
  bool only_ready = false;
  if (!call.body.empty()) {
    auto json = parse_object(call.body, "the request body");
    if (!json.ok()) return std::move(json).error();
    if (const Json* ready = member(*json, "ready")) {
      if (!ready->is_boolean()) return Error{ErrorCode::kRequestMalformed, "\"ready\" must be true or false"};
      only_ready = ready->get<bool>();
    }
  }
  Json index = Json::array();
  for (const ModelState& state : services.models.states()) {
    if (only_ready && !state.ready) continue;
    index.push_back({{"name", state.name},
                     {"version", std::string(kModelVersion)},
                     {"state", state.ready ? "READY" : "UNAVAILABLE"},
                     {"reason", state.reason}});
  }
  return json_response(200, index);
}

}  // namespace

void add_list_routes(Router& router, const Services& services) {
  router.add({Method::kGet, "/v2/models", kScopeInfer, {}, {}, [&services](const Call&) {
                return list_models(services);
              }});
  router.add(
      {Method::kPost,
       "/v2/repository/index",
       kScopeInfer,
       [](const RequestHead&, const PathArguments&) -> Result<BodyPlan> { return BodyPlan{kMaxJsonBytes}; },
       {},
       [&services](const Call& call) { return repository_index(services, call); }});
}

}  // namespace tacit::server
