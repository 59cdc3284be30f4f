// SPDX-License-Identifier: Apache-2.0
// The body and the fields of an inference request, in both forms, with the client's own writer on the other side.
//
// Input: a byte of flags, the header length's field, the key's and the stage's (each with its length), then the body.
#include "client/api.h"
#include "server/binary_tensor.h"
#include "server/json.h"
#include "server/limits.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

using namespace server;

std::string text(ByteView bytes) { return std::string(as_text(bytes)); }

// What the client writes for what was read is read as the same.
void write_and_read(const InferenceRequest& request) {
  std::vector<Bytes> ciphertexts;
  for (const ByteView one : request.ciphertexts) ciphertexts.emplace_back(one.begin(), one.end());
  const auto written = client::encode_infer_request(to_hex(request.key_id), request.stage, ciphertexts);
  require(written.ok(), "a request can be written");
  RequestHead head;
  head.fields.add(std::string(kInferenceHeaderLength), std::to_string(written->header_bytes));
  head.content_length = written->body.size();
  const auto again = parse_inference_request(head, written->body);
  require(accepted(again) && again->key_id == request.key_id && again->stage == request.stage &&
              again->ciphertexts.size() == ciphertexts.size(),
          "a request that was written is read as the same");
  for (std::size_t i = 0; i < ciphertexts.size(); ++i)
    require(Bytes(again->ciphertexts[i].begin(), again->ciphertexts[i].end()) == ciphertexts[i],
            "so are its bytes");
}

TACIT_FUZZ_TARGET(infer_request) {
  Input in(input);
  const std::uint8_t flags = in.byte();
  RequestHead head;
  const std::string length = text(in.take(in.byte())), key = text(in.take(in.byte())),
                    stage = text(in.take(in.byte()));
  const ByteView body = in.rest();
  if ((flags & 1) == 0) head.fields.add(std::string(kInferenceHeaderLength), length);
  if ((flags & 2) != 0) head.fields.add(std::string(kKeyIdField), key);
  if ((flags & 4) != 0) head.fields.add(std::string(kStageField), stage);
  head.content_length = body.size();

  accepted(parse_object(body, "the request body"));
  const auto bytes = inference_header_bytes(head);
  const auto request = parse_inference_request(head, body);
  if (!accepted(request)) return;
  require(accepted(bytes) && *bytes <= kMaxJsonBytes && *bytes <= body.size(), "the JSON is within the body");
  require(request->stage < kMaxStages && request->raw == (*bytes == 0) && !request->ciphertexts.empty(),
          "a request says what it takes");
  std::size_t total = 0;
  for (const ByteView one : request->ciphertexts) {
    require(
        one.empty() || (one.data() >= body.data() && one.data() + one.size() <= body.data() + body.size()),
        "ciphertexts are within the body");
    total += one.size() + (request->raw ? 0 : sizeof(std::uint32_t));
  }
  require(total == body.size() - *bytes, "every byte is a ciphertext's");
  if (!request->raw) write_and_read(*request);
}

}  // namespace
}  // namespace tacit::fuzz
