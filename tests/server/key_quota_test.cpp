// SPDX-License-Identifier: Apache-2.0
// Key sets over REST: listing and deleting them, and how many a tenant may have. And what a server adds to its results.
#include <thread>

#include "server/application_fixture.h"

namespace tacit::server {
namespace {

const ckks::Parameters& parameters() {
  static const ckks::Parameters made = unwrap(ckks::Parameters::create(lenet().plan.parameters));
  return made;
}

std::uint64_t set_bytes() {
  std::uint64_t bytes = 0;
  for (const ckks::KeyRequest& request : lenet().plan.keys)
    bytes += ckks::key_bytes(parameters(), request.shape);
  return bytes;
}

class KeyRoutes : public ApplicationTest {
 protected:
  void SetUp() override {}  // each test starts with a quota of its own
  void start(const Quota& quota, const runtime::FloodingOptions& flooding = {}) {
    application_.reset();
    ApplicationOptions options;
    options.state = folder_.path() / "state";
    options.quota = quota;
    const std::vector models = {unwrap(runtime::Model::create(lenet(), flooding))};
    application_ = unwrap(Application::create(ModelRegistry(models), options));
  }

  Response put(const Bytes& piece) {
    return ask(Method::kPut, "/v2/keys/pieces/" + to_hex(blake2b(piece)), piece);
  }
  Response post_set(const std::vector<Bytes>& pieces) {
    Json digests = Json::array();
    for (const Bytes& piece : pieces) digests.push_back(to_hex(blake2b(piece)));
    const std::string text = Json{{"model", "lenet"}, {"pieces", digests}}.dump();
    return ask(Method::kPost, "/v2/keys", Bytes(text.begin(), text.end()));
  }
  static std::vector<Bytes> pieces_of(const TestClient& client) {
    std::vector<Bytes> pieces;
    for (const ckks::KeyRequest& request : lenet().plan.keys) pieces.push_back(client.make_piece(request));
    return pieces;
  }
  // The key_id, or what was answered instead.
  std::string make_set(const std::vector<Bytes>& pieces) {
    for (const Bytes& piece : pieces)
      if (const Response response = put(piece); response.status > 201) return code_of(response);
    const Response response = post_set(pieces);
    return response.status > 201 ? code_of(response) : json_of(response)["key_id"].get<std::string>();
  }
  std::string make_set() { return make_set(pieces_of(TestClient(parameters()))); }
  Response infer(const std::string& key_id, const Bytes& ciphertext) {
    return ask(Method::kPost, "/v2/models/lenet/infer", ciphertext,
               {{"Inference-Header-Content-Length", "0"}, {"Tacit-Key-Id", key_id}});
  }
  static Json header_of(const Response& response) {
    const auto bytes = parse_number(response.fields.find(kInferenceHeaderLength).value_or(""));
    return Json::parse(response.body.begin(),
                       response.body.begin() + static_cast<std::ptrdiff_t>(bytes.value_or(0)), nullptr,
                       false);
  }
};

TEST_F(KeyRoutes, ListsAndDeletesKeySets) {
  start({});
  EXPECT_EQ(json_of(ask(Method::kGet, "/v2/keys"))["key_sets"], Json::array());
  const std::string first = make_set(), second = make_set();
  const Json list = json_of(ask(Method::kGet, "/v2/keys"));
  ASSERT_EQ(list["key_sets"].size(), 2u);
  for (const Json& page : list["key_sets"]) {
    EXPECT_TRUE(page["key_id"] == first || page["key_id"] == second);
    EXPECT_EQ(page["pieces"], lenet().plan.keys.size());
    EXPECT_EQ(page["bytes"], set_bytes());
    EXPECT_GT(page["created"], 0);
    EXPECT_GE(page["used"], page["created"]);
  }
  EXPECT_EQ(list["usage"]["key_sets"], 2);
  EXPECT_EQ(list["usage"]["key_bytes"], 2 * set_bytes());
  EXPECT_EQ(list["usage"]["max_key_sets"], Quota{}.key_sets);

  const Response gone = ask(Method::kDelete, "/v2/keys/" + first);
  EXPECT_EQ(gone.status, 204);
  EXPECT_TRUE(gone.body.empty());
  EXPECT_EQ(code_of(ask(Method::kDelete, "/v2/keys/" + first)), "keys.unknown");
  EXPECT_EQ(code_of(ask(Method::kDelete, "/v2/keys/xyz")), "keys.unknown");
  EXPECT_EQ(ask(Method::kGet, "/v2/keys/" + first).status, 404);
  EXPECT_EQ(json_of(ask(Method::kGet, "/v2/keys"))["usage"]["key_bytes"], set_bytes());
  EXPECT_EQ(ask(Method::kPut, "/v2/keys/" + second).fields.find("Allow"), "GET, HEAD, DELETE");
}

// Neither disk nor memory has them any more.
TEST_F(KeyRoutes, DeletedKeysServeNoPrediction) {
  start({});
  const TestClient client(parameters());
  const std::vector<Bytes> pieces = pieces_of(client);
  const std::string key_id = make_set(pieces);
  const Bytes ciphertext = client.encrypt(std::vector<double>(16, 0.25), lenet().client);
  ASSERT_EQ(infer(key_id, ciphertext).status, 200);
  ASSERT_EQ(ask(Method::kDelete, "/v2/keys/" + key_id).status, 204);
  EXPECT_EQ(code_of(infer(key_id, ciphertext)), "keys.unknown");
  EXPECT_EQ(post_set(pieces).status, 409) << "the pieces went with the set";
  ASSERT_EQ(make_set(pieces), key_id);
  const Response again = infer(key_id, ciphertext);
  ASSERT_EQ(again.status, 200);
  EXPECT_GT(header_of(again)["parameters"]["keys_ms"], 0.0) << "they were still in memory";
}

TEST_F(KeyRoutes, AQuotaOfSetsRefusesOneMore) {
  Quota quota;
  quota.key_sets = 2;
  start(quota);
  const std::vector<Bytes> pieces = pieces_of(TestClient(parameters()));
  const std::string first = make_set(pieces);
  make_set();
  EXPECT_EQ(make_set(), "quota.exceeded");
  EXPECT_EQ(json_of(ask(Method::kGet, "/v2/keys"))["key_sets"].size(), 2u);
  const Response there = post_set(pieces);
  EXPECT_EQ(there.status, 200) << "what is stored already is no more";
  ASSERT_EQ(ask(Method::kDelete, "/v2/keys/" + first).status, 204);
  EXPECT_EQ(make_set().size(), 64u);
}

TEST_F(KeyRoutes, AQuotaOfBytesStoresNothingMore) {
  Quota quota;
  quota.key_bytes = 2 * set_bytes() - 1;
  start(quota);
  const std::vector<Bytes> pieces = pieces_of(TestClient(parameters()));
  const std::string first = make_set(pieces);
  ASSERT_EQ(first.size(), 64u);
  const std::vector<Bytes> more = pieces_of(TestClient(parameters()));
  EXPECT_EQ(make_set(more), "quota.exceeded");
  const Response refused = put(more.back());
  EXPECT_EQ(refused.status, 429);
  EXPECT_FALSE(refused.fields.find("Retry-After").has_value()) << "waiting does not help";
  EXPECT_LT(json_of(ask(Method::kGet, "/v2/keys"))["usage"]["key_bytes"], quota.key_bytes);
  EXPECT_EQ(put(pieces.front()).status, 200) << "what is stored already takes no room";
  ASSERT_EQ(ask(Method::kDelete, "/v2/keys/" + first).status, 204);
  EXPECT_EQ(make_set(more).size(), 64u);
}

// All pieces at once: together never more than the quota, whoever comes first.
TEST_F(KeyRoutes, UploadsAtOnceDoNotPassTheQuotaTogether) {
  Quota quota;
  quota.key_bytes = set_bytes();
  start(quota);
  std::vector<Bytes> pieces;
  for (int i = 0; i < 4; ++i)
    for (Bytes& piece : pieces_of(TestClient(parameters()))) pieces.push_back(std::move(piece));
  std::vector<std::thread> threads;
  std::atomic<std::size_t> next = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (std::size_t i = next++; i < pieces.size(); i = next++) put(pieces[i]);
    });
  for (std::thread& thread : threads) thread.join();
  const std::uint64_t used = json_of(ask(Method::kGet, "/v2/keys"))["usage"]["key_bytes"];
  EXPECT_LE(used, quota.key_bytes);
  EXPECT_GT(used, 0u);
}

