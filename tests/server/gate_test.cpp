// SPDX-License-Identifier: Apache-2.0
// Tokens, scopes and rates in front of the routes.
#include "server/gate.h"

#include <gtest/gtest.h>

#include <thread>

#include "server/state/state.h"
#include "server/temporary_folder.h"

namespace tacit::server {
namespace {

using std::chrono::milliseconds;
using Clock = RateLimit::Clock;

TEST(Token, HasTheTextThatItIsKnownBy) {
  const NewToken made = make_token("clinic", kScopeInfer, "ward 3", 5, 10);
  EXPECT_EQ(made.text.size(), 6 + 16 + 1 + 43u);
  EXPECT_TRUE(made.text.starts_with("tacit_" + made.token.id + "_"));
  EXPECT_EQ(made.token.tenant, "clinic");
  EXPECT_EQ(made.token.expires, 10);
  // What is stored is not what is sent.
  EXPECT_EQ(made.text.find(to_hex(made.token.secret)), std::string::npos);
  EXPECT_NE(make_token("clinic", kScopeInfer, "", 5, {}).text, made.text);
}

TEST(Token, ScopesAsText) {
  EXPECT_EQ(*scopes_from("infer,keys"), kScopeInfer | kScopeKeys);
  EXPECT_EQ(*scopes_from("all"), kAllScopes);
  EXPECT_EQ(*scopes_from(to_text(kAllScopes)), kAllScopes);
  for (const char* bad : {"", ",", ",infer", "Infer", "admin", "infer;keys", "infer,,keys"})
    EXPECT_FALSE(scopes_from(bad).ok()) << bad;
}

class GateTest : public testing::Test {
 protected:
  GateTest() : state_(State::open(folder_.path()).value()) {}

  NewToken add(Scopes scopes = kAllScopes, std::optional<Time> expires = {},
               const std::string& tenant = "clinic") {
    NewToken made = make_token(tenant, scopes, "", now(), expires);
    EXPECT_TRUE(state_->ledger().add_token(made.token).ok());
    return made;
  }
  std::unique_ptr<Gate> gate(const Quota& quota = {}) {
    return Gate::create(state_->ledger(), quota).value();
  }
  static Result<Identity> ask(Gate& gate, const std::string& field, Scopes scope = kScopeInfer) {
    RequestHead head;
    if (!field.empty()) head.fields.add("authorization", field);
    int retry_after = 0;
    return gate.admit(head, scope, retry_after);
  }

