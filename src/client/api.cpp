// SPDX-License-Identifier: Apache-2.0
#include "client/api.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/printable.h"

namespace tacit::client {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::size_t kMaxModels = 10'000;

Error unexpected(std::string what) {
  return Error{ErrorCode::kServerProtocol, "the server's answer " + std::move(what)};
}

json parse(ByteView bytes) { return json::parse(bytes.begin(), bytes.end(), nullptr, false); }

// The member of an object, or null.
const json& member(const json& object, const char* name) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  auto it = object.find(name);
  return it == object.end() ? kNull : *it;
}

Status check_model_name(std::string_view model) {
  if (is_model_name(model)) return {};
  return Error{ErrorCode::kInvalidArgument, "\"" + printable(model) +
                                                "\" cannot be a model's name; "
                                                "see the names with tacit models"};
}

Result<std::vector<Digest>> missing_pieces(const HttpResponse& response) {
  const json body = parse(response.body);
  const json& pieces = member(body, "missing_pieces");
  std::vector<Digest> missing;
  for (const json& piece : pieces) {
    auto digest = piece.is_string() ? digest_from_hex(piece.get<std::string>()) : unexpected("has no digest");
    if (!digest) return unexpected("lists missing evaluation keys otherwise than by their digests");
    missing.push_back(*digest);
  }
  if (missing.empty()) return unexpected("says that evaluation keys are missing, but none of them");
  return missing;
}

// Pieces are missing that can be sent. The same code without a list means that the set can never fit the
// model.
bool asks_for_pieces(const HttpResponse& response) {
  if (response.status != 409) return false;
  const json body = parse(response.body);
  const json& code = member(body, "code");
  return code.is_string() && code.get<std::string>() == to_string(ErrorCode::kKeyMissing) &&
         member(body, "missing_pieces").is_array();
}

// How long a busy server, or one that is asked too often, wants to be left alone: whole seconds, at least one.
std::optional<std::chrono::milliseconds> retry_after(const HttpResponse& response) {
  auto field = response.headers.find("retry-after");
  const bool later = response.status == 503 || response.status == 429;
  if (!later || field == response.headers.end()) return std::nullopt;
  const std::string& text = field->second;
  std::uint32_t seconds = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return std::chrono::seconds(std::max(seconds, 1u));
}

// protocol/keys.md
constexpr std::uint64_t kPartBytes = std::uint64_t{8} << 20;
constexpr int kAttempts = 5;
constexpr std::chrono::milliseconds kAttemptPause{500};

std::string piece_path(const Digest& digest) { return "/v2/keys/pieces/" + to_hex(digest); }

}  // namespace

bool is_model_name(std::string_view name) {
  auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  auto allowed = [&](char c) { return alphanumeric(c) || c == '.' || c == '_' || c == '-'; };
  return !name.empty() && name.size() <= 64 && alphanumeric(name.front()) &&
         std::all_of(name.begin(), name.end(), allowed);
}

Result<HttpResponse> Api::send(const HttpRequest& request) {
  std::chrono::milliseconds left = patience_;
  for (;;) {
    TACIT_TRY(HttpResponse response, http_.send(request));
    auto wait = retry_after(response);
    if (!wait || *wait > left) return response;
    std::this_thread::sleep_for(*wait);
    left -= *wait;
  }
}

Result<HttpResponse> Api::ask(const HttpRequest& request) {
  TACIT_TRY(HttpResponse response, send(request));
  if (!response.ok()) return refusal(response, url());
  return response;
}

Result<std::vector<OfferedModel>> Api::list_models() {
  HttpRequest request;
  request.path = "/v2/models";
  TACIT_TRY(HttpResponse response, ask(request));
  const json body = parse(response.body);
  const json& models = member(body, "models");
  if (!models.is_array() || models.size() > kMaxModels)
    return unexpected("to GET /v2/models has no list of models");
  std::vector<OfferedModel> offered;
  for (const json& model : models) {
    const json& name = member(model, "name");
    if (!name.is_string()) return unexpected("to GET /v2/models lists a model without a name");
    OfferedModel one{server_text(name.get_ref<const std::string&>()), ""};
    if (member(model, "state") != "READY") {
      const json& reason = member(model, "reason");
      one.trouble =
          reason.is_string() ? server_text(reason.get_ref<const std::string&>()) : "no reason is given";
    } else if (!is_model_name(one.name)) {
      return unexpected("to GET /v2/models lists a model without a proper name");
    }
    offered.push_back(std::move(one));
  }
  return offered;
}