TEST_F(KeyRoutes, ResultsAreNeverTheSameTwiceAndSayHowPreciseTheyAre) {
  start({}, {.bits = runtime::kDefaultFloodingBits});
  const TestClient client(parameters());
  const std::string key_id = make_set(pieces_of(client));
  const std::vector<double> input(16, 0.25);
  const Bytes ciphertext = client.encrypt(input, lenet().client);
  const Response first = infer(key_id, ciphertext), second = infer(key_id, ciphertext);
  ASSERT_EQ(first.status, 200);
  ASSERT_EQ(second.status, 200);
  EXPECT_NE(ciphertext_of(first), ciphertext_of(second));
  const double precision = header_of(first)["parameters"]["precision_bits"];
  EXPECT_GT(precision, 6);
  EXPECT_LT(precision, 9.5);
  const double deviation = std::exp2(-precision);  // of outputs of at most 1
  const std::vector<double> expected = expected_outputs(lenet(), input);
  const std::vector<double> a = client.decrypt(ciphertext_of(first)),
                            b = client.decrypt(ciphertext_of(second));
  double squares = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (i < 16) { EXPECT_NEAR(a[i], expected[i], 6 * deviation) << i; }
    squares += (a[i] - b[i]) * (a[i] - b[i]) / 2;
  }
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(a.size())) / deviation, 1, 0.2);

  start({});
  const Response plain = infer(key_id, ciphertext);
  EXPECT_EQ(ciphertext_of(plain), ciphertext_of(infer(key_id, ciphertext)));
  EXPECT_FALSE(header_of(plain)["parameters"].contains("precision_bits"));
}

}  // namespace
}  // namespace tacit::server
