// SPDX-License-Identifier: Apache-2.0
// The routes with a real model and real keys, without sockets.
#pragma once

#include <gtest/gtest.h>

#include <future>
#include <optional>

#include "server/application.h"
#include "server/binary_tensor.h"
#include "server/json.h"
#include "server/model_fixture.h"
#include "server/temporary_folder.h"

namespace tacit::server {

inline std::string text_of(const Response& response) { return std::string(as_text(response.body)); }
inline Json json_of(const Response& response) {
  return Json::parse(response.body.begin(), response.body.end(), nullptr, false);
}
inline std::string code_of(const Response& response) {
  const Json json = json_of(response);
  return json.is_object() && json.contains("code") ? json["code"].get<std::string>() : "none";
}

inline const plan::Package& lenet() {
  static const plan::Package package = make_package("lenet");
  return package;
}

inline std::shared_ptr<const runtime::Model> load(const plan::Package& package) {
  return unwrap(runtime::Model::create(package));
}

class ApplicationTest : public testing::Test {
 protected:
  void SetUp() override { restart(); }

  void restart() {
    application_.reset();
    ApplicationOptions options = options_;
    options.state = folder_.path() / "state";
    const std::vector models = {load(lenet())};
    application_ = unwrap(Application::create(ModelRegistry(models), options));
  }

  Response ask(Method method, const std::string& target, Bytes body = {},
               const std::vector<std::pair<std::string, std::string>>& fields = {}) {
    RequestHead head;
    head.method = method;
    head.target = target;
    head.id = "test";
    head.fields.add("Host", "localhost");
    for (const auto& [name, value] : fields) head.fields.add(name, value);
    if (method != Method::kGet || !body.empty()) head.content_length = body.size();
    auto opened = application_->open(std::move(head));
    if (auto* response = std::get_if<Response>(&opened)) return *response;
    const auto exchange = std::get<std::shared_ptr<Exchange>>(opened);
    EXPECT_EQ(exchange->body_bytes(), body.size());
    if (exchange->prefix_bytes() > 0) {
      if (auto refusal = exchange->inspect(ByteView(body).first(exchange->prefix_bytes()))) return *refusal;
    }
    std::promise<Response> promise;
    exchange->run(std::move(body), [&promise](Response response) { promise.set_value(std::move(response)); });
    return promise.get_future().get();
  }
  Response get(const std::string& target) { return ask(Method::kGet, target); }
  Response post(const std::string& target, const Json& json) {
    const std::string text = json.dump();
    return ask(Method::kPost, target, Bytes(text.begin(), text.end()));
  }
  // A request for an answer from the header alone.
  Response ask_head(const RequestHead& head) {
    auto opened = application_->open(head);
    auto* response = std::get_if<Response>(&opened);
    return response == nullptr ? Response{.status = 0, .fields = {}, .body = {}} : *response;
  }

  // The digests of the model's pieces, uploaded.
  Json upload(const TestClient& client) {
    Json digests = Json::array();
    for (const ckks::KeyRequest& request : lenet().plan.keys) {
      const Bytes piece = client.make_piece(request);
      const std::string digest = to_hex(blake2b(piece));
      EXPECT_EQ(ask(Method::kPut, "/v2/keys/pieces/" + digest, piece).status, 201);
      EXPECT_EQ(ask(Method::kPut, "/v2/keys/pieces/" + digest, piece).status, 200);
      digests.push_back(digest);
    }
    return digests;
  }
  std::string make_set(const TestClient& client) {
    const Response response = post("/v2/keys", {{"model", "lenet"}, {"pieces", upload(client)}});
    EXPECT_EQ(response.status, 201) << text_of(response);
    return json_of(response)["key_id"];
  }

  Response infer(const std::string& key_id, const Bytes& ciphertext, const std::string& model = "lenet",
                 std::vector<std::pair<std::string, std::string>> fields = {}) {
    const std::string json = inference_json(key_id, ciphertext);
    ByteWriter body;
    body.raw(as_bytes(json));
    body.blob(ciphertext);
    fields.emplace_back("Inference-Header-Content-Length", std::to_string(json.size()));
    return ask(Method::kPost, "/v2/models/" + model + "/infer", std::move(body).take(), fields);
  }
  // The ciphertext of a response in the binary form.
  static Bytes ciphertext_of(const Response& response) {
    const auto json_bytes =
        parse_number(response.fields.find(kInferenceHeaderLength).value_or("")).value_or(0);
    const ByteView body(response.body);
    return Bytes(body.begin() + static_cast<std::ptrdiff_t>(json_bytes) + 4, body.end());
  }

  void expect_right(const TestClient& client, const Bytes& ciphertext, const std::vector<double>& input) {
    const std::vector<double> slots = client.decrypt(ciphertext);
    const std::vector<double> expected = expected_outputs(lenet(), input);
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(slots[i], expected[i], 0.02) << i;
  }

  static std::vector<double> some_input() {
    std::vector<double> input(16);
    for (std::size_t i = 0; i < 16; ++i) input[i] = 0.1 * static_cast<double>(i) - 0.7;
    return input;
  }

  TemporaryFolder folder_;
  ApplicationOptions options_;
  std::unique_ptr<Application> application_;
};

// With the keys of one person and something to predict.
class PredictionTest : public ApplicationTest {
 protected:
  void SetUp() override {
    ApplicationTest::SetUp();
    client_.emplace(load(lenet())->parameters());
    key_id_ = make_set(*client_);
    ciphertext_ = client_->encrypt(some_input(), lenet().client);
  }

  std::optional<TestClient> client_;
  std::string key_id_;
  Bytes ciphertext_;
};

}  // namespace tacit::server
