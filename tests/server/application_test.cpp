// SPDX-License-Identifier: Apache-2.0
// The routes with real models and real keys, without sockets.
#include "server/application.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "server/application_fixture.h"

namespace tacit::server {
namespace {

TEST_F(ApplicationTest, SaysWhatItIs) {
  EXPECT_EQ(json_of(get("/v2"))["name"], "tacit");
  EXPECT_EQ(json_of(get("/v2"))["extensions"][0], "binary_tensor_data");
  EXPECT_EQ(json_of(get("/v2/health/live"))["live"], true);
  EXPECT_EQ(json_of(get("/v2/health/ready"))["ready"], true);
  application_->announce_stop();
  EXPECT_EQ(get("/v2/health/ready").status, 400);
  EXPECT_EQ(get("/v2/health/live").status, 200);
}

TEST_F(ApplicationTest, DescribesItsModels) {
  const Json model = json_of(get("/v2/models/lenet"));
  EXPECT_EQ(model["versions"], Json::array({"1"}));
  EXPECT_EQ(model["platform"], "tacit_ckks");
  EXPECT_EQ(model["inputs"][0]["name"], "image");
  EXPECT_EQ(model["outputs"][0]["name"], "logits");
  EXPECT_EQ(json_of(get("/v2/models/lenet/versions/1")), model);
  EXPECT_EQ(json_of(get("/v2/models/lenet/ready"))["ready"], true);
  EXPECT_EQ(json_of(get("/v2/models/lenet/versions/1/ready"))["ready"], true);
  const Json list = json_of(get("/v2/models"));
  ASSERT_EQ(list["models"].size(), 1u);
  EXPECT_EQ(list["models"][0]["name"], "lenet");
  EXPECT_EQ(list["models"][0]["state"], "READY");
  EXPECT_EQ(list["models"][0]["input"]["shape"], Json::array({16, 1, 1}));
  EXPECT_EQ(list["models"][0]["cost"]["ring_degree"], 4096);
  const Json index = json_of(post("/v2/repository/index", {{"ready", true}}));
  EXPECT_EQ(index, Json::parse(R"([{"name":"lenet","version":"1","state":"READY","reason":""}])"));
  EXPECT_EQ(json_of(ask(Method::kPost, "/v2/repository/index")), index);
  EXPECT_EQ(post("/v2/repository/index", {{"ready", 1}}).status, 400);
}

TEST_F(ApplicationTest, ServesTheClientHalfWithATag) {
  const Response response = get("/v2/models/lenet/client");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(text_of(response), plan::to_json(lenet().client));
  const std::string etag(response.fields.find("ETag").value_or(""));
  EXPECT_EQ(etag, "\"" + to_hex(blake2b(response.body)) + "\"");
  const Response again =
      ask(Method::kGet, "/v2/models/lenet/client", {}, {{"If-None-Match", "\"x\", " + etag}});
  EXPECT_EQ(again.status, 304);
  EXPECT_TRUE(again.body.empty());
  EXPECT_EQ(ask(Method::kGet, "/v2/models/lenet/client", {}, {{"If-None-Match", "\"x\""}}).status, 200);
}

TEST_F(ApplicationTest, UnknownModelsAreUnknownHoweverTheyAreSpelt) {
  for (const std::string& name :
       {std::string("resnet"), std::string(".."), std::string("%2e%2e"), std::string("LENET"),
        std::string("..%2f..%2fetc%2fpasswd"), std::string(65, 'a'), std::string(5000, 'a'),
        std::string("lenet%00"), std::string("lenet\xC3\xA9")}) {
    EXPECT_EQ(code_of(get("/v2/models/" + name)), "model.unknown") << name;
    EXPECT_EQ(get("/v2/models/" + name + "/client").status, 404) << name;
    EXPECT_EQ(get("/v2/models/" + name + "/ready").status, 404) << name;
    EXPECT_EQ(code_of(post("/v2/models/" + name + "/infer", Json::object())), "model.unknown") << name;
  }
  EXPECT_EQ(code_of(get("/v2/models/lenet/versions/2")), "model.unknown");
  EXPECT_EQ(code_of(get("/v2/models/lenet/versions/01/client")), "model.unknown");
  EXPECT_EQ(code_of(get("/v2/models/../models")), "route.unknown");
  EXPECT_EQ(code_of(get("/v1")), "route.unknown");
}

TEST_F(ApplicationTest, WrongMethodsAreToldTheRightOnes) {
  const Response response = post("/v2/models/lenet", Json::object());
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.fields.find("Allow"), "GET, HEAD");
  EXPECT_EQ(get("/v2/models/lenet/infer").fields.find("Allow"), "POST");
  EXPECT_EQ(ask(Method::kDelete, "/v2/keys").status, 405);
}

TEST_F(ApplicationTest, RefusesBodiesFromTheHeaderAlone) {
  RequestHead head;
  head.method = Method::kPost;
  head.target = "/v2/keys";
  head.fields.add("Host", "localhost");
  EXPECT_EQ(ask_head(head).status, 0) << "no body is there, which is for the route to judge";
  head.transfer_encoding = true;
  EXPECT_EQ(ask_head(head).status, 411);
  head.transfer_encoding = false;
  head.content_length = kMaxJsonBytes;
  EXPECT_EQ(ask_head(head).status, 0);
  head.content_length = kMaxJsonBytes + 1;
  EXPECT_EQ(ask_head(head).status, 413);
  head.content_length = std::uint64_t{1} << 63;
  EXPECT_EQ(ask_head(head).status, 413);
  head.method = Method::kPut;
  head.target = "/v2/keys/pieces/" + std::string(64, 'a');
  EXPECT_EQ(ask_head(head).status, 413);
  head.content_length = 71;
  EXPECT_EQ(code_of(ask_head(head)), "data.truncated");
  head.content_length = 72;
  head.target = "/v2/keys/pieces/xyz";
  EXPECT_EQ(ask_head(head).status, 400);
  EXPECT_NE(text_of(ask_head(head)).find("64 hexadecimal digits"), std::string::npos);
  head.method = Method::kGet;
  head.target = "/v2";
  head.content_length = 1;
  EXPECT_EQ(ask_head(head).status, 413);
  head.content_length = 0;
  EXPECT_EQ(ask_head(head).status, 0);
}

TEST_F(ApplicationTest, AnInferenceBodyHasOneOfTwoLengths) {
  const ckks::Parameters parameters = unwrap(ckks::Parameters::create(lenet().plan.parameters));
  const std::size_t fresh = ckks::seeded_ciphertext_bytes(parameters, 2),
                    computed = ckks::ciphertext_bytes(parameters, 2);
  RequestHead head;
  head.method = Method::kPost;
  head.target = "/v2/models/lenet/infer";
  head.fields.add("Host", "localhost");
  EXPECT_EQ(ask_head(head).status, 415);
  head.fields.add("Inference-Header-Content-Length", "100");
  EXPECT_EQ(ask_head(head).status, 422);
  for (const auto& [length, status] : {std::pair{104 + fresh, 0},
                                       {104 + computed, 0},
                                       {104 + fresh + 1, 422},
                                       {103 + fresh, 422},
                                       {105 + computed, 413},
                                       {std::size_t{1} << 63, 413}}) {
    head.content_length = length;
    EXPECT_EQ(ask_head(head).status, status) << length;
  }
}

TEST_F(ApplicationTest, AKeyThatIsNotForTheseModelsIsRefusedAtItsHead) {
  const ckks::Parameters other = test::make_parameters(12, 25, 21, 2, 28, 1);
  const TestClient stranger(other);
  const Bytes foreign = stranger.make_piece({1, {1, 1, 1}});
  EXPECT_EQ(code_of(ask(Method::kPut, "/v2/keys/pieces/" + to_hex(blake2b(foreign)), foreign)),
            "parameters.mismatch");

  const ckks::Parameters parameters = unwrap(ckks::Parameters::create(lenet().plan.parameters));
  const TestClient client(parameters);
  Bytes piece = client.make_piece(lenet().plan.keys[0]);
  auto put = [&](const Bytes& bytes) {
    return code_of(ask(Method::kPut, "/v2/keys/pieces/" + to_hex(blake2b(bytes)), bytes));
  };
  Bytes longer = piece, shorter = piece, residue = piece, no_key = piece;
  longer.push_back(0);
  EXPECT_EQ(put(longer), "data.trailing");
  shorter.pop_back();
  EXPECT_EQ(put(shorter), "data.truncated");
  std::fill(residue.begin() + 104, residue.begin() + 200, std::uint8_t{0xFF});
  EXPECT_EQ(put(residue), "ciphertext.residue-range");
  no_key[0] ^= 1;
  EXPECT_EQ(put(no_key), "data.malformed");
  EXPECT_EQ(code_of(ask(Method::kPut, "/v2/keys/pieces/" + std::string(64, 'a'), piece)), "keys.digest");
}

TEST_F(ApplicationTest, ClassifiesWhatItCannotSee) {
  const ckks::Parameters parameters = unwrap(ckks::Parameters::create(lenet().plan.parameters));
  const TestClient client(parameters);
  const std::string key_id = make_set(client);
  const std::vector<double> input = some_input();
  const Bytes ciphertext = client.encrypt(input, lenet().client);

  const Response response = infer(key_id, ciphertext);
  ASSERT_EQ(response.status, 200) << text_of(response);
  expect_right(client, ciphertext_of(response), input);
  const auto json_bytes = parse_number(*response.fields.find(kInferenceHeaderLength));
  const Json json =
      Json::parse(response.body.begin(), response.body.begin() + static_cast<std::ptrdiff_t>(*json_bytes));
  EXPECT_EQ(json["id"], "7");
  EXPECT_GT(json["parameters"]["compute_ms"], 0.0);
  EXPECT_GT(json["parameters"]["keys_ms"], 0.0);
  EXPECT_GT(json["parameters"]["peak_memory_bytes"], 1 << 20);

  const Response raw = ask(Method::kPost, "/v2/models/lenet/versions/1/infer", ciphertext,
                           {{"Inference-Header-Content-Length", "0"}, {"Tacit-Key-Id", key_id}});
  ASSERT_EQ(raw.status, 200) << text_of(raw);
  EXPECT_EQ(ciphertext_of(raw), ciphertext_of(response));

  const Json page = json_of(get("/v2/keys/" + key_id));
  EXPECT_EQ(page["pieces"], lenet().plan.keys.size());
  EXPECT_EQ(page["models"], Json::array({"lenet"}));
  std::uint64_t bytes = 0;
  for (const auto& key : lenet().plan.keys) bytes += ckks::key_bytes(parameters, key.shape);
  EXPECT_EQ(page["bytes"], bytes);

  restart();
  const Response later = infer(key_id, ciphertext);
  ASSERT_EQ(later.status, 200) << text_of(later);
  EXPECT_EQ(ciphertext_of(later), ciphertext_of(response));
}

TEST_F(ApplicationTest, SaysWhichKeysAreMissing) {
  const TestClient client(unwrap(ckks::Parameters::create(lenet().plan.parameters)));
  Json digests = Json::array();
  std::vector<Bytes> pieces;
  for (const ckks::KeyRequest& request : lenet().plan.keys) {
    pieces.push_back(client.make_piece(request));
    digests.push_back(to_hex(blake2b(pieces.back())));
  }
  ASSERT_GE(pieces.size(), 2u);
  const Response none = post("/v2/keys", {{"model", "lenet"}, {"pieces", digests}});
  EXPECT_EQ(none.status, 409);
  EXPECT_EQ(code_of(none), "keys.missing");
  EXPECT_EQ(json_of(none)["missing_pieces"], digests);

  EXPECT_EQ(ask(Method::kPut, "/v2/keys/pieces/" + digests[0].get<std::string>(), pieces[0]).status, 201);
  Json rest = digests;
  rest.erase(0);
  EXPECT_EQ(json_of(post("/v2/keys", {{"pieces", digests}}))["missing_pieces"], rest);

  const Response incomplete = post("/v2/keys", {{"model", "lenet"}, {"pieces", Json::array({digests[0]})}});
  EXPECT_EQ(incomplete.status, 409);
  EXPECT_EQ(json_of(incomplete)["missing_keys"].size(), pieces.size() - 1);
  EXPECT_EQ(json_of(incomplete)["missing_keys"][0]["element"], lenet().plan.keys[1].element);
  // Without a model any set is taken, but no model runs with it.
  const Response part = post("/v2/keys", {{"pieces", Json::array({digests[0]})}});
  EXPECT_EQ(part.status, 201);
  const std::string key_id = json_of(part)["key_id"];
  EXPECT_EQ(post("/v2/keys", {{"pieces", Json::array({digests[0]})}}).status, 200);
  EXPECT_TRUE(json_of(get("/v2/keys/" + key_id))["models"].empty());
  EXPECT_EQ(code_of(infer(key_id, client.encrypt(some_input(), lenet().client))), "keys.missing");
}

TEST_F(ApplicationTest, KeySetRequestsAreChecked) {
  for (const Json& json : {Json{{"pieces", 7}}, Json::object(), Json{{"pieces", {1, 2}}},
                           Json{{"pieces", {"zz"}}}, Json{{"model", 7}, {"pieces", Json::array()}}}) {
    EXPECT_EQ(code_of(post("/v2/keys", json)), "request.malformed") << json;
  }
  EXPECT_EQ(code_of(post("/v2/keys", Json::array())), "json.malformed");
  EXPECT_EQ(code_of(ask(Method::kPost, "/v2/keys", {'{'})), "json.malformed");
  EXPECT_EQ(code_of(post("/v2/keys", {{"model", "x"}, {"pieces", Json::array()}})), "model.unknown");
  EXPECT_EQ(code_of(post("/v2/keys", {{"pieces", Json::array()}})), "keys.mixed");
  EXPECT_EQ(code_of(get("/v2/keys/" + std::string(64, '0'))), "keys.unknown");
  EXPECT_EQ(code_of(get("/v2/keys/..")), "keys.unknown");
}

TEST_F(ApplicationTest, KeysAndCiphertextsOfDifferentPeopleAreNotMixed) {
  const ckks::Parameters parameters = unwrap(ckks::Parameters::create(lenet().plan.parameters));
  const TestClient one(parameters), other(parameters);
  const std::string key_id = make_set(one);
  EXPECT_EQ(code_of(infer(key_id, other.encrypt(some_input(), lenet().client))), "parameters.mismatch");
  EXPECT_EQ(code_of(infer(std::string(64, '1'), one.encrypt(some_input(), lenet().client))), "keys.unknown");
  Json mixed = upload(one);
  const Bytes piece = other.make_piece({2 * 4096 - 1, lenet().plan.keys[0].shape});
  const std::string digest = to_hex(blake2b(piece));
  EXPECT_EQ(ask(Method::kPut, "/v2/keys/pieces/" + digest, piece).status, 201);
  mixed.push_back(digest);
  EXPECT_EQ(code_of(post("/v2/keys", {{"pieces", mixed}})), "keys.mixed");
}

TEST_F(ApplicationTest, AFullQueueSaysTryAgain) {
  const TestClient client(unwrap(ckks::Parameters::create(lenet().plan.parameters)));
  const std::string key_id = make_set(client);
  options_.max_waiting_inferences = 0;
  restart();
  const Response response = infer(key_id, client.encrypt(some_input(), lenet().client));
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(code_of(response), "server.busy");
  EXPECT_TRUE(response.fields.find("Retry-After"));
}

// A plan that needs more memory than the server may give is refused whichever way it is asked for, and costs nothing of the quota.
TEST_F(PredictionTest, WhatNeverFitsIsRefusedAtOnce) {
  options_.memory_bytes = 1 << 20;
  options_.quota.inferences_per_day = 1;
  restart();
  for (int i = 0; i < 3; ++i)
    for (const auto& fields : {std::vector<std::pair<std::string, std::string>>{},
                               {{"Prefer", "respond-async"}},
                               {{"Idempotency-Key", "\"k\""}}}) {
      const Response refused = infer(key_id_, ciphertext_, "lenet", fields);
      EXPECT_EQ(refused.status, 503);
      EXPECT_EQ(code_of(refused), "memory.limit") << text_of(refused);
      EXPECT_FALSE(refused.fields.find("Retry-After"));
    }
}

// A job that was taken when there was more memory fails; it does not run beyond the limit.
TEST_F(PredictionTest, AJobThatFitsNoMoreFails) {
  application_->announce_stop();  // so that it stays in the queue
  const Response accepted = infer(key_id_, ciphertext_, "lenet", {{"Prefer", "respond-async"}});
  ASSERT_EQ(accepted.status, 202) << text_of(accepted);
  options_.memory_bytes = 1 << 20;
  restart();
  const std::string path = "/v2/jobs/" + json_of(accepted)["job_id"].get<std::string>();
  for (int i = 0; i < 500 && json_of(get(path))["state"] != "failed"; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(json_of(get(path))["error"]["code"], "memory.limit");
}

TEST_F(PredictionTest, OnlyPredictionsThatRunCount) {
  options_.quota.inferences_per_day = 2;
  options_.quota.jobs = 1;
  restart();
  application_->announce_stop();
  ASSERT_EQ(infer(key_id_, ciphertext_, "lenet", {{"Prefer", "respond-async"}}).status, 202);
  for (int i = 0; i < 5; ++i) {
    const Response refused = infer(key_id_, ciphertext_, "lenet", {{"Prefer", "respond-async"}});
    EXPECT_EQ(refused.status, 429);
    EXPECT_NE(text_of(refused).find("jobs that are not finished"), std::string::npos) << text_of(refused);
    EXPECT_TRUE(refused.fields.find("Retry-After"));
  }
  EXPECT_EQ(infer(key_id_, ciphertext_).status, 200);
  EXPECT_EQ(infer(key_id_, ciphertext_).status, 429);
}

TEST_F(PredictionTest, KeysThatNobodyUsesGo) {
  options_.keep_idle_keys = std::chrono::milliseconds(1);
  restart();
  for (int i = 0; i < 500 && get("/v2/keys/" + key_id_).status == 200; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(code_of(get("/v2/keys/" + key_id_)), "keys.unknown");
  application_.reset();
  std::string lines;
  for (const auto& file : std::filesystem::directory_iterator(folder_.path() / "state/audit"))
    lines += as_text(unwrap(read_file(file.path(), 1 << 20)));
  const std::size_t at = lines.find("keys.deleted");
  ASSERT_NE(at, std::string::npos) << lines;
  EXPECT_NE(lines.find(key_id_, at), std::string::npos);
  EXPECT_NE(lines.find("retention", at), std::string::npos);
}

// Bodies of a job's later inputs are bounded before the job is looked for.
TEST_F(ApplicationTest, AnInputIsNotLongerThanAModelTakes) {
  RequestHead head;
  head.method = Method::kPost;
  head.target = "/v2/jobs/0123456789abcdef0123456789abcdef/input";
  head.fields.add("Host", "localhost");
  head.fields.add("Inference-Header-Content-Length", "100");
  head.content_length = std::uint64_t{300} << 20;
  EXPECT_EQ(code_of(ask_head(head)), "data.too-large");
  const ckks::Parameters parameters = unwrap(ckks::Parameters::create(lenet().plan.parameters));
  head.content_length = 104 + ckks::ciphertext_bytes(parameters, 2);
  EXPECT_EQ(ask_head(head).status, 0);
}

TEST_F(ApplicationTest, ShowsAModelsConfiguration) {
  for (const char* path : {"/v2/models/lenet/config", "/v2/models/lenet/versions/1/config"}) {
    const Json config = json_of(get(path));
    EXPECT_EQ(config["name"], "lenet");
    EXPECT_EQ(config["max_batch_size"], 0);
    EXPECT_EQ(config["input"][0]["dims"], Json::array({1}));
    EXPECT_EQ(config["output"][0]["data_type"], "TYPE_STRING");
  }
  EXPECT_EQ(code_of(get("/v2/models/absent/config")), "model.unknown");
  EXPECT_EQ(json_of(get("/v2/models/lenet"))["inputs"][0]["shape"], Json::array({1}));
}

TEST_F(ApplicationTest, ACancelledRunIsNotRun) {
  const TestClient client(unwrap(ckks::Parameters::create(lenet().plan.parameters)));
  const std::string key_id = make_set(client);
  const Bytes ciphertext = client.encrypt(some_input(), lenet().client);
  RequestHead head;
  head.method = Method::kPost;
  head.target = "/v2/models/lenet/infer";
  head.fields.add("Host", "localhost");
  head.fields.add("Inference-Header-Content-Length", "0");
  head.fields.add("Tacit-Key-Id", key_id);
  head.content_length = ciphertext.size();
  for (const bool stopping : {false, true}) {
    if (stopping) application_->announce_stop();
    auto opened = application_->open(head);
    const auto exchange = std::get<std::shared_ptr<Exchange>>(opened);
    exchange->cancel();
    std::promise<Response> promise;
    exchange->run(ciphertext, [&promise](Response response) { promise.set_value(std::move(response)); });
    EXPECT_EQ(code_of(promise.get_future().get()), stopping ? "server.stopping" : "run.cancelled");
  }
}

TEST_F(ApplicationTest, ASmallKeyCacheOnlyCostsTime) {
  options_.key_cache_bytes = 1;
  restart();
  const ckks::Parameters parameters = unwrap(ckks::Parameters::create(lenet().plan.parameters));
  const TestClient one(parameters), other(parameters);
  const std::string first = make_set(one), second = make_set(other);
  const std::vector<double> input = some_input();
  for (int i = 0; i < 2; ++i) {
    expect_right(one, ciphertext_of(infer(first, one.encrypt(input, lenet().client))), input);
    expect_right(other, ciphertext_of(infer(second, other.encrypt(input, lenet().client))), input);
  }
}

TEST(KeyCacheTest, KeepsTheKeysUsedLastWithinItsBytes) {
  TemporaryFolder folder;
  const auto model = load(lenet());
  const std::vector models = {model};
  const ModelRegistry registry(models);
  const ServedModel& served = *unwrap(registry.find("lenet"));
  const auto state = unwrap(State::open(folder.path()));
  KeyStore store(state->ledger(), state->blobs(),
                 [&](ByteView bytes) { return ckks::check_key(model->parameters(), bytes); });
  std::vector<KeySet> sets;
  for (int i = 0; i < 3; ++i) {
    const TestClient client(model->parameters());
    std::vector<Digest> digests;
    for (const auto& request : model->plan().keys) {
      const Bytes piece = client.make_piece(request);
      digests.push_back(blake2b(piece));
      ASSERT_TRUE(store.put_piece(kOpenTenant, digests.back(), piece, 1).ok());
    }
    sets.push_back(unwrap(store.describe_set(kOpenTenant, digests, 1)));
  }
  std::uint64_t one = 0;
  for (const auto& request : model->plan().keys)
    one += ckks::key_memory_bytes(model->parameters(), request.shape, ckks::KeyForm::kWhole);
  KeyCache cache(2 * one);
  auto cached = [&](int i) {
    return unwrap(cache.get(served, store, kOpenTenant, sets[static_cast<std::size_t>(i)])).was_cached;
  };
  EXPECT_FALSE(cached(0));
  EXPECT_EQ(cache.resident_bytes(), one);
  EXPECT_FALSE(cached(1));
  EXPECT_TRUE(cached(0));
  EXPECT_FALSE(cached(2));  // 1 was used longest ago
  EXPECT_TRUE(cached(0));
  EXPECT_FALSE(cached(1));
  EXPECT_FALSE(cached(2));
  EXPECT_EQ(cache.resident_bytes(), 2 * one);

  const auto resident = cache.resident_sets();
  ASSERT_EQ(resident.size(), 2u);
  EXPECT_EQ(resident[0], std::pair(std::string(kOpenTenant), sets[2].id));
  const auto stopped = KeyCache(one).get(served, store, kOpenTenant, sets[0], [] { return false; });
  EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);

  KeyCache small(one - 1);
  EXPECT_FALSE(unwrap(small.get(served, store, kOpenTenant, sets[0])).was_cached);
  EXPECT_EQ(small.resident_bytes(), one / 2);
  EXPECT_TRUE(unwrap(small.get(served, store, kOpenTenant, sets[0])).was_cached);
}

TEST(ModelRegistryTest, SkipsWhatItCannotLoadAndSaysSo) {
  TemporaryFolder folder;
  EXPECT_EQ(ModelRegistry::load(folder.path() / "none").error().code, ErrorCode::kFileNotFound);
  EXPECT_EQ(ModelRegistry::load(folder.path()).error().code, ErrorCode::kNoModels);
  std::ofstream(folder.path() / "Broken one.tacit") << "not a package";
  EXPECT_EQ(ModelRegistry::load(folder.path()).error().code, ErrorCode::kNoModels);
  ASSERT_TRUE(write_file_atomic(folder.path() / "a.tacit", plan::write_package(lenet())).ok());
  ASSERT_TRUE(write_file_atomic(folder.path() / "b.tacit", plan::write_package(lenet())).ok());
  std::ofstream(folder.path() / "notes.txt") << "no model";

  ModelRegistry registry = unwrap(ModelRegistry::load(folder.path()));
  EXPECT_EQ(registry.models().size(), 1u);
  EXPECT_FALSE(registry.all_ready());
  ASSERT_EQ(registry.states().size(), 3u);
  EXPECT_TRUE(registry.find("lenet").ok());
  EXPECT_EQ(registry.find("_roken_one").error().code, ErrorCode::kModelUnavailable);
  EXPECT_EQ(registry.find("b").error().code, ErrorCode::kModelUnavailable);

  ApplicationOptions options;
  options.models = folder.path();
  options.state = folder.path() / "state";
  const auto application = unwrap(Application::create(options));
  auto get = [&](const std::string& target) {
    RequestHead head;
    head.target = target;
    head.fields.add("Host", "localhost");
    std::promise<Response> promise;
    auto opened = application->open(head);
    if (auto* response = std::get_if<Response>(&opened)) return *response;
    std::get<std::shared_ptr<Exchange>>(opened)->run({},
                                                     [&](Response r) { promise.set_value(std::move(r)); });
    return promise.get_future().get();
  };
  EXPECT_EQ(get("/v2/health/ready").status, 400);
  EXPECT_EQ(json_of(get("/v2/health/ready"))["unavailable"].size(), 2u);
  EXPECT_EQ(get("/v2/models/b/ready").status, 400);
  EXPECT_EQ(get("/v2/models/b/client").status, 503);
  EXPECT_EQ(json_of(get("/v2/models"))["models"].size(), 1u);
  EXPECT_EQ(json_of(get("/v2/models"))["unavailable"].size(), 2u);
  EXPECT_EQ(text_of(get("/v2/models")).find(folder.path().string()), std::string::npos);
}

}  // namespace
}  // namespace tacit::server
