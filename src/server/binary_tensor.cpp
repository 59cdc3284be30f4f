// SPDX-License-Identifier: Apache-2.0
#include "server/binary_tensor.h"

#include <cmath>

#include "base/printable.h"
#include "server/json.h"
#include "server/limits.h"

namespace tacit::server {
namespace {

Error malformed(std::string message) { return {ErrorCode::kRequestMalformed, std::move(message)}; }

Error wants_binary(std::string_view why) {
  return {ErrorCode::kMediaType,
          std::string(why) +
              "; ciphertexts travel as binary data only: send the field "
              "Inference-Header-Content-Length and \"binary_data_size\" (protocol/inference.md)"};
}

Result<Digest> parse_key_id(const Json* value) {
  if (value == nullptr) return malformed("\"parameters\" has no \"key_id\"; POST /v2/keys gives one");
  if (!value->is_string()) return malformed("\"key_id\" must be a string of 64 hexadecimal digits");
  auto id = digest_from_hex(value->get_ref<const std::string&>());
  if (!id.ok()) return malformed("\"key_id\" must be a string of 64 hexadecimal digits");
  return id;
}

// true where the member is there and false: the client asks for JSON output, which is not given.
Status refuse_json_output(const Json* parameters, const char* name) {
  const Json* wanted = parameters == nullptr ? nullptr : member(*parameters, name);
  if (wanted == nullptr) return {};
  if (!wanted->is_boolean()) return malformed("\"" + std::string(name) + "\" must be true");
  if (!wanted->get<bool>()) return wants_binary("\"" + std::string(name) + "\" is false");
  return {};
}

// Nothing but the names in `known`: a parameter that is not understood would change what the client thinks it gets.
Status check_parameters(const Json* parameters, std::initializer_list<std::string_view> known,
                        std::string_view where) {
  if (parameters == nullptr) return {};
  if (!parameters->is_object())
    return malformed("\"parameters\" of " + std::string(where) + " must be an object");
  for (const auto& [name, value] : parameters->items()) {
    bool is_known = false;
    for (std::string_view k : known) is_known = is_known || name == k;
    if (!is_known)
      return malformed("\"parameters\" of " + std::string(where) +
                       " has a member that is not supported here: " + printable(name, 64));
  }
  return {};
}

bool is_shape(const Json* shape, std::size_t count) {
  return shape != nullptr && shape->is_array() && shape->size() == 1 && shape->front().is_number_unsigned() &&
         shape->front().get<std::uint64_t>() == count;
}

bool is_string(const Json* value, std::string_view text) {
  return value != nullptr && value->is_string() && value->get_ref<const std::string&>() == text;
}

Status check_input(const Json& input, std::uint64_t tensor_bytes) {
  if (!is_string(member(input, "name"), kInputName))
    return malformed("the input's \"name\" must be \"image\"");
  if (!is_string(member(input, "datatype"), "BYTES"))
    return malformed("the input's \"datatype\" must be \"BYTES\"");
  if (member(input, "data") != nullptr) return wants_binary("the input has \"data\"");
  const Json* parameters = member(input, "parameters");
  TACIT_CHECK(check_parameters(parameters, {"binary_data_size"}, "the input"));
  const Json* size = parameters == nullptr ? nullptr : member(*parameters, "binary_data_size");
  if (size == nullptr) return wants_binary("the input has no \"binary_data_size\"");
  if (!size->is_number_unsigned() || size->get<std::uint64_t>() != tensor_bytes) {
    return malformed("the input's \"binary_data_size\" must be the " + std::to_string(tensor_bytes) +
                     " bytes that follow the JSON");
  }
  return {};
}

Status check_outputs(const Json* outputs) {
  if (outputs == nullptr) return {};
  if (!outputs->is_array() || outputs->size() != 1)
    return malformed("\"outputs\" must have one member, \"logits\"");
  const Json& output = outputs->front();
  if (!is_string(member(output, "name"), kOutputName))
    return malformed("the output's \"name\" must be \"logits\"");
  const Json* parameters = member(output, "parameters");
  TACIT_CHECK(check_parameters(parameters, {"binary_data"}, "the output"));
  return refuse_json_output(parameters, "binary_data");
}

// The BYTES elements that fill `tensor`.
Result<std::vector<ByteView>> elements_of(ByteView tensor) {
  ByteReader in(tensor, "the input tensor");
  std::vector<ByteView> elements;
  do {
    if (!elements.empty() && in.remaining() < sizeof(std::uint32_t))
      return malformed("the input tensor has " + std::to_string(in.remaining()) +
                       " bytes behind its last element");
    TACIT_TRY(const std::uint32_t length, in.u32());
    if (length > in.remaining()) {
      return malformed("the input tensor's element " + std::to_string(elements.size()) + " has " +
                       std::to_string(in.remaining()) + " bytes, its length field says " +
                       std::to_string(length));
    }
    TACIT_TRY(const ByteView element, in.raw(length));
    elements.push_back(element);
  } while (in.remaining() > 0);
  return elements;
}

Result<std::size_t> parse_stage(const Json* stage) {
  if (stage == nullptr) return std::size_t{0};
  if (!stage->is_number_unsigned() || stage->get<std::uint64_t>() >= kMaxStages)
    return malformed("\"stage\" must be the number of a stage, counted from 0");
  return stage->get<std::size_t>();
}

Result<bool> parse_timings(const Json* timings) {
  if (timings == nullptr) return false;
  if (!timings->is_boolean()) return malformed("\"timings\" must be true or false");
  return timings->get<bool>();
}

Result<InferenceRequest> parse_raw(const RequestHead& head, ByteView body) {
  const auto key = head.fields.find(kKeyIdField);
  if (!key)
    return malformed("a request without JSON must name its evaluation keys in the field Tacit-Key-Id");
  const auto id = digest_from_hex(*key);
  if (!id.ok()) return malformed("the field Tacit-Key-Id must have 64 hexadecimal digits");
  InferenceRequest request;
  request.key_id = *id;
  request.ciphertexts = {body};
  request.raw = true;
  if (const auto stage = head.fields.find(kStageField)) {
    const auto number = parse_number(*stage);
    if (!number || *number >= kMaxStages)
      return malformed("the field Tacit-Stage must be the number of a stage, counted from 0");
    request.stage = static_cast<std::size_t>(*number);
  }
  return request;
}

double rounded(double milliseconds) { return std::round(milliseconds * 1000) / 1000; }

}  // namespace

Result<std::uint64_t> inference_header_bytes(const RequestHead& head) {
  const auto field = head.fields.find(kInferenceHeaderLength);
  if (!field) return wants_binary("the field Inference-Header-Content-Length is missing");
  const auto bytes = parse_number(*field);
  if (!bytes) return malformed("the field Inference-Header-Content-Length is not a number of bytes");
  if (*bytes > kMaxJsonBytes) {
    return Error{ErrorCode::kDataTooLarge,
                 "the request's JSON may have " + std::to_string(kMaxJsonBytes) + " bytes"};
  }
  if (head.content_length && *bytes > *head.content_length) {
    return malformed("Inference-Header-Content-Length is larger than Content-Length");
  }
  return *bytes;
}

Result<InferenceRequest> parse_inference_request(const RequestHead& head, ByteView body) {
  TACIT_TRY(const std::uint64_t json_bytes, inference_header_bytes(head));
  if (json_bytes == 0) return parse_raw(head, body);
  if (json_bytes > body.size()) return malformed("Inference-Header-Content-Length is larger than the body");
  TACIT_TRY(const Json json, parse_object(body.first(json_bytes), "the inference header"));
  const ByteView tensor = body.subspan(json_bytes);

  InferenceRequest request;
  if (const Json* id = member(json, "id")) {
    if (!id->is_string() || id->get_ref<const std::string&>().size() > kMaxInferenceIdBytes) {
      return malformed("\"id\" must be a string of at most " + std::to_string(kMaxInferenceIdBytes) +
                       " bytes");
    }
    request.id = id->get<std::string>();
  }
  const Json* parameters = member(json, "parameters");
  TACIT_CHECK(
      check_parameters(parameters, {"key_id", "stage", "timings", "binary_data_output"}, "the request"));
  TACIT_TRY(request.key_id, parse_key_id(parameters == nullptr ? nullptr : member(*parameters, "key_id")));
  TACIT_TRY(request.stage, parse_stage(member(*parameters, "stage")));
  TACIT_TRY(request.timings, parse_timings(member(*parameters, "timings")));
  TACIT_CHECK(refuse_json_output(parameters, "binary_data_output"));
  const Json* inputs = member(json, "inputs");
  if (inputs == nullptr || !inputs->is_array() || inputs->size() != 1) {
    return malformed("\"inputs\" must have one member, \"image\"");
  }
  TACIT_CHECK(check_input(inputs->front(), tensor.size()));
  TACIT_TRY(request.ciphertexts, elements_of(tensor));
  const std::size_t count = request.ciphertexts.size();
  if (!is_shape(member(inputs->front(), "shape"), count))
    return malformed("the input's \"shape\" must be [" + std::to_string(count) +
                     "], the number of elements that follow");
  TACIT_CHECK(check_outputs(member(json, "outputs")));
  return request;
}

Response inference_response(const InferenceResult& result) {
  Json json = {{"model_name", result.model_name}, {"model_version", "1"}};
  if (result.id) json["id"] = *result.id;
  json["parameters"] = {{"compute_ms", rounded(result.compute_ms)},
                        {"keys_ms", rounded(result.keys_ms)},
                        {"queue_ms", rounded(result.queue_ms)},
                        {"peak_memory_bytes", result.peak_memory_bytes}};
  if (result.timings) {
    // Values of parameters are numbers and strings only.
    Json layers = Json::array();
    for (const auto& [layer, ms] : result.layers) layers.push_back({{"layer", layer}, {"ms", rounded(ms)}});
    json["parameters"]["timings"] = dump(layers);
  }
  if (result.precision_bits) json["parameters"]["precision_bits"] = rounded(*result.precision_bits);
  std::size_t tensor_bytes = 0;
  for (const Bytes& ciphertext : result.ciphertexts)
    tensor_bytes += sizeof(std::uint32_t) + ciphertext.size();
  const Json output = {{"name", std::string(kOutputName)},
                       {"shape", Json::array({result.ciphertexts.size()})},
                       {"datatype", "BYTES"},
                       {"parameters", {{"binary_data_size", tensor_bytes}}}};
  json["outputs"] = Json::array({output});
  const std::string text = dump(json);
  ByteWriter out;
  out.raw(as_bytes(text));
  for (const Bytes& ciphertext : result.ciphertexts) out.blob(ciphertext);
  return inference_response(std::move(out).take(), text.size());
}

Response inference_response(Bytes body, std::size_t json_bytes) {
  Response response;
  response.fields.add("Content-Type", "application/octet-stream");
  response.fields.add("Cache-Control", "no-store");
  response.fields.add(std::string(kInferenceHeaderLength), std::to_string(json_bytes));
  response.body = std::move(body);
  return response;
}

}  // namespace tacit::server
