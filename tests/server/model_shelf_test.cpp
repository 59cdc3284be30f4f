// SPDX-License-Identifier: Apache-2.0
// Models that come, change and go while the server runs.
#include <fstream>
#include <thread>

#include "base/file.h"
#include "server/application_fixture.h"

namespace tacit::server {
namespace {

class ModelShelfTest : public ApplicationTest {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(models_);
    write("lenet", 1);
    start();
  }
  void start() {
    application_.reset();
    ApplicationOptions options = options_;
    options.models = models_;
    options.state = folder_.path() / "state";
    application_ = unwrap(Application::create(options));
  }
  void write(const std::string& name, std::uint64_t seed) {
    ASSERT_TRUE(
        write_file_atomic(models_ / (name + ".tacit"), plan::write_package(make_package(name, seed)), false)
            .ok());
  }
  Json index() { return json_of(ask(Method::kPost, "/v2/repository/index")); }

  const std::filesystem::path models_ = folder_.path() / "models";
};

TEST_F(ModelShelfTest, ReadsTheFolderAnewAndKeepsWhatHasNotChanged) {
  ModelRegistry first = unwrap(ModelRegistry::load(models_));
  const auto lenet = unwrap(first.find("lenet"));
  ModelShelf shelf(std::move(first), models_);
  write("other", 2);
  ASSERT_TRUE(shelf.reload().ok());
  EXPECT_EQ(unwrap(shelf.now()->find("lenet")), lenet) << "an unchanged file is not loaded again";
  EXPECT_TRUE(shelf.now()->find("other").ok());
  // Another network under the old name.
  write("lenet", 3);
  ASSERT_TRUE(shelf.reload().ok());
  EXPECT_NE(unwrap(shelf.now()->find("lenet")), lenet);
  // A folder that is gone changes nothing.
  std::filesystem::rename(models_, folder_.path() / "away");
  EXPECT_FALSE(shelf.reload().ok());
  EXPECT_TRUE(shelf.now()->find("other").ok());
}

TEST_F(ModelShelfTest, ModelsAreTakenOutAndBroughtBack) {
  EXPECT_EQ(code_of(ask(Method::kPost, "/v2/repository/models/absent/unload")), "model.unknown");
  EXPECT_EQ(code_of(ask(Method::kPost, "/v2/repository/models/absent/load")), "model.unknown");
  EXPECT_EQ(ask(Method::kPost, "/v2/repository/models/lenet/unload").status, 200);
  EXPECT_EQ(code_of(get("/v2/models/lenet")), "model.unavailable");
  EXPECT_EQ(index()[0]["state"], "UNAVAILABLE");
  EXPECT_EQ(index()[0]["reason"], "unloaded");
  ASSERT_TRUE(application_->reload_models().ok());
  EXPECT_EQ(code_of(get("/v2/models/lenet")), "model.unavailable") << "until it is asked for";
  EXPECT_EQ(code_of(post("/v2/repository/models/lenet/load", {{"parameters", {{"config", "{}"}}}})),
            "request.malformed")
      << "another configuration than the file's is not given";
  EXPECT_EQ(post("/v2/repository/models/lenet/load", {{"parameters", Json::object()}}).status, 200);
  EXPECT_EQ(get("/v2/models/lenet").status, 200);
  EXPECT_EQ(index()[0]["state"], "READY");
}

// A copy that is not finished, or a damaged file, takes no model out of service.
TEST_F(ModelShelfTest, WhatCannotBeReadAnyMoreStaysAsItWas) {
  const Bytes whole = plan::write_package(make_package("lenet", 1));
  ASSERT_TRUE(
      write_file_atomic(models_ / "lenet.tacit", ByteView(whole).first(whole.size() / 2), false).ok());
  ASSERT_TRUE(application_->reload_models().ok());
  EXPECT_EQ(get("/v2/models/lenet").status, 200);
  EXPECT_EQ(get("/v2/health/ready").status, 200);
  EXPECT_EQ(index()[0]["state"], "READY");
  EXPECT_EQ(index()[0]["reason"], "data.truncated");
  const Response loaded = ask(Method::kPost, "/v2/repository/models/lenet/load");
  EXPECT_EQ(code_of(loaded), "model.unavailable") << text_of(loaded);
  EXPECT_EQ(get("/v2/models/lenet").status, 200);
  write("lenet", 1);
  EXPECT_EQ(ask(Method::kPost, "/v2/repository/models/lenet/load").status, 200);
  EXPECT_EQ(index()[0]["reason"], "");
  std::filesystem::remove(models_ / "lenet.tacit");
  write("other", 2);
  ASSERT_TRUE(application_->reload_models().ok());
  EXPECT_EQ(code_of(get("/v2/models/lenet")), "model.unknown") << "a file that is gone takes its model along";
}

// Requests go on while the folder is read anew again and again, and the model is replaced by others of the same keys.
TEST_F(ModelShelfTest, NoRequestIsDroppedWhileModelsChange) {
  options_.quota.requests_per_second = 0;
  start();
  const TestClient client(unwrap(ckks::Parameters::create(lenet().plan.parameters)));
  const std::string key_id = make_set(client);
  const Bytes ciphertext = client.encrypt(some_input(), lenet().client);
  std::atomic<bool> stop = false;
  std::atomic<int> served = 0, failed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] {
      while (!stop) infer(key_id, ciphertext).status == 200 ? ++served : ++failed;
    });
  for (std::uint64_t seed = 2; seed < 12; ++seed) {
    write("lenet", seed);
    EXPECT_TRUE(application_->reload_models().ok());
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(served, 10);
}

}  // namespace
}  // namespace tacit::server
