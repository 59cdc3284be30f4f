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
  const auto registry = services.models.now();
  for (const auto& [name, served] : registry->models()) models.push_back(summary(*served->model));
  // Kept apart, so that everything under "models" can be used.
  Json unavailable = Json::array();
  for (const ModelState& state : registry->states()) {
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
  const auto registry = services.models.now();
  for (const ModelState& state : registry->states()) {
    if (only_ready && !state.ready) continue;
    index.push_back({{"name", state.name},
                     {"version", std::string(kModelVersion)},
                     {"state", state.ready ? "READY" : "UNAVAILABLE"},
                     {"reason", state.reason}});
  }
  return json_response(200, index);
}

// Which model of the repository the path names. Triton's clients may send parameters along; those that would have the server load
// something else than its folder has are refused.
Result<std::string> named_model(const Call& call) {
  if (!call.body.empty()) {
    TACIT_TRY(const Json json, parse_object(call.body, "the request body"));
    if (const Json* parameters = member(json, "parameters"); parameters != nullptr && parameters->is_object())
      for (const auto& [name, value] : parameters->items())
        if (name == "config" || name.starts_with("file:"))
          return Error{
              ErrorCode::kRequestMalformed,
              "a model is loaded as its folder has it; send no parameter \"config\" or \"file:...\""};
  }
  std::string name(call.path.get("model"));
  if (!is_model_name(name)) return ModelRegistry().find(name).error();
  return name;
}

Outcome change_repository(const Services& services, const Call& call,
                          Status (ModelShelf::*change)(std::string_view)) {
  const auto name = named_model(call);
  if (!name.ok()) return name.error();
  return Later{[&services, &call, change, name = *name](const WorkContext&) -> Outcome {
    ModelShelf& models = services.models;
    const auto before = models.now();
    const Status status = (models.*change)(name);
    services.metrics.models_reloaded(status.ok());
    TACIT_CHECK(status);
    Json who = audit_event({}, call);
    who.erase("time"), who.erase("event");
    TACIT_CHECK(audit_models(services.audit, *before, *models.now(), who));
    return Response{};
  }};
}

}  // namespace

void add_list_routes(Router& router, const Services& services) {
  router.add({Method::kGet, "/v2/models", kScopeInfer, {}, {}, [&services](const Call&) {
                return list_models(services);
              }});
  router.add(
      {Method::kPost, "/v2/repository/index", kScopeInfer, plan_json_body, {}, [&services](const Call& call) {
         return repository_index(services, call);
       }});
  router.add(
      {Method::kPost,
       "/v2/repository/models/{model}/load",
       kScopeModels,
       plan_json_body,
       {},
       [&services](const Call& call) { return change_repository(services, call, &ModelShelf::load); }});
  router.add(
      {Method::kPost,
       "/v2/repository/models/{model}/unload",
       kScopeModels,
       plan_json_body,
       {},
       [&services](const Call& call) { return change_repository(services, call, &ModelShelf::unload); }});
}

}  // namespace tacit::server
