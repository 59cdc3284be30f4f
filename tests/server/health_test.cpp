// SPDX-License-Identifier: Apache-2.0
// What the health routes say when something is wrong.
#include "server/state_health.h"

#include <thread>

#include "server/application_fixture.h"

namespace tacit::server {
namespace {

class HealthTest : public ApplicationTest {
 protected:
  // The codes of the reasons; empty where the server is ready.
  std::vector<std::string> reasons(const std::string& what = "ready") {
    const Response response = get("/v2/health/" + what);
    const Json page = json_of(response);
    EXPECT_EQ(response.status == 200, page[what].get<bool>());
    EXPECT_EQ(response.status == 200, !page.contains("reasons"));
    std::vector<std::string> codes;
    if (page.contains("reasons"))
      for (const Json& reason : page["reasons"]) {
        codes.push_back(reason["code"]);
        EXPECT_FALSE(reason["detail"].get<std::string>().empty());
      }
    return codes;
  }
  using Codes = std::vector<std::string>;
};

TEST_F(HealthTest, AServerThatCanWorkIsReadyAndLive) {
  EXPECT_EQ(reasons(), Codes{});
  EXPECT_EQ(reasons("live"), Codes{});
}

TEST_F(HealthTest, NotReadyWhileStoppingButLive) {
  application_->announce_stop();
  EXPECT_EQ(reasons(), Codes{"server.stopping"});
  EXPECT_EQ(reasons("live"), Codes{});
}

TEST_F(HealthTest, NotReadyWhereNothingMoreMayWait) {
  options_.max_waiting_inferences = 0;
  restart();
  EXPECT_EQ(reasons(), Codes{"server.busy"});
}

TEST_F(HealthTest, NotReadyWithoutTheStateFolder) {
  const auto state = folder_.path() / "state", away = folder_.path() / "away";
  std::filesystem::rename(state, away);
  EXPECT_EQ(reasons(), Codes{"state.failed"});
  EXPECT_EQ(text_of(get("/v2/health/ready")).find(folder_.path().string()), std::string::npos)
      << "paths are for the log";
  std::filesystem::rename(away, state);
  EXPECT_EQ(reasons(), Codes{});
}

TEST_F(HealthTest, NotLiveWhereAPredictionShowsNoSignOfLife) {
  // So short that every operation is too long.
  options_.max_silence = std::chrono::milliseconds(0);
  restart();
  const TestClient client(load(lenet())->parameters());
  const std::string key_id = make_set(client);
  const Bytes ciphertext = client.encrypt(some_input(), lenet().client);
  EXPECT_EQ(reasons("live"), Codes{}) << "nothing runs";
  std::atomic<bool> seen = false;
  std::thread watcher([&] {
    for (int i = 0; i < 200'000 && !seen; ++i) seen = reasons("live") == Codes{"internal"};
  });
  for (int i = 0; i < 100 && !seen; ++i) EXPECT_EQ(infer(key_id, ciphertext).status, 200);
  watcher.join();
  EXPECT_TRUE(seen);
  // An answer may be there a moment before the executor has its cores back.
  for (int i = 0; i < 500 && reasons("live") != Codes{}; ++i) std::this_thread::sleep_for(milliseconds(10));
  EXPECT_EQ(reasons("live"), Codes{});
}

TEST(StateHealth, AFailedWriteIsRememberedUntilOneSucceeds) {
  TemporaryFolder folder;
  const auto state = folder.path() / "state";
  std::filesystem::create_directory(state);
  StateHealth health(state);
  EXPECT_FALSE(health.trouble());
  // Not of writing.
  health.note({ErrorCode::kKeyUnknown, "x"});
  EXPECT_EQ(health.failures(), 0u);
  EXPECT_FALSE(health.trouble());
  // Where the folder is a file nothing can be written into it, for root neither.
  std::filesystem::remove(state);
  std::fclose(std::fopen(state.c_str(), "w"));
  health.note({ErrorCode::kDiskFull, "x"});
  EXPECT_EQ(health.failures(), 1u);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(health.trouble());
  std::filesystem::remove(state);
  std::filesystem::create_directory(state);
  // The next trial comes after a second.
  for (int i = 0; i < 3000 && health.trouble(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(health.trouble());
  EXPECT_TRUE(std::filesystem::is_empty(state)) << "trials leave nothing";
}

}  // namespace
}  // namespace tacit::server
