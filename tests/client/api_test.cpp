// SPDX-License-Identifier: Apache-2.0
#include "client/api.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "client/socket_server.h"

namespace tacit::client {
namespace {

using nlohmann::json;
using test::RawRequest;
using test::reply;
using test::SocketServer;

Api connect(const SocketServer& server, std::chrono::milliseconds patience = Api::kPatience) {
  auto http = HttpClient::create(server.url());
  EXPECT_TRUE(http.ok());
  return Api(std::move(http).value(), patience);
}

std::string infer_json(std::uint64_t size, const std::string& parameters = R"("compute_ms":12.5)") {
  return R"({"model_name":"m","parameters":{)" + parameters +
         R"(},"outputs":[{"name":"logits","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":)" +
         std::to_string(size) + "}}]}";
}

Bytes body_of(const std::string& header, std::uint32_t length, std::string_view content) {
  ByteWriter body;
  body.raw(as_bytes(header));
  body.u32(length);
  body.raw(as_bytes(content));
  return std::move(body).take();
}

TEST(InferRequestBytes, AreJsonThenLengthAndCiphertext) {
  const std::vector<Bytes> ciphertexts = {{1, 2, 3, 250, 0}, {7}};
  auto request = encode_infer_request("key \"7\"", 0, ciphertexts);
  ASSERT_TRUE(request.ok());
  const Bytes& body = request->body;
  ASSERT_EQ(body.size(), request->header_bytes + 4 + 5 + 4 + 1);
  json header = json::parse(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(request->header_bytes));
  json expected = {{"parameters", {{"key_id", "key \"7\""}, {"binary_data_output", true}}},
                   {"inputs", json::array({json{{"name", "image"},
                                                {"shape", json::array({2})},
                                                {"datatype", "BYTES"},
                                                {"parameters", {{"binary_data_size", 14}}}}})}};
  EXPECT_EQ(header, expected) << header;
  EXPECT_EQ(Bytes(body.end() - 14, body.end()), (Bytes{5, 0, 0, 0, 1, 2, 3, 250, 0, 1, 0, 0, 0, 7}));
}

TEST(InferAnswerBytes, GiveTheCiphertextAndWhatItCost) {
  std::string header = infer_json(7, R"("compute_ms":12.5,"peak_memory_bytes":123456789012)");
  Bytes body = body_of(header, 3, "abc");
  auto answer = decode_infer_answer(body, std::to_string(header.size()));
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  ASSERT_EQ(answer->ciphertexts.size(), 1u);
  EXPECT_EQ(as_text(answer->ciphertexts.front()), "abc");
  EXPECT_EQ(answer->compute_ms, 12.5);
  EXPECT_EQ(answer->peak_memory_bytes, 123456789012u);
  EXPECT_EQ(answer->received_bytes, body.size());
  EXPECT_FALSE(decode_infer_answer(body_of(infer_json(7), 3, "abc"), std::to_string(infer_json(7).size()))
                   ->peak_memory_bytes.has_value());
}

TEST(InferAnswerBytes, EverySizeMustAgree) {
  std::string header = infer_json(7);
  std::string length = std::to_string(header.size());
  Bytes good = body_of(header, 3, "abc");
  ASSERT_TRUE(decode_infer_answer(good, length).ok());
  auto refused = [](const Bytes& body, const std::string& header_bytes) {
    auto answer = decode_infer_answer(body, header_bytes);
    return !answer.ok() && answer.error().code == ErrorCode::kServerProtocol;
  };
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_TRUE(refused(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)), length))
        << size;
  }
  EXPECT_TRUE(refused(body_of(header, 3, "abcd"), length));
  EXPECT_TRUE(refused(body_of(header, 2, "abc"), length));
  EXPECT_TRUE(refused(body_of(header, 4, "abc"), length));
  EXPECT_TRUE(refused(body_of(header, 0xFFFFFFFF, "abc"), length));
  for (const char* wrong : {"", "x", "-1", "0", "1", "99999999999999999999", "12 "}) {
    EXPECT_TRUE(refused(good, wrong)) << wrong;
  }
  EXPECT_TRUE(refused(good, std::to_string(good.size() + 1)));
}

TEST(InferAnswerBytes, OtherOutputsAreRefused) {
  auto refused = [](json header) {
    std::string text = header.dump();
    return !decode_infer_answer(body_of(text, 3, "abc"), std::to_string(text.size())).ok();
  };
  const json good = json::parse(infer_json(7));
  ASSERT_FALSE(refused(good));
  for (const char* change :
       {R"([{"op":"replace","path":"/outputs/0/name","value":"labels"}])",
        R"([{"op":"replace","path":"/outputs/0/datatype","value":"FP32"}])",
        R"([{"op":"replace","path":"/outputs/0/parameters/binary_data_size","value":-7}])",
        R"([{"op":"remove","path":"/outputs/0/parameters"}])", R"([{"op":"remove","path":"/outputs/0"}])",
        R"([{"op":"replace","path":"/outputs","value":{"logits":7}}])",
        R"([{"op":"copy","from":"/outputs/0","path":"/outputs/1"}])",
        R"([{"op":"remove","path":"/parameters"}])",
        R"([{"op":"replace","path":"/parameters/compute_ms","value":"fast"}])"}) {
    EXPECT_TRUE(refused(good.patch(json::parse(change)))) << change;
  }
}

