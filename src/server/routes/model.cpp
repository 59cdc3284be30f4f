// SPDX-License-Identifier: Apache-2.0
// One model: its metadata and configuration as the protocol has them, and whether it can be used.
#include "server/binary_tensor.h"
#include "server/json.h"
#include "server/routes/routes.h"

namespace tacit::server {
namespace {

// The ciphertexts that one request takes or gives; -1 where that depends on its stage.
Json shape_of(const runtime::Model& model,
              std::vector<plan::ValueId> (runtime::Model::*ciphertexts)(std::size_t) const) {
  const std::size_t first = (model.*ciphertexts)(0).size();
  for (std::size_t stage = 1; stage < model.stages().size(); ++stage)
    if ((model.*ciphertexts)(stage).size() != first) return Json::array({-1});
  return Json::array({first});
}

Json input_shape(const runtime::Model& model) { return shape_of(model, &runtime::Model::input_ciphertexts); }

Json output_shape(const runtime::Model& model) {
  return shape_of(model, &runtime::Model::output_ciphertexts);
}

Json tensor(std::string_view name, const Json& shape) {
  return {{"name", std::string(name)}, {"datatype", "BYTES"}, {"shape", shape}};
}

Outcome metadata(const Services& services, const Call& call) {
  auto served = model_of(services, call.path);
  if (!served.ok()) return std::move(served).error();
  const runtime::Model& model = *(*served)->model;
  return json_response(200, {{"name", model.name()},
                             {"versions", Json::array({std::string(kModelVersion)})},
                             {"platform", "tacit_ckks"},
                             {"inputs", Json::array({tensor(kInputName, input_shape(model))})},
                             {"outputs", Json::array({tensor(kOutputName, output_shape(model))})}});
}

// The extension "model_configuration" of Triton, as far as it has a meaning here.
Outcome configuration(const Services& services, const Call& call) {
  auto served = model_of(services, call.path);
  if (!served.ok()) return std::move(served).error();
  const runtime::Model& model = *(*served)->model;
  const auto tensor = [](std::string_view name, const Json& dims) {
    return Json{{"name", std::string(name)}, {"data_type", "TYPE_STRING"}, {"dims", dims}};
  };
  return json_response(200, {{"name", model.name()},
                             {"platform", "tacit_ckks"},
                             {"backend", "tacit"},
                             {"max_batch_size", 0},
                             {"input", Json::array({tensor(kInputName, input_shape(model))})},
                             {"output", Json::array({tensor(kOutputName, output_shape(model))})}});
}

Outcome ready(const Services& services, const Call& call) {
  auto served = model_of(services, call.path);
  if (served.ok()) return json_response(200, {{"name", (*served)->model->name()}, {"ready", true}});
  if (served.error().code != ErrorCode::kModelUnavailable) return std::move(served).error();
  return json_response(400, {{"name", std::string(call.path.get("model"))}, {"ready", false}});
}

}  // namespace

void add_model_routes(Router& router, const Services& services) {
  const auto add = [&](std::string_view suffix, Outcome (*handle)(const Services&, const Call&)) {
    add_model_endpoint(router, suffix,
                       {Method::kGet, {}, kScopeInfer, {}, {}, [&services, handle](const Call& call) {
                          return handle(services, call);
                        }});
  };
  add("", metadata);
  add("/config", configuration);
  add("/ready", ready);
}

}  // namespace tacit::server
