// SPDX-License-Identifier: Apache-2.0
// The Open Inference Protocol's inference request and response with the binary tensor extension, for exactly one BYTES
// tensor each way, whose elements are ciphertexts (protocol/inference.md).
#pragma once

#include <optional>

#include "base/digest.h"
#include "base/result.h"
#include "server/http_types.h"

namespace tacit::server {

inline constexpr std::string_view kInputName = "image";
inline constexpr std::string_view kOutputName = "logits";
inline constexpr std::string_view kInferenceHeaderLength = "Inference-Header-Content-Length";
inline constexpr std::string_view kKeyIdField = "Tacit-Key-Id";
inline constexpr std::string_view kStageField = "Tacit-Stage";
inline constexpr std::size_t kMaxStages = 4096;

struct InferenceRequest {
  std::optional<std::string> id;  // to be repeated in the response
  Digest key_id{};
  std::size_t stage = 0;  // of the model
  // Within the body. In the raw form one element, the ciphertexts after each other.
  std::vector<ByteView> ciphertexts;
  bool raw = false;
  bool timings = false;  // the response is to say how long each layer took
};

// The value of Inference-Header-Content-Length. kMediaType where the field is not there, because the body is then JSON
// alone; kRequestMalformed where it is no number or exceeds the content; kDataTooLarge beyond kMaxJsonBytes.
Result<std::uint64_t> inference_header_bytes(const RequestHead& head);

// Both forms: JSON and tensor, or (header value 0) the ciphertexts alone, the key in Tacit-Key-Id and the stage in
// Tacit-Stage. `body` must outlive the result. kRequestMalformed says which member is wrong; kJsonMalformed.
Result<InferenceRequest> parse_inference_request(const RequestHead& head, ByteView body);

struct InferenceResult {
  std::string model_name;
  std::optional<std::string> id;
  double compute_ms = 0;                // running the network
  double keys_ms = 0;                   // bringing the evaluation keys into memory; 0 where they were there
  double queue_ms = 0;                  // waiting for other requests
  std::uint64_t peak_memory_bytes = 0;  // of the server's process so far
  std::vector<Bytes> ciphertexts;
  // log2 of the largest calibrated output beside the deviation of its error, the noise that was added included: of the least
  // precise of the outputs. Where noise was added.
  std::optional<double> precision_bits = {};
  struct LayerTime {
    std::string layer;
    double ms = 0;
  };
  std::vector<LayerTime> layers = {};  // in the order in which they were computed
  bool timings = false;                // they are told
};

Response inference_response(const InferenceResult& result);
// A body that the function above has made, whose first `json_bytes` are JSON.
Response inference_response(Bytes body, std::size_t json_bytes);

}  // namespace tacit::server
