// SPDX-License-Identifier: Apache-2.0
// One prediction, from the request's bytes to the result: what the infer route and jobs have in common.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "server/binary_tensor.h"
#include "server/endpoint.h"
#include "server/key_cache.h"
#include "server/model_registry.h"

namespace tacit::server {

// Everything it takes but the ciphertexts.
struct Prediction {
  std::shared_ptr<const ServedModel> model;
  std::string tenant;
  KeySet keys;
  std::size_t stage = 0;
  std::optional<std::string> id;  // of the inference request
  bool timings = false;           // the result tells how long each layer took

  // What of it has to be in memory to run: predictions of one group share their keys.
  std::string group() const;
};

// How long a request's body may be. The body of a model of one stage has one of two lengths: that of fresh ciphertexts of its input,
// or of computed ones. Of several stages, and where both kinds are sent together, only bounds are known before the JSON is
// there. kDataTooLarge, kDataMalformed; errors of inference_header_bytes.
Result<BodyPlan> plan_prediction_body(const runtime::Model& model, const RequestHead& head);

// The request, its stage checked, and in the raw form its bytes cut into ciphertexts. `body` must outlive the result. Errors of
// parse_inference_request.
Result<InferenceRequest> read_prediction(const runtime::Model& model, const RequestHead& head, ByteView body);

// kKeyUnknown; kKeyMissing where the set lacks keys that the model needs.
Result<Prediction> prepare_prediction(std::shared_ptr<const ServedModel> model, Ledger& ledger,
                                      std::string_view tenant, const InferenceRequest& request);

// Called between operations with how many are done, and the layer that is next, and while keys are read, then from several threads at
// once; false cancels the run.
using Steps = std::function<bool(std::size_t done, std::size_t total, const std::string& layer)>;

// Runs it on the cores of the caller's arena. The result has no queue_ms. kCancelled; errors of KeyCache::get and
// runtime::Model::run.
Result<InferenceResult> predict(const Prediction& prediction, std::span<const ByteView> ciphertexts,
                                KeyStore& store, KeyCache& cache, const Steps& steps);

}  // namespace tacit::server
