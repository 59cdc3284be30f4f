// SPDX-License-Identifier: Apache-2.0
// Key sets: putting uploaded pieces together, asking what is missing, and what a set holds (protocol/keys.md).
#include "server/json.h"
#include "server/limits.h"
#include "server/problem.h"
#include "server/routes/routes.h"

namespace tacit::server {
namespace {

struct SetRequest {
  std::shared_ptr<const ServedModel> model;  // or none
  std::vector<Digest> pieces;
};

Result<SetRequest> parse_request(const Services& services, ByteView body) {
  auto malformed = [](std::string_view why) { return Error{ErrorCode::kRequestMalformed, std::string(why)}; };
  TACIT_TRY(const Json json, parse_object(body, "the request body"));
  SetRequest request;
  if (const Json* name = member(json, "model")) {
    if (!name->is_string()) return malformed("\"model\" must be the name of a model");
    TACIT_TRY(request.model, services.models.now()->find(name->get_ref<const std::string&>()));
  }
  const Json* pieces = member(json, "pieces");
  if (pieces == nullptr || !pieces->is_array()) return malformed("\"pieces\" must be a list of digests");
  for (const Json& text : *pieces) {
    const auto digest = text.is_string() ? digest_from_hex(text.get_ref<const std::string&>())
                                         : Result<Digest>(malformed("no string"));
    if (!digest.ok()) return malformed("\"pieces\" must be a list of digests, 64 hexadecimal digits each");
    request.pieces.push_back(*digest);
  }
  return request;
}

Json describe(const KeySet& set) {
  return {{"key_id", to_hex(set.id)},
          {"pieces", set.pieces.size()},
          {"bytes", set.bytes},
          {"log_degree", set.log_degree},
          {"key_tag", to_hex(ByteView(set.tag))}};
}

Response missing_pieces(const std::vector<Digest>& missing, std::string_view instance) {
  Json list = Json::array();
  for (const Digest& digest : missing) list.push_back(to_hex(digest));
  return problem_response(
      {ErrorCode::kKeyMissing, std::to_string(missing.size()) + " pieces are not stored; PUT each of them to "
                                                                "/v2/keys/pieces/{digest}, then ask again"},
      instance, {{"missing_pieces", list}});
}

Response missing_elements(const runtime::Model& model, const std::vector<ckks::KeyRequest>& missing,
                          std::string_view instance) {
  Json list = Json::array();
  for (const ckks::KeyRequest& need : missing) {
    list.push_back({{"element", need.element},
                    {"level", need.shape.level},
                    {"digit_size", need.shape.digit_size},
                    {"special_count", need.shape.special_count}});
  }
  return problem_response(
      {ErrorCode::kKeyMissing, "the model \"" + model.name() + "\" needs " + std::to_string(missing.size()) +
                                   " evaluation keys that are not in this set"},
      instance, {{"missing_keys", list}});
}

Result<Response> store_set(const Services& services, const SetRequest& request, const Call& call) {
  Ledger& ledger = services.keys.ledger();
  TACIT_TRY(const std::vector<Digest> absent, ledger.missing(call.tenant, request.pieces));
  if (!absent.empty()) return missing_pieces(absent, call.instance);
  TACIT_TRY(const KeySet set, services.keys.describe_set(call.tenant, request.pieces, now()));
  if (request.model != nullptr) {
    const auto missing = missing_keys(*request.model->model, set);
    if (!missing.empty()) return missing_elements(*request.model->model, missing, call.instance);
  }
  TACIT_TRY(const bool created, services.keys.add_set(call.tenant, set));
  // Of a set that was there before as well: where its line could not be written, the client has asked again.
  Json line = audit_event("keys.stored", call);
  line["key_id"] = to_hex(set.id);
  line["pieces"] = set.pieces.size();
  line["bytes"] = set.bytes;
  line["new"] = created;
  TACIT_CHECK(services.audit.record(std::move(line)));
  Response response = json_response(created ? 201 : 200, describe(set));
  response.fields.add("Location", "/v2/keys/" + to_hex(set.id));
  return response;
}

Outcome add_key_set(const Services& services, const Call& call) {
  auto request = parse_request(services, call.body);
  if (!request.ok()) return std::move(request).error();
  return Later{[&services, &call, request = std::move(request).value()](const WorkContext&) {
    return store_set(services, request, call);
  }};
}

Result<Digest> id_of(const Call& call) {
  auto id = digest_from_hex(call.path.get("key_id"));
  if (id.ok()) return id;
  return Error{ErrorCode::kKeyUnknown,
               "a key set is named by 64 hexadecimal digits; POST /v2/keys gives them"};
}

Outcome show_key_set(const Services& services, const Call& call) {
  const auto id = id_of(call);
  if (!id.ok()) return id.error();
  return Later{[&services, &call, id = *id](const WorkContext&) -> Result<Response> {
    TACIT_TRY(const KeySet set, services.keys.ledger().find_set(call.tenant, id));
    Json page = describe(set);
    page["models"] = Json::array();
    const auto registry = services.models.now();
    for (const auto& [name, served] : registry->models())
      if (missing_keys(*served->model, set).empty()) page["models"].push_back(name);
    return json_response(200, page);
  }};
}

Outcome list_key_sets(const Services& services, const Call& call) {
  return Later{[&services, &call](const WorkContext&) -> Result<Response> {
    Ledger& ledger = services.keys.ledger();
    TACIT_TRY(const std::vector<KeySet> sets, ledger.sets(call.tenant));
    TACIT_TRY(const Usage usage, ledger.usage(call.tenant));
    Json pages = Json::array();
    for (const KeySet& set : sets) {
      Json page = describe(set);
      page["created"] = set.created;
      page["used"] = set.used;
      pages.push_back(std::move(page));
    }
    const Quota& quota = services.keys.quota();
    return json_response(200, {{"key_sets", pages},
                               {"usage",
                                {{"key_sets", usage.key_sets},
                                 {"key_bytes", usage.key_bytes},
                                 {"max_key_sets", quota.key_sets},
                                 {"max_key_bytes", quota.key_bytes}}}});
  }};
}

Outcome remove_key_set(const Services& services, const Call& call) {
  const auto id = id_of(call);
  if (!id.ok()) return id.error();
  return Later{[&services, &call, id = *id](const WorkContext&) -> Result<Response> {
    TACIT_CHECK(services.keys.remove_set(call.tenant, id));
    services.cache.forget(call.tenant, id);
    Json line = audit_event("keys.deleted", call);
    line["key_id"] = to_hex(id);
    TACIT_CHECK(services.audit.record(std::move(line)));
    return Response{204, {}, {}};
  }};
}

}  // namespace

void add_key_set_routes(Router& router, const Services& services) {
  router.add({Method::kPost, "/v2/keys", kScopeKeys, plan_json_body, {}, [&services](const Call& call) {
                return add_key_set(services, call);
              }});
  const auto add = [&](Method method, const char* pattern, Outcome (*handle)(const Services&, const Call&)) {
    router.add({method, pattern, kScopeKeys, {}, {}, [&services, handle](const Call& call) {
                  return handle(services, call);
                }});
  };
  add(Method::kGet, "/v2/keys", list_key_sets);
  add(Method::kGet, "/v2/keys/{key_id}", show_key_set);
  add(Method::kDelete, "/v2/keys/{key_id}", remove_key_set);
}

}  // namespace tacit::server
