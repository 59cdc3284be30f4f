// SPDX-License-Identifier: Apache-2.0
// The Open Inference Protocol's inference request and response with the binary tensor extension, for exactly one BYTES
// tensor of shape [1] each way (protocol/inference.md).
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

struct InferenceRequest {
  std::optional<std::string> id;  // to be repeated in the response
  Digest key_id{};
  ByteView ciphertext;  // within the body
};

// The value of Inference-Header-Content-Length. kMediaType where the field is not there, because the body is then JSON
// alone; kRequestMalformed where it is no number or exceeds the content; kDataTooLarge beyond kMaxJsonBytes.
Result<std::uint64_t> inference_header_bytes(const RequestHead& head);

// Both forms: JSON and tensor, or (header value 0) the ciphertext alone and the key in Tacit-Key-Id. `body` must outlive
// the result. kRequestMalformed says which member is wrong; kJsonMalformed.
Result<InferenceRequest> parse_inference_request(const RequestHead& head, ByteView body);

struct InferenceResult {
  std::string model_name;
  std::optional<std::string> id;
  double compute_ms = 0;                // running the network
  double keys_ms = 0;                   // bringing the evaluation keys into memory; 0 where they were there
  double queue_ms = 0;                  // waiting for other requests
  std::uint64_t peak_memory_bytes = 0;  // of the server's process so far
  Bytes ciphertext;
};

Response inference_response(const InferenceResult& result);

}  // namespace tacit::server