TEST(ApiNames, OnlyModelNamesBecomePartOfAPath) {
  for (const char* name : {"lenet", "0", "fashion-mnist", "a.b_c-9"})
    EXPECT_TRUE(is_model_name(name)) << name;
  for (const char* name : {"", "A", "../keys", "a/b", "a b", ".a", "-a", "a%2f", "a?b", "ä"}) {
    EXPECT_FALSE(is_model_name(name)) << name;
  }
  EXPECT_TRUE(is_model_name(std::string(64, 'a')));
  EXPECT_FALSE(is_model_name(std::string(65, 'a')));
  SocketServer server([](const RawRequest&) { return reply(200, "{}"); });
  Api api = connect(server);
  EXPECT_EQ(api.client_half("../keys").error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(server.requests().empty());
}

TEST(Api, ListsModels) {
  SocketServer server([](const RawRequest& request) {
    return request.path == "/v2/models" ? reply(200, R"({"models":[{"name":"a","state":"READY"},
                   {"name":"Bro\nken","state":"UNAVAILABLE","reason":"damaged"},{"name":"b-1","state":"READY"}]})")
                                        : reply(404, "");
  });
  auto offered = connect(server).list_models();
  ASSERT_TRUE(offered.ok()) << offered.error().message;
  ASSERT_EQ(offered->size(), 3u);
  EXPECT_EQ((*offered)[0].name, "a");
  EXPECT_EQ((*offered)[0].trouble, "");
  EXPECT_EQ((*offered)[1].name, "Bro?ken");
  EXPECT_EQ((*offered)[1].trouble, "damaged");
  EXPECT_EQ((*offered)[2].name, "b-1");
}

TEST(Api, AListThatIsNoneIsAProtocolError) {
  for (const char* body :
       {"", "[]", "{}", R"({"models":{}})", R"({"models":[{"name":"../x","state":"READY"}]})",
        R"({"models":[{"name":7}]})", R"({"models":["a"]})"}) {
    SocketServer server([&](const RawRequest&) { return reply(200, body); });
    EXPECT_EQ(connect(server).list_models().error().code, ErrorCode::kServerProtocol) << body;
  }
}

TEST(Api, FetchesTheClientHalfUnchanged) {
  SocketServer server([](const RawRequest& request) { return reply(200, "<" + request.path + ">"); });
  EXPECT_EQ(*connect(server).client_half("m"), "</v2/models/m/client>");
}

TEST(Api, RegistersKeysAndLearnsWhatIsMissing) {
  Digest a = blake2b(as_bytes("a")), b = blake2b(as_bytes("b"));
  bool complete = false;
  SocketServer server([&](const RawRequest&) {
    if (complete) return reply(201, R"({"key_id":"set-1"})");
    return reply(409, R"({"code":"keys.missing","detail":"two","missing_pieces":[")" + to_hex(b) + R"("]})");
  });
  Api api = connect(server);
  auto set = api.register_keys("m", {a, b});
  ASSERT_TRUE(set.ok()) << set.error().message;
  EXPECT_EQ(set->id, "");
  EXPECT_EQ(set->missing, std::vector<Digest>{b});
  complete = true;
  set = api.register_keys("m", {a, b});
  ASSERT_TRUE(set.ok());
  EXPECT_EQ(set->id, "set-1");
  RawRequest seen = server.requests().front();
  EXPECT_EQ(seen.method + " " + seen.path, "POST /v2/keys");
  EXPECT_NE(seen.head.find("Content-Type: application/json\r\n"), std::string::npos);
  EXPECT_EQ(json::parse(seen.body), (json{{"model", "m"}, {"pieces", {to_hex(a), to_hex(b)}}}));
}

