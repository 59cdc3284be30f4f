// SPDX-License-Identifier: Apache-2.0
// Running a model on a ciphertext (protocol/inference.md). Everything that can be refused is refused before the request
// waits for its turn.
#include <sys/resource.h>

#include <chrono>

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

// A body has one of two lengths: that of fresh ciphertexts of this model's input, or of computed ones.
Result<BodyPlan> plan_body(const Services& services, const RequestHead& head, const PathArguments& path) {
  TACIT_TRY(const ServedModel* served, model_of(services, path));
  TACIT_TRY(const std::uint64_t json_bytes, inference_header_bytes(head));
  const ckks::Parameters& parameters = served->model->parameters();
  const int level = served->model->client_half().input_level;
  const std::uint64_t count = served->model->input_count();
  const std::uint64_t fresh = count * ckks::seeded_ciphertext_bytes(parameters, level);
  const std::uint64_t computed = count * ckks::ciphertext_bytes(parameters, level);
  const std::uint64_t framing = json_bytes == 0 ? 0 : json_bytes + count * sizeof(std::uint32_t);
  const std::uint64_t length = head.content_length.value_or(framing + fresh);
  if (length != framing + fresh && length != framing + computed) {
    return Error{length > framing + computed ? ErrorCode::kDataTooLarge : ErrorCode::kDataMalformed,
                 "the ciphertexts for this model have " + std::to_string(fresh) + " bytes (fresh) or " +
                     std::to_string(computed) + " bytes (computed), so the body must have " +
                     std::to_string(framing + fresh) + " or " + std::to_string(framing + computed) +
                     "; Content-Length says " + std::to_string(length)};
  }
  return BodyPlan{framing + computed};
}

Result<Response> run(const Services& services, const ServedModel& served, const InferenceRequest& request,
                     const KeySet& set, const WorkContext& context) {
  InferenceResult result;
  result.model_name = served.model->name();
  result.id = request.id;
  result.queue_ms = context.queue_ms;
  const auto begin = Clock::now();
  TACIT_TRY(const KeyCache::Loaded loaded, services.cache.get(served, services.keys, set));
  if (!loaded.was_cached) result.keys_ms = milliseconds_since(begin);
  const auto start = Clock::now();
  const auto go_on = [&](std::size_t, std::size_t) { return !context.cancelled; };
  TACIT_TRY(result.ciphertexts, served.model->run(*loaded.keys, set.tag, request.ciphertexts, go_on));
  result.compute_ms = milliseconds_since(start);
  result.peak_memory_bytes = peak_memory_bytes();
  return inference_response(result);
}

Outcome infer(const Services& services, const Call& call) {
  auto served = model_of(services, call.path);
  if (!served.ok()) return std::move(served).error();
  auto request = parse_inference_request(call.head, call.body, (*served)->model->input_count());
  if (!request.ok()) return std::move(request).error();
  auto set = services.keys.find_set(request->key_id);
  if (!set.ok()) return std::move(set).error();
  const ServedModel& model = **served;
  if (const auto missing = missing_keys(*model.model, services.keys, *set); !missing.empty()) {
    return Error{ErrorCode::kKeyMissing,
                 "the key set lacks " + std::to_string(missing.size()) +
                     " evaluation keys that the model needs, the first for Galois element " +
                     std::to_string(missing.front().element) + "; POST /v2/keys with \"model\" lists them"};
  }
  return Later{Pool::kInference,
               [&services, &model, request = *request, set = *set](const WorkContext& context) {
                 return run(services, model, request, set, context);
               }};
}

}  // namespace

void add_infer_routes(Router& router, const Services& services) {
  Endpoint endpoint;
  endpoint.method = Method::kPost;
  endpoint.plan_body = [&services](const RequestHead& head, const PathArguments& path) {
    return plan_body(services, head, path);
  };
  endpoint.handle = [&services](const Call& call) { return infer(services, call); };
  add_model_endpoint(router, "/infer", std::move(endpoint));
}

}  // namespace tacit::server