Result<std::string> Api::client_half(std::string_view model) {
  TACIT_CHECK(check_model_name(model));
  HttpRequest request;
  request.path = "/v2/models/" + std::string(model) + "/client";
  TACIT_TRY(HttpResponse response, ask(request));
  return std::string(as_text(response.body));
}

Result<KeySet> Api::register_keys(std::string_view model, const std::vector<Digest>& pieces) {
  TACIT_CHECK(check_model_name(model));
  ordered_json names = ordered_json::array();
  for (const Digest& piece : pieces) names.push_back(to_hex(piece));
  const std::string text = ordered_json{{"model", model}, {"pieces", names}}.dump();
  HttpRequest request;
  request.method = "POST";
  request.path = "/v2/keys";
  request.headers = {{"Content-Type", "application/json"}};
  request.body = as_bytes(text);
  TACIT_TRY(HttpResponse response, send(request));
  if (asks_for_pieces(response)) {
    TACIT_TRY(std::vector<Digest> missing, missing_pieces(response));
    return KeySet{"", std::move(missing)};
  }
  if (!response.ok()) return refusal(response, url());
  const json body = parse(response.body);
  const json& id = member(body, "key_id");
  if (!id.is_string() || id.get_ref<const std::string&>().empty())
    return unexpected("to POST /v2/keys has no key_id");
  return KeySet{id.get<std::string>(), {}};
}

Status Api::upload_piece(const Digest& digest, ByteView piece,
                         const std::function<void(std::uint64_t, std::uint64_t)>& on_upload) {
  if (piece.size() > kPartBytes) return upload_parts(digest, piece, on_upload);
  HttpRequest request;
  request.method = "PUT";
  request.path = piece_path(digest);
  request.headers = {{"Content-Type", "application/octet-stream"}};
  request.body = piece;
  request.on_upload = on_upload;
  auto response = ask(request);
  if (!response) return std::move(response).error();
  return {};
}

// The numbers of the parts that the server has.
Result<std::set<std::uint64_t>> Api::received_parts(const Digest& digest) {
  HttpRequest request;
  request.path = piece_path(digest);
  TACIT_TRY(const HttpResponse response, send(request));
  std::set<std::uint64_t> numbers;
  if (response.status == 404) return numbers;
  if (!response.ok()) return refusal(response, url());
  const json body = parse(response.body);
  if (const json& received = member(body, "received"); received.is_array())
    for (const json& number : received)
      if (number.is_number_unsigned()) numbers.insert(number.get<std::uint64_t>());
  return numbers;
}

Status Api::upload_parts(const Digest& digest, ByteView piece,
                         const std::function<void(std::uint64_t, std::uint64_t)>& on_upload) {
  TACIT_TRY(std::set<std::uint64_t> received, received_parts(digest));
  const std::uint64_t count = (piece.size() + kPartBytes - 1) / kPartBytes;
  // The last part that is sent makes the piece, so one is sent in any case.
  if (received.size() >= count) received.erase(count - 1);
  std::uint64_t done = 0;
  for (std::uint64_t number = 0; number < count; ++number) {
    const std::uint64_t start = number * kPartBytes;
    const ByteView part = piece.subspan(start, std::min<std::uint64_t>(kPartBytes, piece.size() - start));
    if (!received.contains(number)) {
      HttpRequest request;
      request.method = "PUT";
      request.path = piece_path(digest) + "/parts/" + std::to_string(number);
      request.headers = {{"Content-Type", "application/octet-stream"},
                         {"Tacit-Piece-Bytes", std::to_string(piece.size())},
                         {"Tacit-Part-Digest", to_hex(blake2b(part))}};
      request.body = part;
      if (on_upload)
        request.on_upload = [&](std::uint64_t sent, std::uint64_t) { on_upload(done + sent, piece.size()); };
      TACIT_CHECK(ask_again(request));
    }
    done += part.size();
    if (on_upload) on_upload(done, piece.size());
  }
  return {};
}

