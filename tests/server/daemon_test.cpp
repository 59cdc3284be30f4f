// SPDX-License-Identifier: Apache-2.0
// The program tacitd as a process: start, signals, exit codes, and what a crash leaves behind.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/file.h"
#include "server/json.h"
#include "server/model_fixture.h"
#include "server/raw_socket.h"
#include "server/temporary_folder.h"

namespace tacit::server {
namespace {

using namespace std::chrono_literals;

// A running tacitd whose standard error is read.
class Daemon {
 public:
  explicit Daemon(std::vector<std::string> arguments) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return;
    arguments.insert(arguments.begin(), TACIT_BINARY_DIR "/bin/tacitd");
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(ends[1], STDERR_FILENO);
      ::execv(pointers[0], pointers.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    errors_ = ends[0];
  }
  ~Daemon() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      wait();
    }
    ::close(errors_);
  }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // The port that it says it listens on; 0 where it ends without saying so.
  std::uint16_t port() {
    constexpr std::string_view kLine = "tacitd: listening on http://127.0.0.1:";
    while (output_.find(kLine) == std::string::npos ||
           output_.find('\n', output_.find(kLine)) == std::string::npos) {
      if (!read_more()) return 0;
    }
    return static_cast<std::uint16_t>(std::stoi(output_.substr(output_.find(kLine) + kLine.size())));
  }
  void signal(int number) const { ::kill(pid_, number); }
  // The exit code, or -1 after a signal.
  int wait() {
    while (read_more()) {}
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  const std::string& output() const { return output_; }

 private:
  bool read_more() {
    char buffer[4096];
    const ssize_t count = ::read(errors_, buffer, sizeof buffer);
    if (count > 0) output_.append(buffer, static_cast<std::size_t>(count));
    return count > 0;
  }
  pid_t pid_ = 0;
  int errors_ = -1;
  std::string output_;
};

class DaemonTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(folder_.path() / "models");
    ASSERT_TRUE(
        write_file_atomic(folder_.path() / "models" / "lenet.tacit", plan::write_package(package_)).ok());
  }
  std::vector<std::string> arguments(const std::string& models = "models") const {
    return {"--models", (folder_.path() / models).string(),
            "--state",  (folder_.path() / "state").string(),
            "--listen", "127.0.0.1:0"};
  }
  static int ask(std::uint16_t port, const std::string& line, ByteView body = {}) {
    RawSocket socket(port);
    socket.send(line + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + std::string(as_text(body)));
    const auto response = socket.read_response();
    return response ? response->status : 0;
  }

  const plan::Package package_ = make_package("lenet");
  TemporaryFolder folder_;
};

TEST_F(DaemonTest, StartsAnswersAndEndsWhenAsked) {
  for (const int number : {SIGTERM, SIGINT}) {
    Daemon daemon(arguments());
    const std::uint16_t port = daemon.port();
    ASSERT_NE(port, 0) << daemon.output();
    EXPECT_EQ(ask(port, "GET /v2/health/ready"), 200);
    EXPECT_EQ(ask(port, "GET /v2/models/lenet/client"), 200);
    EXPECT_EQ(ask(port, "GET /v2/../../etc/passwd?secret=1"), 404);
    daemon.signal(number);
    EXPECT_EQ(daemon.wait(), 0) << daemon.output();
    // One line of the log for each request, without the query.
    EXPECT_NE(daemon.output().find(" method=GET path=/v2/models/lenet/client status=200 "), std::string::npos)
        << daemon.output();
    EXPECT_EQ(daemon.output().find("secret"), std::string::npos);
  }
}

TEST_F(DaemonTest, RefusesToStartWithoutModelsOrAddress) {
  std::filesystem::create_directory(folder_.path() / "empty");
  Daemon none(arguments("empty"));
  EXPECT_EQ(none.wait(), 1);
  EXPECT_NE(none.output().find("tacitd: model.none: "), std::string::npos) << none.output();

  Daemon usage({"--no-such-option"});
  EXPECT_EQ(usage.wait(), 2);

  auto bad = arguments();
  bad.back() = "nowhere";
  Daemon nowhere(bad);
  EXPECT_EQ(nowhere.wait(), 2);
  EXPECT_NE(nowhere.output().find("tacitd: argument.invalid: "), std::string::npos) << nowhere.output();

  Daemon first(arguments());
  auto taken = arguments();
  taken.back() = "127.0.0.1:" + std::to_string(first.port());
  *(std::ranges::find(taken, "--state") + 1) = (folder_.path() / "other").string();
  Daemon second(taken);
  EXPECT_EQ(second.wait(), 1);
  EXPECT_NE(second.output().find("tacitd: server.listen: "), std::string::npos) << second.output();
}

