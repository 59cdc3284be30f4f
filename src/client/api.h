// SPDX-License-Identifier: Apache-2.0
// The server's REST interface (protocol/rest.md) as functions: what is sent and what comes back, nothing of
// secrets.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/digest.h"
#include "client/http.h"

namespace tacit::client {

// One of the models that a server has.
struct OfferedModel {
  std::string name;
  std::string trouble;  // why it cannot be used at the moment; empty where it can
};

// What POST /v2/keys answers: the set is complete and has a name, or the server lacks these pieces.
struct KeySet {
  std::string id;  // empty where pieces are missing
  std::vector<Digest> missing;
};

struct InferRequest {
  Bytes body;                    // JSON, then the binary tensor
  std::size_t header_bytes = 0;  // of the JSON
};

struct InferAnswer {
  std::vector<Bytes> ciphertexts;
  double compute_ms = 0;
  std::optional<std::uint64_t> peak_memory_bytes;  // of the server's process, where it tells
  std::uint64_t received_bytes = 0;                // the whole body
};

class Api {
 public:
  // A server that says it is busy (503 with Retry-After) is asked again until so much time was spent on
  // waiting. Every request can be repeated: pieces and key sets are named by their content, and a ciphertext
  // stays the same.
  static constexpr std::chrono::seconds kPatience{120};

  explicit Api(HttpClient http, std::chrono::milliseconds patience = kPatience)
      : http_(std::move(http)), patience_(patience) {}

  // Errors: whatever HttpClient::send answers; the server's own refusals (refusal()); server.protocol where
  // an answer is not what protocol/ says.

  // What each model takes and costs stands in its client half.
  Result<std::vector<OfferedModel>> list_models();
  // The client half as JSON text, unchecked.
  Result<std::string> client_half(std::string_view model);
  // Registers the pieces of one key set for a model.
  Result<KeySet> register_keys(std::string_view model, const std::vector<Digest>& pieces);
  // `digest` is that of `piece`.
  // A piece of more than one part goes in parts: what the server has of it is not sent again, and a part on which the connection
  // breaks off is sent anew.
  Status upload_piece(const Digest& digest, ByteView piece,
                      const std::function<void(std::uint64_t, std::uint64_t)>& on_upload = {});
  // `request` is what encode_infer_request made.
  Result<InferAnswer> infer(std::string_view model, const InferRequest& request);

  const std::string& url() const { return http_.url(); }

 private:
  Result<std::set<std::uint64_t>> received_parts(const Digest& digest);
  Status upload_parts(const Digest& digest, ByteView piece,
                      const std::function<void(std::uint64_t, std::uint64_t)>& on_upload);
  Result<HttpResponse> ask_again(const HttpRequest& request);
  // The answer to a request once the server is not busy.
  Result<HttpResponse> send(const HttpRequest& request);
  // The same, where it is not a refusal.
  Result<HttpResponse> ask(const HttpRequest& request);
  HttpClient http_;
  std::chrono::milliseconds patience_;
};

// [a-z0-9][a-z0-9._-]{0,63}, as the server's models are named; nothing else may become part of a path.
bool is_model_name(std::string_view name);

// The Open Inference Protocol's binary tensor extension: a JSON header, then the tensor "image", for each ciphertext a BYTES
// element of a 32-bit length and its bytes. data.too-large for one from 2^32 bytes on.
Result<InferRequest> encode_infer_request(std::string_view key_id, std::size_t stage,
                                          std::span<const Bytes> ciphertexts);
// `header_bytes` is the value of the Inference-Header-Content-Length header. server.protocol unless there is
// one output "logits" of BYTES elements and the sizes agree.
Result<InferAnswer> decode_infer_answer(ByteView body, std::string_view header_bytes);

}  // namespace tacit::client