TEST(Api, OtherAnswersToAKeySetAreErrors) {
  std::string hex(64, 'a');
  struct Case {
    int status;
    std::string body;
    ErrorCode code;
  } cases[] = {
      {200, "{}", ErrorCode::kServerProtocol},
      {200, R"({"key_id":""})", ErrorCode::kServerProtocol},
      {409, R"({"code":"parameters.mismatch","detail":"other model"})", ErrorCode::kParametersMismatch},
      {409, R"({"code":"keys.missing","detail":"element 5"})", ErrorCode::kKeyMissing},
      {409, R"({"code":"keys.missing","missing_pieces":[]})", ErrorCode::kServerProtocol},
      {409, R"({"code":"keys.missing","missing_pieces":["abc"]})", ErrorCode::kServerProtocol},
      {409, R"({"code":"keys.missing","missing_pieces":[7]})", ErrorCode::kServerProtocol},
      {404, R"({"code":"file.not-found","detail":"no such model"})", ErrorCode::kFileNotFound}};
  for (const Case& c : cases) {
    SocketServer server([&](const RawRequest&) { return reply(c.status, c.body); });
    auto set = connect(server).register_keys("m", {});
    ASSERT_FALSE(set.ok()) << c.body;
    EXPECT_EQ(set.error().code, c.code) << c.body;
  }
}

TEST(Api, UploadsAPieceUnderItsDigest) {
  SocketServer server([](const RawRequest&) { return reply(201, ""); });
  Bytes piece{9, 8, 7};
  ASSERT_TRUE(connect(server).upload_piece(blake2b(piece), piece).ok());
  RawRequest seen = server.requests().front();
  EXPECT_EQ(seen.method + " " + seen.path, "PUT /v2/keys/pieces/" + to_hex(blake2b(piece)));
  EXPECT_EQ(seen.body, as_text(piece));
}

TEST(Api, UploadsALargePieceInPartsAndNoneTwice) {
  constexpr std::size_t kPart = 8 << 20;
  Bytes piece(2 * kPart + 5);
  for (std::size_t i = 0; i < piece.size(); ++i) piece[i] = static_cast<std::uint8_t>(i >> 11);
  SocketServer server([](const RawRequest& request) {
    if (request.method == "GET") return reply(200, R"({"state":"partial","received":[1]})");
    return reply(request.path.ends_with("/2") ? 201 : 200, "{}");
  });
  std::uint64_t last = 0;
  const auto progress = [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_GE(done, last);
    EXPECT_EQ(total, piece.size());
    last = done;
  };
  ASSERT_TRUE(connect(server).upload_piece(blake2b(piece), piece, progress).ok());
  EXPECT_EQ(last, piece.size());
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 3u);
  const std::string path = "/v2/keys/pieces/" + to_hex(blake2b(piece));
  EXPECT_EQ(requests[0].method + " " + requests[0].path, "GET " + path);
  for (std::size_t i : {1u, 2u}) {
    const std::size_t number = i == 1 ? 0 : 2;
    const ByteView part = ByteView(piece).subspan(number * kPart, number == 2 ? 5 : kPart);
    EXPECT_EQ(requests[i].method + " " + requests[i].path,
              "PUT " + path + "/parts/" + std::to_string(number));
    EXPECT_EQ(requests[i].body, as_text(part));
    EXPECT_NE(requests[i].head.find("Tacit-Part-Digest: " + to_hex(blake2b(part)) + "\r\n"),
              std::string::npos);
    EXPECT_NE(requests[i].head.find("Tacit-Piece-Bytes: " + std::to_string(piece.size()) + "\r\n"),
              std::string::npos);
  }
}

TEST(Api, AsksForAnInference) {
  std::string header = infer_json(6);
  SocketServer server([&](const RawRequest&) {
    Bytes body = body_of(header, 2, "ok");
    return reply(200, std::string(as_text(body)),
                 "Content-Type: application/octet-stream\r\nInference-Header-Content-Length: " +
                     std::to_string(header.size()) + "\r\n");
  });
  auto request = encode_infer_request("k", 3, std::vector<Bytes>{{1, 2}});
  auto answer = connect(server).infer("m", *request);
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(as_text(answer->ciphertexts.front()), "ok");
  RawRequest seen = server.requests().front();
  EXPECT_EQ(seen.method + " " + seen.path, "POST /v2/models/m/infer");
  EXPECT_NE(
      seen.head.find("Inference-Header-Content-Length: " + std::to_string(request->header_bytes) + "\r\n"),
      std::string::npos);
  EXPECT_EQ(seen.body, as_text(request->body));
}

TEST(Api, WaitsForABusyServerButNotForever) {
  int busy = 1, hasty = 1;
  SocketServer server([&](const RawRequest&) {
    if (hasty-- > 0) return reply(429, R"({"code":"quota.rate","detail":"slow"})", "Retry-After: 1\r\n");
    if (busy-- > 0) return reply(503, R"({"code":"memory.exhausted","detail":"full"})", "Retry-After: 1\r\n");
    return reply(200, "half");
  });
  EXPECT_EQ(*connect(server).client_half("m"), "half");
  EXPECT_EQ(server.requests().size(), 3u);
  busy = 1000;
  auto refused = connect(server, std::chrono::milliseconds(500)).client_half("m");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(server.requests().size(), 4u);
}

}  // namespace
}  // namespace tacit::client