// For requests that do no harm when they arrive twice.
Result<HttpResponse> Api::ask_again(const HttpRequest& request) {
  for (int attempt = 1;; ++attempt) {
    auto response = ask(request);
    if (response || response.error().code != ErrorCode::kServerUnreachable || attempt == kAttempts)
      return response;
    std::this_thread::sleep_for(attempt * kAttemptPause);
  }
}

Result<InferAnswer> Api::infer(std::string_view model, const InferRequest& infer) {
  TACIT_CHECK(check_model_name(model));
  HttpRequest request;
  request.method = "POST";
  request.path = "/v2/models/" + std::string(model) + "/infer";
  request.headers = {{"Content-Type", "application/octet-stream"},
                     {"Inference-Header-Content-Length", std::to_string(infer.header_bytes)}};
  request.body = infer.body;
  TACIT_TRY(HttpResponse response, ask(request));
  return decode_infer_answer(response.body, response.headers["inference-header-content-length"]);
}

Result<InferRequest> encode_infer_request(std::string_view key_id, std::size_t stage,
                                          std::span<const Bytes> ciphertexts) {
  std::uint64_t size = 0;
  for (const Bytes& ciphertext : ciphertexts) {
    if (ciphertext.size() > 0xFFFFFFFFu)
      return Error{ErrorCode::kDataTooLarge, "a ciphertext of 4 GiB or more cannot be sent"};
    size += sizeof(std::uint32_t) + ciphertext.size();
  }
  ordered_json parameters = {{"key_id", key_id}, {"binary_data_output", true}};
  if (stage > 0) parameters["stage"] = stage;
  const ordered_json header = {
      {"parameters", parameters},
      {"inputs", ordered_json::array({{{"name", "image"},
                                       {"shape", {ciphertexts.size()}},
                                       {"datatype", "BYTES"},
                                       {"parameters", {{"binary_data_size", size}}}}})}};
  const std::string text = header.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  ByteWriter body;
  body.raw(as_bytes(text));
  for (const Bytes& ciphertext : ciphertexts) body.blob(ciphertext);
  return InferRequest{std::move(body).take(), text.size()};
}

Result<InferAnswer> decode_infer_answer(ByteView body, std::string_view header_bytes) {
  std::uint64_t header = 0;
  auto [end, error] = std::from_chars(header_bytes.data(), header_bytes.data() + header_bytes.size(), header);
  if (header_bytes.empty() || error != std::errc() || end != header_bytes.data() + header_bytes.size() ||
      header > body.size()) {
    return unexpected("has no usable Inference-Header-Content-Length");
  }
  const json page = parse(body.first(header));
  const ByteView binary = body.subspan(header);
  const json& outputs = member(page, "outputs");
  if (!outputs.is_array() || outputs.size() != 1) return unexpected("has not exactly one output");
  const json& output = outputs.front();
  const json& size = member(member(output, "parameters"), "binary_data_size");
  if (member(output, "name") != "logits" || member(output, "datatype") != "BYTES" ||
      !size.is_number_unsigned() || size.get<std::uint64_t>() != binary.size()) {
    return unexpected(
        "has an output that is not ciphertexts in binary form, or of another size than it says");
  }
  ByteReader in(binary, "the server's answer");
  InferAnswer answer;
  while (in.remaining() > 0) {
    const auto ciphertext = in.blob(binary.size());
    if (!ciphertext) return unexpected("has a tensor whose element has another length than it says");
    answer.ciphertexts.emplace_back(ciphertext->begin(), ciphertext->end());
  }
  const json& shape = member(output, "shape");
  if (shape != json::array({answer.ciphertexts.size()}))
    return unexpected("has an output whose shape is not the number of its elements");
  answer.received_bytes = body.size();
  const json& parameters = member(page, "parameters");
  const json& compute_ms = member(parameters, "compute_ms");
  if (!compute_ms.is_number()) return unexpected("does not say how long it was computed (compute_ms)");
  answer.compute_ms = compute_ms.get<double>();
  const json& memory = member(parameters, "peak_memory_bytes");
  if (memory.is_number_unsigned()) answer.peak_memory_bytes = memory.get<std::uint64_t>();
  return answer;
}

}  // namespace tacit::client