// What would keep it from starting is found without starting it.
TEST_F(DaemonTest, ChecksItsConfiguration) {
  const auto check = [](std::vector<std::string> arguments) {
    arguments.push_back("--check-config");
    Daemon daemon(arguments);
    const int code = daemon.wait();
    return std::pair(code, daemon.output());
  };
  const auto [sound, said] = check(arguments());
  EXPECT_EQ(sound, 0) << said;
  EXPECT_NE(said.find("the configuration is sound"), std::string::npos) << said;
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "state"));
  const auto changed = [&](const std::string& flag, const std::string& value) {
    auto line = arguments();
    *(std::ranges::find(line, flag) + 1) = value;
    return check(line);
  };
  const auto [address, of_address] = changed("--listen", "127.0.0.1:99999");
  EXPECT_EQ(address, 2);
  EXPECT_NE(of_address.find("argument.invalid"), std::string::npos) << of_address;
  const auto [models, of_models] = changed("--models", "/nonexistent");
  EXPECT_EQ(models, 1);
  EXPECT_NE(of_models.find("file.not-found"), std::string::npos) << of_models;
}

// A mistyped folder is no reason to make a state, or to call one whole.
TEST_F(DaemonTest, VerbsNameAFolderThatIsNoState) {
  const std::string nowhere = (folder_.path() / "typo").string();
  for (const std::vector<std::string>& verb : {std::vector<std::string>{"check"},
                                               {"token", "list"},
                                               {"tenant", "list"},
                                               {"tenant", "delete", "clinic", "--yes"},
                                               {"token", "revoke", "0123456789abcdef"},
                                               {"backup", "--to", nowhere + "2"}}) {
    std::vector<std::string> line = verb;
    line.insert(line.end(), {"--state", nowhere});
    Daemon daemon(line);
    EXPECT_EQ(daemon.wait(), 1);
    EXPECT_NE(daemon.output().find("file.not-found: there is no state of tacitd in " + nowhere),
              std::string::npos)
        << daemon.output();
  }
  EXPECT_FALSE(std::filesystem::exists(nowhere));
}

TEST_F(DaemonTest, ABrokenModelIsNamedAndSkipped) {
  ASSERT_TRUE(write_file_atomic(folder_.path() / "models" / "broken.tacit", as_bytes("no package")).ok());
  Daemon daemon(arguments());
  const std::uint16_t port = daemon.port();
  ASSERT_NE(port, 0) << daemon.output();
  EXPECT_EQ(ask(port, "GET /v2/health/ready"), 400);
  EXPECT_EQ(ask(port, "GET /v2/models/lenet/ready"), 200);
  daemon.signal(SIGTERM);
  EXPECT_EQ(daemon.wait(), 0);
  EXPECT_NE(daemon.output().find("broken.tacit"), std::string::npos) << daemon.output();
}

// Uploads go on while the process is killed: whatever was acknowledged is there afterwards, and nothing half-written.
TEST_F(DaemonTest, WhatWasAcknowledgedSurvivesAKill) {
  const TestClient client(unwrap(ckks::Parameters::create(package_.plan.parameters)));
  std::vector<std::pair<std::string, Bytes>> pieces;
  for (std::uint32_t element = 3; element < 63; element += 2) {
    Bytes piece = client.make_piece({element, {1, 1, 1}});
    pieces.emplace_back(to_hex(blake2b(piece)), std::move(piece));
  }
  std::size_t next = 0;
  for (int round = 0; round < 6 && next < pieces.size(); ++round) {
    Daemon daemon(arguments());
    const std::uint16_t port = daemon.port();
    ASSERT_NE(port, 0) << daemon.output();
    for (std::size_t i = 0; i < next; ++i) {
      EXPECT_EQ(ask(port, "PUT /v2/keys/pieces/" + pieces[i].first, pieces[i].second), 200)
          << "round " << round;
    }
    std::atomic<std::size_t> acknowledged = next;
    std::thread uploader([&] {
      while (acknowledged < pieces.size()) {
        const auto& [digest, piece] = pieces[acknowledged];
        const int status = ask(port, "PUT /v2/keys/pieces/" + digest, piece);
        if (status != 200 && status != 201) return;
        ++acknowledged;
      }
    });
    for (int i = 0; acknowledged == next && i < 30'000; ++i) std::this_thread::sleep_for(1ms);
    std::this_thread::sleep_for(std::chrono::microseconds(700 * round));
    daemon.signal(SIGKILL);
    uploader.join();
    EXPECT_EQ(daemon.wait(), -1);
    next = acknowledged;
  }
  EXPECT_GE(next, 6u);
  Daemon daemon(arguments());
  ASSERT_NE(daemon.port(), 0);
  for (const auto& entry :
       std::filesystem::directory_iterator(folder_.path() / "state" / "blobs" / "local" / "pieces")) {
    const std::string name = entry.path().filename().string();
    const auto bytes = read_file(entry.path(), 1 << 24);
    ASSERT_TRUE(bytes.ok());
    EXPECT_EQ(to_hex(blake2b(*bytes)), name);
  }
}

}  // namespace
}  // namespace tacit::server
