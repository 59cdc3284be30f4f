// SPDX-License-Identifier: Apache-2.0
// The routes of the REST interface (protocol/rest.md), one file each. `services` must outlive the router.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "server/router.h"
#include "server/services.h"

namespace tacit::server {

// GET /v2, /v2/health/live, /v2/health/ready
void add_health_routes(Router& router, const Services& services);
// GET /metrics (docs/monitoring.md)
void add_metrics_routes(Router& router, const Services& services);
// GET /v2/models/stats, /v2/models/{model}[/versions/{version}]/stats (protocol/statistics.md)
void add_statistics_routes(Router& router, const Services& services);
// GET /v2/models; POST /v2/repository/index, /v2/repository/models/{model}/load, /v2/repository/models/{model}/unload
void add_list_routes(Router& router, const Services& services);
// GET /v2/models/{model}[/versions/{version}][/config, /ready]
void add_model_routes(Router& router, const Services& services);
// GET /v2/models/{model}[/versions/{version}]/client
void add_client_half_routes(Router& router, const Services& services);
// POST /v2/models/{model}[/versions/{version}]/infer, answered at once or, as a job, later
void add_infer_routes(Router& router, const Services& services);
// GET /v2/jobs, /v2/jobs/{job}, /v2/jobs/{job}/result, /v2/jobs/{job}/events; POST /v2/jobs/{job}/input; DELETE /v2/jobs/{job}
void add_job_routes(Router& router, const Services& services);
// PUT and GET /v2/keys/pieces/{digest}; PUT /v2/keys/pieces/{digest}/parts/{number}; DELETE /v2/keys/pieces/{digest}/parts
void add_key_piece_routes(Router& router, const Services& services);
// POST and GET /v2/keys; GET and DELETE /v2/keys/{key_id}
void add_key_set_routes(Router& router, const Services& services);

// GET /openapi.json
void add_specification_routes(Router& router, const Services& services);

void add_all_routes(Router& router, const Services& services);

// Why the server is not live, or takes no work; empty where it is and does. The second may wait for the disk.
struct Hindrance {
  ErrorCode code = ErrorCode::kInternal;
  std::string detail;  // for whoever asks: nothing of the machine
};
std::vector<Hindrance> hindrances_to_live(const Services& services);
std::vector<Hindrance> hindrances_to_work(const Services& services);

// The only version that a model has.
inline constexpr std::string_view kModelVersion = "1";
// The model that "{model}" and, where there is one, "{version}" name. kModelUnknown, kModelUnavailable.
Result<std::shared_ptr<const ServedModel>> model_of(const Services& services, const PathArguments& path);
// A job as a page shows it, and the 202 that says where it is.
nlohmann::ordered_json describe_job(const Services& services, const Job& job);
Response accepted(const Services& services, const Job& job);
// Endpoint::plan_body of routes that take JSON.
Result<BodyPlan> plan_json_body(const RequestHead& head, const PathArguments& path);
// Adds `endpoint` under "/v2/models/{model}" + suffix and "/v2/models/{model}/versions/{version}" + suffix.
void add_model_endpoint(Router& router, std::string_view suffix, Endpoint endpoint);

}  // namespace tacit::server
