// SPDX-License-Identifier: Apache-2.0
// Every route, asked by one tenant for what is another's: the answer is that for what is not there.
#include <algorithm>
#include <map>

#include "server/application_fixture.h"
#include "server/token.h"

namespace tacit::server {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

class TenancyTest : public ApplicationTest {
 protected:
  // Tokens of two tenants are there before the server starts.
  void SetUp() override {
    const auto state = unwrap(State::open(folder_.path() / "state"));
    for (const std::string tenant : {"clinic", "stranger"}) {
      const NewToken token = make_token(tenant, kAllScopes, "", now(), std::nullopt);
      ASSERT_TRUE(state->ledger().add_token(token.token).ok());
      tokens_[tenant] = token.text;
    }
  }

  Response ask_as(const std::string& tenant, Method method, const std::string& target, const Bytes& body = {},
                  Fields fields = {}) {
    fields.emplace_back("Authorization", "Bearer " + tokens_.at(tenant));
    return ask(method, target, body, fields);
  }

  // Status, fields and body, with every occurrence of the identifier replaced.
  static std::string without(const Response& response, const std::string& id) {
    std::string text = std::to_string(response.status) + "\n";
    for (const auto& [name, value] : response.fields) text += name + ": " + value + "\n";
    text += text_of(response);
    for (std::size_t at = 0; (at = text.find(id, at)) != std::string::npos;)
      text.replace(at, id.size(), "ID");
    return text;
  }

