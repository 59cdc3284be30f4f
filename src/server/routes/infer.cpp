// SPDX-License-Identifier: Apache-2.0
// Running a model on a ciphertext (protocol/inference.md). Everything that can be refused is refused before the request
// waits for its turn.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <numeric>

#include "server/binary_tensor.h"
#include "server/limits.h"
#include "server/routes/routes.h"

namespace tacit::server {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

std::uint64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

// The bytes of a stage's input ciphertexts.
struct InputBytes {
  std::vector<std::uint64_t> fresh, computed;
  std::uint64_t total(const std::vector<std::uint64_t>& sizes) const {
    return std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
  }
};

InputBytes input_bytes(const runtime::Model& model, std::size_t stage) {
  InputBytes bytes;
  for (plan::ValueId id : model.input_ciphertexts(stage)) {
    const int level = model.plan().values[id].level;
    bytes.fresh.push_back(ckks::seeded_ciphertext_bytes(model.parameters(), level));
    bytes.computed.push_back(ckks::ciphertext_bytes(model.parameters(), level));
  }
  return bytes;
}

// The body of a model of one stage has one of two lengths: that of fresh ciphertexts of its input, or of computed ones. Of
// several stages, and where both kinds are sent together, only bounds are known before the JSON is there.
Result<BodyPlan> plan_body(const Services& services, const RequestHead& head, const PathArguments& path) {
  TACIT_TRY(const ServedModel* served, model_of(services, path));
  TACIT_TRY(const std::uint64_t json_bytes, inference_header_bytes(head));
  const runtime::Model& model = *served->model;
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max(), most = 0;
  bool exact = model.stages().size() == 1;
  for (std::size_t stage = 0; stage < model.stages().size(); ++stage) {
    const InputBytes bytes = input_bytes(model, stage);
    const std::uint64_t framing =
        json_bytes == 0 ? 0 : json_bytes + bytes.fresh.size() * sizeof(std::uint32_t);
    exact = exact && bytes.fresh.size() == 1;
    least = std::min(least, framing + bytes.total(bytes.fresh));
    most = std::max(most, framing + bytes.total(bytes.computed));
  }
  const std::uint64_t length = head.content_length.value_or(least);
  if (length < least || length > most || (exact && length != least && length != most)) {
    return Error{length > most ? ErrorCode::kDataTooLarge : ErrorCode::kDataMalformed,
                 "a request to this model has " + std::to_string(least) + (exact ? " or " : " to ") +
                     std::to_string(most) +
                     " bytes, with fresh or computed ciphertexts; Content-Length says " +
                     std::to_string(length)};
  }
  return BodyPlan{most};
}

// The raw form's one element as ciphertexts: all are fresh or all are computed.
Status split_raw(const runtime::Model& model, InferenceRequest& request) {
  const InputBytes bytes = input_bytes(model, request.stage);
  ByteView body = request.ciphertexts.front();
  const std::vector<std::uint64_t>& sizes =
      body.size() == bytes.total(bytes.fresh) ? bytes.fresh : bytes.computed;
  if (body.size() != bytes.total(sizes))
    return Error{ErrorCode::kRequestMalformed,
                 "without JSON, all ciphertexts must be fresh or all computed: " +
                     std::to_string(bytes.total(bytes.fresh)) + " or " +
                     std::to_string(bytes.total(bytes.computed)) + " bytes for this stage"};
  request.ciphertexts.clear();
  for (std::uint64_t size : sizes) {
    request.ciphertexts.push_back(body.first(size));
    body = body.subspan(size);
  }
  return {};
}

Result<Response> run(const Services& services, const ServedModel& served, const InferenceRequest& request,
                     std::string_view tenant, const KeySet& set, const WorkContext& context) {
  InferenceResult result;
  result.model_name = served.model->name();
  result.id = request.id;
  result.queue_ms = context.queue_ms;
  const auto begin = Clock::now();
  TACIT_TRY(const KeyCache::Loaded loaded, services.cache.get(served, services.keys, tenant, set));
  if (!loaded.was_cached) result.keys_ms = milliseconds_since(begin);
  const auto start = Clock::now();
  const auto go_on = [&](std::size_t, std::size_t) { return !context.cancelled; };
  TACIT_TRY(result.ciphertexts,
            served.model->run(*loaded.keys, set.tag, request.stage, request.ciphertexts, go_on));
  result.compute_ms = milliseconds_since(start);
  result.precision_bits = runtime::precision_left(served.model->flooding(request.stage));
  result.peak_memory_bytes = peak_memory_bytes();
  return inference_response(result);
}

Outcome infer(const Services& services, const Call& call) {
  auto served = model_of(services, call.path);
  if (!served.ok()) return std::move(served).error();
  auto request = parse_inference_request(call.head, call.body);
  if (!request.ok()) return std::move(request).error();
  if (request->stage >= (*served)->model->stages().size())
    return Error{ErrorCode::kRequestMalformed,
                 "the model has " + std::to_string((*served)->model->stages().size()) +
                     " stages, counted from 0; there is no stage " + std::to_string(request->stage)};
  if (request->raw) {
    if (Status split = split_raw(*(*served)->model, *request); !split.ok()) return std::move(split).error();
  }
  auto set = services.keys.ledger().find_set(call.tenant, request->key_id);
  if (!set.ok()) return std::move(set).error();
  const ServedModel& model = **served;
  if (const auto missing = missing_keys(*model.model, *set); !missing.empty()) {
    return Error{ErrorCode::kKeyMissing,
                 "the key set lacks " + std::to_string(missing.size()) +
                     " evaluation keys that the model needs, the first for Galois element " +
                     std::to_string(missing.front().element) + "; POST /v2/keys with \"model\" lists them"};
  }
  return Later{Pool::kInference,
               [&services, &call, &model, request = *request, set = *set](const WorkContext& context) {
                 return run(services, model, request, call.tenant, set, context);
               }};
}

}  // namespace

void add_infer_routes(Router& router, const Services& services) {
  Endpoint endpoint;
  endpoint.method = Method::kPost;
  endpoint.scope = kScopeInfer;
  endpoint.plan_body = [&services](const RequestHead& head, const PathArguments& path) {
    return plan_body(services, head, path);
  };
  endpoint.handle = [&services](const Call& call) { return infer(services, call); };
  add_model_endpoint(router, "/infer", std::move(endpoint));
}

}  // namespace tacit::server
