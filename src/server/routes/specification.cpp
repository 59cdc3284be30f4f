// SPDX-License-Identifier: Apache-2.0
// The interface's own description, protocol/openapi.yaml as JSON.
#include "server/routes/routes.h"

namespace tacit::server {

// Made from the file when this is built.
extern const std::string_view kSpecification;

void add_specification_routes(Router& router, const Services&) {
  router.add({Method::kGet, "/openapi.json", 0, {}, {}, [](const Call&) -> Outcome {
                Response response;
                response.fields.add("Content-Type", "application/json");
                response.fields.add("Cache-Control", "no-cache");
                response.body.assign(kSpecification.begin(), kSpecification.end());
                return response;
              }});
}

}  // namespace tacit::server
