// SPDX-License-Identifier: Apache-2.0
// Uploading one switching key under the digest of its bytes, whole or in parts (protocol/keys.md).
#include <algorithm>

#include "server/json.h"
#include "server/limits.h"
#include "server/routes/routes.h"

namespace tacit::server {
namespace {

constexpr std::string_view kPieceBytesField = "Tacit-Piece-Bytes", kPartDigestField = "Tacit-Part-Digest";

Result<Digest> piece_of(const PathArguments& path) {
  auto digest = digest_from_hex(path.get("digest"));
  if (digest.ok()) return digest;
  return Error{ErrorCode::kRequestMalformed,
               "the path names a piece by the BLAKE2b-256 of its bytes: 64 hexadecimal digits"};
}

Result<BodyPlan> plan_body(const Services& services, const PathArguments& path) {
  TACIT_CHECK(piece_of(path));
  return BodyPlan{services.max_body_bytes, kKeyHeaderBytes};
}

// The header names shape and primes; with them the length of the whole is known before the rest of it is read.
Status inspect(const Services& services, std::uint64_t announced, ByteView prefix) {
  TACIT_TRY(const ckks::KeyHeader header, ckks::read_key_header(prefix));
  TACIT_TRY(const std::shared_ptr<const ServedModel> served, services.models.now()->model_for(header));
  const std::uint64_t expected = ckks::key_bytes(served->model->parameters(), header.request.shape);
  if (announced == expected) return {};
  return Error{announced < expected ? ErrorCode::kDataTruncated : ErrorCode::kDataTrailing,
               "an evaluation key of this shape has " + std::to_string(expected) + " bytes, not " +
                   std::to_string(announced)};
}

Outcome put_piece(const Services& services, const Call& call) {
  const auto digest = piece_of(call.path);
  if (!digest.ok()) return digest.error();
  return Later{[&services, &call, digest = *digest](const WorkContext&) -> Result<Response> {
    TACIT_TRY(const bool created, services.keys.put_piece(call.tenant, digest, call.body, now()));
    return json_response(created ? 201 : 200, {{"digest", to_hex(digest)}, {"bytes", call.body.size()}});
  }};
}

// Which part of which piece the request has.
Result<Part> part_of(const RequestHead& head, const PathArguments& path) {
  Part part;
  TACIT_TRY(part.piece, piece_of(path));
  const auto number = parse_number(path.get("number"));
  const auto piece_bytes = parse_number(head.fields.find(kPieceBytesField).value_or(""));
  const auto digest = digest_from_hex(head.fields.find(kPartDigestField).value_or(""));
  if (!piece_bytes || *piece_bytes < kKeyHeaderBytes || part_count(*piece_bytes) > kMaxParts)
    return Error{ErrorCode::kRequestMalformed,
                 "the field Tacit-Piece-Bytes must be the length of the whole piece"};
  if (!digest.ok())
    return Error{ErrorCode::kRequestMalformed,
                 "the field Tacit-Part-Digest must be the BLAKE2b-256 of the body, 64 hexadecimal digits"};
  if (!number || *number >= part_count(*piece_bytes))
    return Error{ErrorCode::kRequestMalformed, "the parts of this piece are numbered from 0 to " +
                                                   std::to_string(part_count(*piece_bytes) - 1)};
  part.number = static_cast<std::uint32_t>(*number);
  part.digest = *digest;
  part.piece_bytes = *piece_bytes;
  part.bytes = std::min(kPartBytes, part.piece_bytes - kPartBytes * part.number);
  return part;
}

Result<BodyPlan> plan_part(const Services& services, const RequestHead& head, const PathArguments& path) {
  TACIT_TRY(const Part part, part_of(head, path));
  if (part.piece_bytes > services.max_body_bytes)
    return Error{ErrorCode::kDataTooLarge,
                 "a piece may have at most " + std::to_string(services.max_body_bytes) + " bytes here"};
  if (head.content_length.value_or(0) != part.bytes)
    return Error{ErrorCode::kDataMalformed, "this part has " + std::to_string(part.bytes) +
                                                " bytes: every one but the last has " +
                                                std::to_string(kPartBytes)};
  return BodyPlan{part.bytes, part.number == 0 ? kKeyHeaderBytes : 0};
}

Json describe(const Digest& piece, const PartsState& state) {
  Json page = {{"digest", to_hex(piece)},
               {"state", state.complete ? "stored" : "partial"},
               {"bytes", state.piece_bytes},
               {"part_bytes", kPartBytes},
               {"parts", part_count(state.piece_bytes)}};
  if (!state.complete) page["received"] = state.received;
  return page;
}

Outcome put_part(const Services& services, const Call& call) {
  return Later{[&services, &call](const WorkContext&) -> Outcome {
    TACIT_TRY(const Part part, part_of(call.head, call.path));
    TACIT_TRY(const PartsState state, services.keys.put_part(call.tenant, part, call.body, now()));
    return json_response(state.complete ? 201 : 200, describe(part.piece, state));
  }};
}

Outcome show_piece(const Services& services, const Call& call) {
  return Later{[&services, &call](const WorkContext&) -> Outcome {
    TACIT_TRY(const Digest piece, piece_of(call.path));
    TACIT_TRY(const PartsState state, services.keys.parts(call.tenant, piece));
    return json_response(200, describe(piece, state));
  }};
}

Outcome give_up(const Services& services, const Call& call) {
  return Later{[&services, &call](const WorkContext&) -> Outcome {
    TACIT_TRY(const Digest piece, piece_of(call.path));
    TACIT_CHECK(services.keys.remove_parts(call.tenant, piece));
    return Response{.status = 204, .fields = {}, .body = {}};
  }};
}

}  // namespace

void add_key_piece_routes(Router& router, const Services& services) {
  router.add(
      {Method::kPut, "/v2/keys/pieces/{digest}", kScopeKeys,
       [&services](const RequestHead&, const PathArguments& path) { return plan_body(services, path); },
       [&services](const RequestHead& head, const PathArguments&, ByteView prefix) {
         return inspect(services, head.content_length.value_or(0), prefix);
       },
       [&services](const Call& call) { return put_piece(services, call); }});
  router.add({Method::kGet, "/v2/keys/pieces/{digest}", kScopeKeys, {}, {}, [&services](const Call& call) {
                return show_piece(services, call);
              }});
  router.add({Method::kPut, "/v2/keys/pieces/{digest}/parts/{number}", kScopeKeys,
              [&services](const RequestHead& head, const PathArguments& path) {
                return plan_part(services, head, path);
              },
              [&services](const RequestHead& head, const PathArguments& path, ByteView prefix) -> Status {
                if (prefix.empty()) return {};
                TACIT_TRY(const Part part, part_of(head, path));
                return inspect(services, part.piece_bytes, prefix);
              },
              [&services](const Call& call) { return put_part(services, call); }});
  router.add(
      {Method::kDelete, "/v2/keys/pieces/{digest}/parts", kScopeKeys, {}, {}, [&services](const Call& call) {
         return give_up(services, call);
       }});
}

}  // namespace tacit::server
