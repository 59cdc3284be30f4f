// SPDX-License-Identifier: Apache-2.0
#include "server/prediction.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <numeric>

#include "base/stopwatch.h"
#include "server/log.h"

namespace tacit::server {
namespace {

using Clock = std::chrono::steady_clock;

std::uint64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

constexpr Time kNoteUse = Time{12} * 3600 * 1000;

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

}  // namespace

std::string Prediction::group() const { return key_group(tenant, keys.id, *model); }

Result<BodyPlan> plan_prediction_body(const runtime::Model& model, const RequestHead& head) {
  TACIT_TRY(const std::uint64_t json_bytes, inference_header_bytes(head));
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
  const std::uint64_t length = head.content_length.value_or(0);
  if (length < least || length > most || (exact && length != least && length != most)) {
    return Error{length > most ? ErrorCode::kDataTooLarge : ErrorCode::kDataMalformed,
                 "a request to this model has " + std::to_string(least) + (exact ? " or " : " to ") +
                     std::to_string(most) +
                     " bytes, with fresh or computed ciphertexts; Content-Length says " +
                     std::to_string(length)};
  }
  return BodyPlan{most};
}

Result<InferenceRequest> read_prediction(const runtime::Model& model, const RequestHead& head,
                                         ByteView body) {
  TACIT_TRY(InferenceRequest request, parse_inference_request(head, body));
  if (request.stage >= model.stages().size())
    return Error{ErrorCode::kRequestMalformed, "the model has " + std::to_string(model.stages().size()) +
                                                   " stages, counted from 0; there is no stage " +
                                                   std::to_string(request.stage)};
  if (request.raw) TACIT_CHECK(split_raw(model, request));
  return request;
}

Result<Prediction> prepare_prediction(std::shared_ptr<const ServedModel> model, Ledger& ledger,
                                      std::string_view tenant, const InferenceRequest& request) {
  TACIT_TRY(KeySet set, ledger.find_set(tenant, request.key_id));
  if (const auto missing = missing_keys(*model->model, set); !missing.empty()) {
    return Error{ErrorCode::kKeyMissing,
                 "the key set lacks " + std::to_string(missing.size()) +
                     " evaluation keys that the model needs, the first for Galois element " +
                     std::to_string(missing.front().element) + "; POST /v2/keys with \"model\" lists them"};
  }
  // A note a day is enough to tell sets that are used from those that are not. Failing to make one is no reason to refuse.
  if (const Time time = now(); time - set.used > kNoteUse)
    if (const Status noted = ledger.touch_set(tenant, set.id, time); !noted.ok())
      log_error("a key set's use is not noted", noted.error());
  return Prediction{std::move(model), std::string(tenant), std::move(set),
                    request.stage,    request.id,          request.timings};
}

Result<InferenceResult> predict(const Prediction& prediction, std::span<const ByteView> ciphertexts,
                                KeyStore& store, KeyCache& cache, const Steps& steps) {
  const runtime::Model& model = *prediction.model->model;
  InferenceResult result;
  result.model_name = model.name();
  result.id = prediction.id;
  const auto begin = Clock::now();
  const auto go_on = [&] { return steps(0, 1, model.layer_name(prediction.stage, 0)); };
  if (!go_on()) return Error{ErrorCode::kCancelled, "the run was cancelled"};
  TACIT_TRY(const KeyCache::Loaded loaded,
            cache.get(*prediction.model, store, prediction.tenant, prediction.keys, go_on));
  if (!loaded.was_cached) result.keys_ms = milliseconds_since(begin);
  result.precision_bits = runtime::precision_left(model.flooding(prediction.stage));
  result.timings = prediction.timings;
  const auto start = Clock::now();
  auto last = start;
  const auto progress = [&](std::size_t done, std::size_t total) {
    const auto time = Clock::now();
    if (done > 0) {
      const std::string& layer = model.layer_name(prediction.stage, done - 1);
      if (result.layers.empty() || result.layers.back().layer != layer) result.layers.push_back({layer, 0});
      result.layers.back().ms += std::chrono::duration<double, std::milli>(time - last).count();
    }
    last = time;
    return steps(done, total, model.layer_name(prediction.stage, done));
  };
  TACIT_TRY(result.ciphertexts,
            model.run(*loaded.keys, prediction.keys.tag, prediction.stage, ciphertexts, progress));
  result.compute_ms = milliseconds_since(start);
  result.peak_memory_bytes = peak_memory_bytes();
  return result;
}

}  // namespace tacit::server
