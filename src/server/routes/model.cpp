// SPDX-License-Identifier: Apache-2.0
// One model: its metadata as the protocol has it, and whether it can be used.
#include "server/binary_tensor.h"
#include "server/json.h"
#include "server/routes/routes.h"

namespace tacit::server {
namespace {

Json tensor(std::string_view name) {
  return {{"name", std::string(name)}, {"datatype", "BYTES"}, {"shape", Json::array({1})}};
}

Outcome metadata(const Services& services, const Call& call) {
  auto served = model_of(services, call.path);
  if (!served.ok()) return std::move(served).error();
  return json_response(200, {{"name", (*served)->model->name()},
                             {"versions", Json::array({std::string(kModelVersion)})},
                             {"platform", "tacit_ckks"},
                             {"inputs", Json::array({tensor(kInputName)})},
                             {"outputs", Json::array({tensor(kOutputName)})}});
}

Outcome ready(const Services& services, const Call& call) {
  auto served = model_of(services, call.path);
  if (served.ok()) return json_response(200, {{"name", (*served)->model->name()}, {"ready", true}});
  if (served.error().code != ErrorCode::kModelUnavailable) return std::move(served).error();
  return json_response(400, {{"name", std::string(call.path.get("model"))}, {"ready", false}});
}

}  // namespace

void add_model_routes(Router& router, const Services& services) {
  add_model_endpoint(router, "", {Method::kGet, {}, kScopeInfer, {}, {}, [&services](const Call& call) {
                                    return metadata(services, call);
                                  }});
  add_model_endpoint(router, "/ready", {Method::kGet, {}, kScopeInfer, {}, {}, [&services](const Call& call) {
                                          return ready(services, call);
                                        }});
}

}  // namespace tacit::server
