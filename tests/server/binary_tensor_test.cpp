// SPDX-License-Identifier: Apache-2.0
#include "server/binary_tensor.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "base/file.h"
#include "server/json.h"
#include "server/limits.h"

namespace tacit::server {
namespace {

const std::string kKey(64, 'a');

Json valid_json(std::size_t ciphertext_bytes) {
  return {{"id", "42"},
          {"parameters", {{"key_id", kKey}, {"binary_data_output", true}}},
          {"inputs", Json::array({{{"name", "image"},
                                   {"shape", Json::array({1})},
                                   {"datatype", "BYTES"},
                                   {"parameters", {{"binary_data_size", ciphertext_bytes + 4}}}}})}};
}

struct Message {
  RequestHead head;
  Bytes body;
};

Message raw_message(const std::string& json, ByteView tensor) {
  ByteWriter out;
  out.raw(as_bytes(json));
  out.raw(tensor);
  Message m;
  m.body = std::move(out).take();
  m.head.content_length = m.body.size();
  m.head.fields.add("inference-header-content-length", std::to_string(json.size()));
  return m;
}

Message message(const Json& json, const Bytes& ciphertext) {
  ByteWriter tensor;
  tensor.blob(ciphertext);
  return raw_message(json.dump(), std::move(tensor).take());
}

ErrorCode code_of(const Message& m) {
  const auto request = parse_inference_request(m.head, m.body);
  return request.ok() ? ErrorCode::kInternal : request.error().code;
}

TEST(BinaryTensor, ReadsARequest) {
  const Bytes ciphertext = {1, 2, 3, 4, 5};
  const Message m = message(valid_json(5), ciphertext);
  const auto request = parse_inference_request(m.head, m.body);
  ASSERT_TRUE(request.ok()) << request.error().to_line();
  EXPECT_EQ(request->id, "42");
  EXPECT_EQ(to_hex(request->key_id), kKey);
  EXPECT_EQ(Bytes(request->ciphertexts.front().begin(), request->ciphertexts.front().end()), ciphertext);
}

TEST(BinaryTensor, ReadsTheRawForm) {
  Message m;
  m.body = {9, 8, 7};
  m.head.content_length = 3;
  m.head.fields.add("Inference-Header-Content-Length", "0");
  EXPECT_EQ(code_of(m), ErrorCode::kRequestMalformed);
  m.head.fields.add("Tacit-Key-Id", kKey);
  const auto request = parse_inference_request(m.head, m.body);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->ciphertexts.front().size(), 3u);
  EXPECT_EQ(request->id, std::nullopt);
}

TEST(BinaryTensor, JsonAloneIsRefusedWithAWayOut) {
  Message m = message(valid_json(1), Bytes{1});
  m.head.fields = {};
  const auto request = parse_inference_request(m.head, m.body);
  ASSERT_FALSE(request.ok());
  EXPECT_EQ(request.error().code, ErrorCode::kMediaType);
  EXPECT_NE(request.error().message.find("Inference-Header-Content-Length"), std::string::npos);

  Json with_data = valid_json(1);
  with_data["inputs"][0]["data"] = Json::array({"AQ=="});
  EXPECT_EQ(code_of(message(with_data, Bytes{1})), ErrorCode::kMediaType);
  Json json_output = valid_json(1);
  json_output["parameters"]["binary_data_output"] = false;
  EXPECT_EQ(code_of(message(json_output, Bytes{1})), ErrorCode::kMediaType);
}

TEST(BinaryTensor, NamesTheMemberThatIsWrong) {
  auto refused = [](const std::function<void(Json&)>& change) {
    Json json = valid_json(3);
    change(json);
    const Message m = message(json, Bytes{1, 2, 3});
    const auto request = parse_inference_request(m.head, m.body);
    EXPECT_FALSE(request.ok()) << json;
    if (request.ok()) return std::string("accepted");
    EXPECT_EQ(request.error().code, ErrorCode::kRequestMalformed) << json;
    EXPECT_EQ(request.error().message.find('\n'), std::string::npos);
    return request.error().message;
  };
  EXPECT_NE(refused([](Json& j) { j.erase("parameters"); }).find("key_id"), std::string::npos);
  EXPECT_NE(refused([](Json& j) { j["parameters"]["key_id"] = 7; }).find("key_id"), std::string::npos);
  EXPECT_NE(refused([](Json& j) { j["parameters"]["key_id"] = "abcd"; }).find("key_id"), std::string::npos);
  EXPECT_NE(refused([](Json& j) { j["parameters"]["first_layer"] = 2; }).find("not supported"),
            std::string::npos);
  EXPECT_NE(refused([](Json& j) { j["parameters"] = 1; }).find("parameters"), std::string::npos);
  EXPECT_NE(refused([](Json& j) { j["id"] = 7; }).find("id"), std::string::npos);
  EXPECT_NE(refused([](Json& j) { j["id"] = std::string(kMaxInferenceIdBytes + 1, 'x'); }).find("id"),
            std::string::npos);
  EXPECT_NE(refused([](Json& j) { j.erase("inputs"); }).find("inputs"), std::string::npos);
  EXPECT_NE(refused([](Json& j) { j["inputs"].push_back(j["inputs"][0]); }).find("inputs"),
            std::string::npos);
  EXPECT_NE(refused([](Json& j) { j["inputs"] = Json::array({7}); }).find("name"), std::string::npos);
  EXPECT_NE(refused([](Json& j) { j["inputs"][0]["name"] = "x"; }).find("image"), std::string::npos);
  EXPECT_NE(refused([](Json& j) { j["inputs"][0]["datatype"] = "FP32"; }).find("BYTES"), std::string::npos);
  EXPECT_NE(refused([](Json& j) { j["inputs"][0]["shape"] = {1, 1}; }).find("shape"), std::string::npos);
  EXPECT_NE(refused([](Json& j) { j["inputs"][0]["shape"] = {-1}; }).find("shape"), std::string::npos);
  EXPECT_NE(refused([](Json& j) { j["inputs"][0]["parameters"]["binary_data_size"] = 8; }).find("7"),
            std::string::npos);
  EXPECT_NE(refused([](Json& j) { j["inputs"][0]["parameters"]["binary_data_size"] = -7; }).find("7"),
            std::string::npos);
  EXPECT_NE(refused([](Json& j) {
              j["outputs"] = Json::array({{{"name", "x"}}});
            }).find("logits"),
            std::string::npos);
  EXPECT_NE(refused([](Json& j) { j["outputs"] = 5; }).find("outputs"), std::string::npos);
}

TEST(BinaryTensor, LengthsMustAgree) {
  const std::string json = valid_json(3).dump();
  EXPECT_EQ(code_of(raw_message(json, Bytes{4, 0, 0, 0, 1, 2, 3})), ErrorCode::kRequestMalformed);
  EXPECT_EQ(code_of(raw_message(json, Bytes{0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3})), ErrorCode::kRequestMalformed);
  EXPECT_EQ(code_of(raw_message(valid_json(0).dump(), Bytes{0, 0, 0})), ErrorCode::kRequestMalformed);
  Json short_tensor = valid_json(0);
  short_tensor["inputs"][0]["parameters"]["binary_data_size"] = 3;
  EXPECT_EQ(code_of(raw_message(short_tensor.dump(), Bytes{0, 0, 0})), ErrorCode::kDataTruncated);

  Message m = raw_message(json, Bytes{3, 0, 0, 0, 1, 2, 3});
  EXPECT_TRUE(parse_inference_request(m.head, m.body).ok());
  for (const char* value : {"-1", "x", "", "99999", "1 "}) {
    m.head.fields = {};
    m.head.fields.add("Inference-Header-Content-Length", value);
    const ErrorCode code = code_of(m);
    EXPECT_TRUE(code == ErrorCode::kRequestMalformed || code == ErrorCode::kDataTooLarge) << value;
  }
  m.head.fields = {};
  m.head.fields.add("Inference-Header-Content-Length", std::to_string(kMaxJsonBytes + 1));
  EXPECT_EQ(code_of(m), ErrorCode::kDataTooLarge);
}

TEST(BinaryTensor, BrokenJsonIsAnErrorWhateverIsBroken) {
  const std::string json = valid_json(3).dump();
  EXPECT_EQ(code_of(raw_message("[" + std::string(json.size(), '[') + "]", Bytes{3, 0, 0, 0, 1, 2, 3})),
            ErrorCode::kJsonMalformed);
  EXPECT_EQ(code_of(raw_message("[]", Bytes{3, 0, 0, 0, 1, 2, 3})), ErrorCode::kJsonMalformed);
  constexpr std::uint64_t kSeed = 20240607;
  std::mt19937_64 random(kSeed);
  std::size_t accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    Message m = raw_message(json, Bytes{3, 0, 0, 0, 1, 2, 3});
    for (int change = 0; change < 1 + i % 3; ++change)
      m.body[random() % m.body.size()] = static_cast<std::uint8_t>(random());
    accepted += parse_inference_request(m.head, m.body).ok();
  }
  // Changes in the id, the key and the ciphertext leave the request valid.
  EXPECT_GT(accepted, 100u) << "seed " << kSeed;
  EXPECT_LT(accepted, 15'000u) << "seed " << kSeed;
}

InferenceResult make_result(double compute_ms, double queue_ms, std::uint64_t memory, Bytes ciphertext) {
  InferenceResult result;
  result.model_name = "lenet";
  result.id = "42";
  result.compute_ms = compute_ms;
  result.queue_ms = queue_ms;
  result.peak_memory_bytes = memory;
  result.ciphertexts.push_back(std::move(ciphertext));
  return result;
}

TEST(BinaryTensor, WritesAResponseThatCanBeTakenApart) {
  const Response response = inference_response(make_result(12.3456789, 1.5, 1024, {7, 7, 7}));
  const auto field = response.fields.find("Inference-Header-Content-Length");
  ASSERT_TRUE(field);
  const auto json_bytes = parse_number(*field);
  ASSERT_TRUE(json_bytes && *json_bytes < response.body.size());
  const ByteView body(response.body);
  const Json json = Json::parse(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(*json_bytes));
  EXPECT_EQ(json["model_name"], "lenet");
  EXPECT_EQ(json["model_version"], "1");
  EXPECT_EQ(json["id"], "42");
  EXPECT_EQ(json["parameters"]["compute_ms"], 12.346);
  EXPECT_EQ(json["parameters"]["queue_ms"], 1.5);
  ASSERT_EQ(json["outputs"].size(), 1u);
  EXPECT_EQ(json["outputs"][0]["name"], "logits");
  EXPECT_EQ(json["outputs"][0]["shape"], Json::array({1}));
  EXPECT_EQ(json["outputs"][0]["datatype"], "BYTES");
  EXPECT_EQ(json["outputs"][0]["parameters"]["binary_data_size"], 7);
  ByteReader in(body.subspan(*json_bytes), "tensor");
  const auto element = in.blob(100);
  ASSERT_TRUE(element.ok());
  EXPECT_EQ(Bytes(element->begin(), element->end()), (Bytes{7, 7, 7}));
  EXPECT_TRUE(in.finish().ok());
}

// The part of `text` from `begin` up to `end`.
std::string between(const std::string& text, std::string_view begin, std::string_view end,
                    std::size_t from = 0) {
  const std::size_t start = text.find(begin, from);
  if (start == std::string::npos) return "";
  return text.substr(start, text.find(end, start) - start);
}

// protocol/inference.md has one request and one response in full.
TEST(BinaryTensor, TheExampleOfTheProtocolIsTrue) {
  const auto file = read_file(TACIT_SOURCE_DIR "/protocol/inference.md", 1 << 20);
  ASSERT_TRUE(file.ok());
  const std::string page(as_text(*file));
  const std::string request_json = between(page, "{\"id\":\"42\"", "<");
  const Message m = message(Json::parse(request_json), Bytes(1024));
  EXPECT_EQ(m.body.size(), request_json.size() + 4 + 1024)
      << "the JSON of the page is not in its shortest form";
  const auto request = parse_inference_request(m.head, m.body);
  ASSERT_TRUE(request.ok()) << request.error().to_line();
  EXPECT_EQ(request->ciphertexts.front().size(), 1024u);
  const std::string header = "Inference-Header-Content-Length: ";
  EXPECT_NE(page.find(header + std::to_string(request_json.size()) + "\nContent-Length: " +
                      std::to_string(m.body.size()) + "\n\n" + request_json + "<00 04 00 00>"),
            std::string::npos);

  const Response response = inference_response(make_result(38.214, 0.021, 183500800, Bytes(512)));
  const std::string json(as_text(response.body).substr(0, response.body.size() - 516));
  EXPECT_NE(page.find(json + "<00 02 00 00>"), std::string::npos) << json;
  EXPECT_NE(page.find(header + std::to_string(json.size()) +
                      "\nContent-Length: " + std::to_string(response.body.size()) + "\n"),
            std::string::npos);
}

}  // namespace
}  // namespace tacit::server
