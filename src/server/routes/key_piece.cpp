// SPDX-License-Identifier: Apache-2.0
// Uploading one switching key under the digest of its bytes (protocol/keys.md).
#include "server/json.h"
#include "server/limits.h"
#include "server/routes/routes.h"

namespace tacit::server {
namespace {

Result<BodyPlan> plan_body(const Services& services, const PathArguments& path) {
  TACIT_CHECK(digest_from_hex(path.get("digest")));
  return BodyPlan{services.max_body_bytes, kKeyHeaderBytes};
}

// The header names shape and primes; with them the length of the whole is known before the rest of it is read.
Status inspect(const Services& services, const RequestHead& head, ByteView prefix) {
  TACIT_TRY(const ckks::KeyHeader header, ckks::read_key_header(prefix));
  TACIT_TRY(const std::shared_ptr<const ServedModel> served, services.models.now()->model_for(header));
  const std::uint64_t expected = ckks::key_bytes(served->model->parameters(), header.request.shape);
  const std::uint64_t announced = head.content_length.value_or(0);
  if (announced == expected) return {};
  return Error{announced < expected ? ErrorCode::kDataTruncated : ErrorCode::kDataTrailing,
               "an evaluation key of this shape has " + std::to_string(expected) +
                   " bytes, Content-Length says " + std::to_string(announced)};
}

Outcome put(const Services& services, const Call& call) {
  const auto digest = digest_from_hex(call.path.get("digest"));
  if (!digest.ok()) return digest.error();
  return Later{[&services, &call, digest = *digest](const WorkContext&) -> Result<Response> {
    TACIT_TRY(const bool created, services.keys.put_piece(call.tenant, digest, call.body, now()));
    return json_response(created ? 201 : 200, {{"digest", to_hex(digest)}, {"bytes", call.body.size()}});
  }};
}

}  // namespace

void add_key_piece_routes(Router& router, const Services& services) {
  router.add(
      {Method::kPut, "/v2/keys/pieces/{digest}", kScopeKeys,
       [&services](const RequestHead&, const PathArguments& path) { return plan_body(services, path); },
       [&services](const RequestHead& head, const PathArguments&, ByteView prefix) {
         return inspect(services, head, prefix);
       },
       [&services](const Call& call) { return put(services, call); }});
}

}  // namespace tacit::server