  std::map<std::string, std::string> tokens_;
};

TEST_F(TenancyTest, WhatIsAnothersIsNotThereOnAnyRoute) {
  restart();
  const TestClient client(load(lenet())->parameters());
  // The clinic's keys and a job of each kind of end.
  Json digests = Json::array();
  Bytes piece;
  for (const ckks::KeyRequest& request : lenet().plan.keys) {
    piece = client.make_piece(request);
    digests.push_back(to_hex(blake2b(piece)));
    ASSERT_EQ(
        ask_as("clinic", Method::kPut, "/v2/keys/pieces/" + digests.back().get<std::string>(), piece).status,
        201);
  }
  const std::string set = Json{{"pieces", digests}}.dump();
  const Response made = ask_as("clinic", Method::kPost, "/v2/keys", Bytes(set.begin(), set.end()));
  ASSERT_EQ(made.status, 201) << text_of(made);
  const std::string key_id = json_of(made)["key_id"];
  const Bytes ciphertext = client.encrypt(some_input(), lenet().client);
  const Fields raw = {{"Inference-Header-Content-Length", "0"}, {"Tacit-Key-Id", key_id}};
  Fields async = raw;
  async.emplace_back("Prefer", "respond-async");
  async.emplace_back("Idempotency-Key", "one");
  const Response accepted = ask_as("clinic", Method::kPost, "/v2/models/lenet/infer", ciphertext, async);
  ASSERT_EQ(accepted.status, 202) << text_of(accepted);
  const std::string job = json_of(accepted)["job_id"];

  const std::map<std::string, std::pair<std::string, std::string>> identifiers = {
      // segment: the clinic's identifier and one of the same form that nobody has
      {"key_id", {key_id, std::string(64, '5')}},
      {"digest", {digests.back().get<std::string>(), std::string(64, '6')}},
      {"job", {job, std::string(32, '7')}}};
  std::size_t asked = 0;
  // What the stranger uploads is its own from then on, so that comes last.
  std::vector<const Endpoint*> endpoints;
  for (const Endpoint& endpoint : application_->router().endpoints()) endpoints.push_back(&endpoint);
  std::ranges::stable_partition(endpoints, [](const Endpoint* e) { return e->method != Method::kPut; });
  for (const Endpoint* const one : endpoints) {
    const Endpoint& endpoint = *one;
    std::string segment;
    for (const auto& [name, ids] : identifiers)
      if (endpoint.pattern.find("{" + name + "}") != std::string::npos) segment = name;
    if (segment.empty()) continue;
    SCOPED_TRACE(std::string(to_string(endpoint.method)) + " " + endpoint.pattern);
    const auto answer = [&](const std::string& id) {
      std::string target = endpoint.pattern;
      for (const auto& [name, value] :
           std::map<std::string, std::string>{{"{" + segment + "}", id}, {"{number}", "0"}})
        if (const auto at = target.find(name); at != std::string::npos)
          target.replace(at, name.size(), value);
      Fields fields = raw;
      fields.emplace_back("Tacit-Piece-Bytes", std::to_string(piece.size()));
      fields.emplace_back("Tacit-Part-Digest", to_hex(blake2b(piece)));
      const Bytes& body = endpoint.pattern.starts_with("/v2/keys") ? piece : ciphertext;
      return without(ask_as("stranger", endpoint.method, target, endpoint.plan_body ? body : Bytes(), fields),
                     id);
    };
    const auto& [foreign, absent] = identifiers.at(segment);
    // Its own upload under a digest that the clinic has, too, is the stranger's own.
    if (endpoint.method == Method::kPut) {
      EXPECT_EQ(answer(foreign).substr(0, 3), "201");
      EXPECT_EQ(answer(absent).substr(0, 3), "422");
      continue;
    }
    EXPECT_EQ(answer(foreign), answer(absent));
    // Giving up an upload that there is not is no mistake.
    EXPECT_EQ(answer(absent).substr(0, 3), endpoint.pattern.ends_with("/parts") ? "204" : "404");
    ++asked;
  }
  EXPECT_GE(asked, 8u);

  // Identifiers in bodies and fields.
  const auto infer_with = [&](const std::string& id, const std::string& idempotency) {
    return ask_as("stranger", Method::kPost, "/v2/models/lenet/infer", ciphertext,
                  {{"Inference-Header-Content-Length", "0"},
                   {"Tacit-Key-Id", id},
                   {"Prefer", "respond-async"},
                   {"Idempotency-Key", idempotency}});
  };
  EXPECT_EQ(without(infer_with(key_id, "one"), key_id),
            without(infer_with(std::string(64, '5'), "two"), std::string(64, '5')));
  EXPECT_EQ(code_of(infer_with(key_id, "one")), "keys.unknown");
  const Response set_of_foreign =
      ask_as("stranger", Method::kPost, "/v2/keys", Bytes(set.begin(), set.end()));
  EXPECT_EQ(code_of(set_of_foreign), "keys.missing");
  EXPECT_TRUE(json_of(ask_as("stranger", Method::kGet, "/v2/jobs"))["jobs"].empty());
  EXPECT_TRUE(json_of(ask_as("stranger", Method::kGet, "/v2/keys"))["key_sets"].empty());
  // And nothing that the stranger tried has touched what is the clinic's.
  EXPECT_EQ(ask_as("clinic", Method::kGet, "/v2/keys/" + key_id).status, 200);
  EXPECT_EQ(ask_as("clinic", Method::kGet, "/v2/jobs/" + job).status, 200);
  EXPECT_NE(json_of(ask_as("clinic", Method::kGet, "/v2/jobs/" + job))["state"], "cancelled");
}

TEST_F(TenancyTest, WithoutATokenNothingButHealthAndWhatEverybodyMayKnow) {
  restart();
  for (const Endpoint& endpoint : application_->router().endpoints()) {
    std::string target = endpoint.pattern;
    for (std::size_t at; (at = target.find('{')) != std::string::npos;)
      target.replace(at, target.find('}', at) - at + 1, "lenet");
    const Response response = ask(endpoint.method, target, {});
    SCOPED_TRACE(std::string(to_string(endpoint.method)) + " " + target);
    if (endpoint.scope == 0) {
      EXPECT_EQ(response.status, 200);
    } else {
      EXPECT_EQ(response.status, 401);
      EXPECT_EQ(code_of(response), "auth.required");
      EXPECT_EQ(response.fields.find("WWW-Authenticate"), "Bearer");
    }
  }
}

}  // namespace
}  // namespace tacit::server
