// SPDX-License-Identifier: Apache-2.0
#include "server/routes/routes.h"

#include "server/limits.h"

namespace tacit::server {

void add_all_routes(Router& router, const Services& services) {
  add_health_routes(router, services);
  add_metrics_routes(router, services);
  add_statistics_routes(router, services);  // before the models, whose pattern "stats" would match
  add_list_routes(router, services);
  add_model_routes(router, services);
  add_client_half_routes(router, services);
  add_infer_routes(router, services);
  add_job_routes(router, services);
  add_key_piece_routes(router, services);
  add_key_set_routes(router, services);
  add_specification_routes(router, services);
}

Result<std::shared_ptr<const ServedModel>> model_of(const Services& services, const PathArguments& path) {
  TACIT_TRY(std::shared_ptr<const ServedModel> model, services.models.now()->find(path.get("model")));
  if (path.has("version") && path.get("version") != kModelVersion) {
    return Error{ErrorCode::kModelUnknown,
                 "the model \"" + model->model->name() + "\" has only the version 1"};
  }
  return model;
}

Result<BodyPlan> plan_json_body(const RequestHead&, const PathArguments&) { return BodyPlan{kMaxJsonBytes}; }

void add_model_endpoint(Router& router, std::string_view suffix, Endpoint endpoint) {
  for (std::string_view model : {"/v2/models/{model}", "/v2/models/{model}/versions/{version}"}) {
    Endpoint copy = endpoint;
    copy.pattern = std::string(model).append(suffix);
    router.add(std::move(copy));
  }
}

}  // namespace tacit::server
