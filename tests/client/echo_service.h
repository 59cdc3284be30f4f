// SPDX-License-Identifier: Apache-2.0
// A service whose "network" is the identity: it answers with the ciphertext it was sent. It keeps key pieces
// as a real server would, and can be told to misbehave. What comes out of a client that talks to it must be
// what went in.
#pragma once

#include <map>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "client/api.h"
#include "client/socket_server.h"
#include "plan/package.h"
#include "ring/modulus.h"

namespace tacit::test {

// Images of 4x4 grey pixels, sixteen outputs, ring degree 4096.
inline plan::ClientHalf echo_half() {
  plan::ClientHalf half;
  half.name = "echo";
  half.parameters.log_degree = 12;
  half.parameters.primes = ring::ntt_primes(12, 32, 2, true);
  half.parameters.special_primes = ring::ntt_primes(12, 36, 1, true);
  half.keys = {{ckks::kRelinearisation, {1, 1, 1}}, {3, {1, 1, 1}}, {9, {0, 1, 1}}};
  half.slots = 2048;
  half.values = {{{{1, 4, 4}, 1, 4, 4}, 16, 1, 0x1p26, 4}, {{{16, 1, 1}, 1, 1, 1}, 16, 1, 0x1p26, 4}};
  half.input = 0, half.output = 1;
  half.steps = {plan::Request{{0}, {1}}};
  half.preprocessing = {255, {0.5}, {0.25}};
  for (int i = 0; i < 16; ++i) half.labels.push_back("pixel " + std::to_string(i));
  return half;
}

class EchoService {
 public:
  explicit EchoService(plan::ClientHalf half = echo_half())
      : half_(std::move(half)), server_([this](const RawRequest& request) { return answer(request); }) {}

  const plan::ClientHalf& half() const { return half_; }
  std::string url() const { return server_.url(); }
  client::Api connect() const {
    auto http = client::HttpClient::create(url());
    EXPECT_TRUE(http.ok());
    return client::Api(std::move(http).value());
  }
  std::size_t count(const std::string& method, const std::string& path_begin) const {
    std::size_t found = 0;
    for (const RawRequest& request : server_.requests()) {
      found += request.method == method && request.path.starts_with(path_begin);
    }
    return found;
  }
  const std::map<std::string, std::string>& pieces() const { return pieces_; }
  std::vector<RawRequest> requests() const { return server_.requests(); }

  // Applied to what would be answered to an inference; set between requests only.
  std::function<std::string(std::string ciphertext)> tamper;
  // Pieces are taken, but always said to be missing.
  bool forgetful = false;
  // Sent as the client half, where it is not empty.
  std::string other_half;

 private:
  RawReply answer(const RawRequest& request) {
    using nlohmann::json;
    const std::string model = "/v2/models/" + half_.name;
    if (request.path == model + "/client")
      return reply(200, other_half.empty() ? to_json(half_) : other_half);
    if (request.path.starts_with("/v2/keys/pieces/")) {
      std::string digest = request.path.substr(16);
      EXPECT_EQ(digest, to_hex(blake2b(as_bytes(request.body))));
      pieces_[digest] = request.body;
      return reply(201, "");
    }
    if (request.path == "/v2/keys") {
      json missing = json::array();
      const json body = json::parse(request.body);
      for (const json& piece : body["pieces"]) {
        if (forgetful || !pieces_.contains(piece.get<std::string>())) missing.push_back(piece);
      }
      if (missing.empty()) return reply(201, R"({"key_id":"the-set"})");
      return reply(409,
                   json{{"code", "keys.missing"}, {"detail", "some"}, {"missing_pieces", missing}}.dump());
    }
    if (request.path == model + "/infer") return infer(request);
    return reply(404, R"({"code":"file.not-found","detail":"no such path"})");
  }

  RawReply infer(const RawRequest& request) {
    using nlohmann::json;
    std::size_t at = header_bytes(request.head);
    json header = json::parse(request.body.substr(0, at));
    EXPECT_EQ(header["parameters"]["key_id"], "the-set");
    std::string ciphertext = request.body.substr(at + 4);
    if (tamper) ciphertext = tamper(ciphertext);
    const std::string page =
        json{{"model_name", half_.name},
             {"parameters", {{"compute_ms", 1.5}, {"peak_memory_bytes", 4096}}},
             {"outputs", json::array({json{{"name", "logits"},
                                           {"shape", json::array({1})},
                                           {"datatype", "BYTES"},
                                           {"parameters", {{"binary_data_size", ciphertext.size() + 4}}}}})}}
            .dump();
    ByteWriter body;
    body.raw(as_bytes(page));
    body.blob(as_bytes(ciphertext));
    Bytes bytes = std::move(body).take();
    return reply(200, std::string(as_text(bytes)),
                 "Inference-Header-Content-Length: " + std::to_string(page.size()) + "\r\n");
  }
  static std::size_t header_bytes(const std::string& head) {
    std::size_t field = head.find("Inference-Header-Content-Length: ");
    EXPECT_NE(field, std::string::npos);
    return std::stoul(head.substr(field + 33));
  }

  plan::ClientHalf half_;
  std::map<std::string, std::string> pieces_;
  SocketServer server_;
};

}  // namespace tacit::test
