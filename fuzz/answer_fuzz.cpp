// SPDX-License-Identifier: Apache-2.0
// What the client takes of a server's answer, without a connection: predictions, refusals, and text to be shown.
//
// Input: the value of the header length's field (a byte of length), then the body.
#include <algorithm>
#include <cmath>

#include "client/api.h"
#include "server/binary_tensor.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

// What the server writes for what was read is read as the same.
void write_and_read(const client::InferAnswer& answer) {
  server::InferenceResult result;
  result.model_name = "model";
  result.compute_ms = answer.compute_ms;
  result.peak_memory_bytes = answer.peak_memory_bytes.value_or(0);
  result.ciphertexts = answer.ciphertexts;
  const server::Response response = server::inference_response(result);
  const auto again = client::decode_infer_answer(
      response.body, response.fields.find(server::kInferenceHeaderLength).value_or(""));
  require(accepted(again) && again->ciphertexts == answer.ciphertexts,
          "an answer that was written is read as the same");
}

TACIT_FUZZ_TARGET(answer) {
  Input in(input);
  const std::string_view length = as_text(in.take(in.byte()));
  const ByteView body = in.rest();
  if (const auto answer = client::decode_infer_answer(body, length); accepted(answer)) {
    std::size_t total = 0;
    for (const Bytes& one : answer->ciphertexts) total += one.size();
    require(total <= body.size() && answer->received_bytes == body.size(), "ciphertexts are within the body");
    if (std::abs(answer->compute_ms) < 1e12) write_and_read(*answer);
  }
  client::HttpResponse response;
  response.status = 400 + static_cast<int>(length.size()) % 200;
  response.headers["content-type"] = "application/problem+json";
  response.body = Bytes(body.begin(), body.end());
  Error refusal = client::refusal(response, "http://127.0.0.1");
  refusal.code = ErrorCode::kServerError;  // the server chooses it, and may say that it has failed itself
  require_sound(refusal);
  const std::string shown = client::server_text(as_text(body));
  require(shown.size() <= 400 + 3 &&
              std::ranges::none_of(shown, [](char c) { return (c >= 0 && c < ' ') || c == 127; }),
          "what is shown is one line");
  client::is_model_name(as_text(body));
}

}  // namespace
}  // namespace tacit::fuzz