  TemporaryFolder folder_;
  std::unique_ptr<State> state_;
};

TEST_F(GateTest, WithoutTokensEverybodyIsOneTenant) {
  const auto open = gate();
  EXPECT_TRUE(open->is_open());
  EXPECT_EQ(ask(*open, "")->tenant, kOpenTenant);
}

// A proxy on this machine must not make an open server one for everybody.
TEST_F(GateTest, WithoutTokensNothingComesThroughAProxy) {
  const auto ask_with = [](Gate& gate, std::vector<std::pair<const char*, std::string>> fields,
                           Scopes scope) {
    RequestHead head;
    for (auto& [name, value] : fields) head.fields.add(name, value);
    int retry_after = 0;
    return gate.admit(head, scope, retry_after);
  };
  const auto open = gate();
  for (const char* name : {"X-Forwarded-For", "x-forwarded-for", "Forwarded"}) {
    const auto refused = ask_with(*open, {{name, "for=192.0.2.1"}}, kScopeInfer);
    ASSERT_FALSE(refused.ok()) << name;
    EXPECT_EQ(refused.error().code, ErrorCode::kAuthentication);
    EXPECT_TRUE(ask_with(*open, {{name, "for=192.0.2.1"}}, 0).ok()) << "what is for anybody goes through";
  }
  const NewToken token = add();
  const auto closed = gate();
  EXPECT_TRUE(ask_with(*closed, {{"X-Forwarded-For", "192.0.2.1"}, {"Authorization", "Bearer " + token.text}},
                       kScopeInfer)
                  .ok());
}

// Nor may a page of somebody else, in a browser on this machine.
TEST_F(GateTest, WithoutTokensNothingComesFromAPage) {
  const auto open = gate();
  const auto ask_with = [&](const std::string& host, const std::string& origin) {
    RequestHead head;
    if (!host.empty()) head.fields.add("Host", host);
    if (!origin.empty()) head.fields.add("Origin", origin);
    int retry_after = 0;
    return open->admit(head, kScopeModels, retry_after).ok();
  };
  for (const char* host :
       {"", "localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.9.9.9", "[::1]", "[::1]:8080"})
    EXPECT_TRUE(ask_with(host, "")) << host;
  for (const char* host : {"evil.example", "localhost.evil.example:8080", "127.0.0.1.evil.example", "[::2]:1",
                           "10.0.0.1", "[::1", "x"})
    EXPECT_FALSE(ask_with(host, "")) << host;
  EXPECT_TRUE(ask_with("localhost", "http://localhost:3000"));
  EXPECT_TRUE(ask_with("localhost", "https://127.0.0.1"));
  for (const char* origin : {"https://evil.example", "null", "http://localhost.evil.example", "localhost"})
    EXPECT_FALSE(ask_with("localhost", origin)) << origin;
}

TEST_F(GateTest, AValidTokenNamesItsTenant) {
  const NewToken token = add();
  const auto closed = gate();
  EXPECT_FALSE(closed->is_open());
  EXPECT_EQ(ask(*closed, "Bearer " + token.text)->tenant, "clinic");
  EXPECT_EQ(ask(*closed, "bearer " + token.text)->token, token.token.id);
  EXPECT_TRUE(ask(*closed, "", 0).ok()) << "what is for anybody needs none";
}

// One answer for all, letter for letter.
TEST_F(GateTest, EverythingElseIsRefusedAlike) {
  const NewToken good = add(), expired = add(kAllScopes, now() - 1), revoked = add();
  ASSERT_TRUE(*state_->ledger().revoke_token(revoked.token.id, now()));
  const auto closed = gate();
  std::string wrong = good.text, foreign = good.text;
  wrong.back() = wrong.back() == 'A' ? 'B' : 'A';
  foreign[6] = foreign[6] == '0' ? '1' : '0';
  const std::string expected = ask(*closed, "").error().to_line();
  for (const std::string& field :
       {"Bearer " + wrong, "Bearer " + foreign, "Bearer " + expired.text, "Bearer " + revoked.text,
        "Basic " + good.text, good.text, "Bearer  " + good.text, "Bearer " + good.text + " ",
        std::string("Bearer "), std::string("Bearer tacit_"), "Bearer " + std::string(10'000, 'x'),
        "Bearer " + good.text.substr(0, 40)}) {
    const auto answer = ask(*closed, field);
    ASSERT_FALSE(answer.ok()) << field;
    EXPECT_EQ(answer.error().to_line(), expected);
    EXPECT_EQ(answer.error().code, ErrorCode::kAuthentication);
  }
}

TEST_F(GateTest, ScopesLimitWhatATokenMayDo) {
  const NewToken token = add(kScopeInfer);
  const auto closed = gate();
  EXPECT_TRUE(ask(*closed, "Bearer " + token.text, kScopeInfer).ok());
  for (Scopes scope : {kScopeKeys, kScopeModels, kScopeMetrics})
    EXPECT_EQ(ask(*closed, "Bearer " + token.text, scope).error().code, ErrorCode::kScope);
}

TEST_F(GateTest, TokensOfAnotherProcessAreSeenSoon) {
  const NewToken first = add();
  const auto closed = gate();
  // A second connection to the same file is what `tacitd token` is.
  const std::unique_ptr<Ledger> other = open_ledger(folder_.path()).value();
  const NewToken second = make_token("bank", kAllScopes, "", now(), {});
  ASSERT_TRUE(other->add_token(second.token).ok());
  ASSERT_TRUE(*other->revoke_token(first.token.id, now()));
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  while (!ask(*closed, "Bearer " + second.text).ok() && Clock::now() < deadline)
    std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(ask(*closed, "Bearer " + second.text)->tenant, "bank");
  EXPECT_FALSE(ask(*closed, "Bearer " + first.text).ok());
}

TEST(RateLimit, LetsABurstThroughAndThenTheRate) {
  RateLimit limit(10, 3);
  Clock::time_point time{};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limit.take("a", time).count(), 0);
  EXPECT_EQ(limit.take("a", time), milliseconds(100));
  EXPECT_EQ(limit.take("b", time).count(), 0) << "another tenant has a bucket of its own";
  time += milliseconds(100);
  EXPECT_EQ(limit.take("a", time).count(), 0);
  EXPECT_GT(limit.take("a", time).count(), 0);
  time += std::chrono::hours(1);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limit.take("a", time).count(), 0);
  EXPECT_GT(limit.take("a", time).count(), 0);
}

TEST(RateLimit, MayBeOff) {
  RateLimit limit(0, 0);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(limit.take("a", Clock::time_point{}).count(), 0);
}

}  // namespace
}  // namespace tacit::server
