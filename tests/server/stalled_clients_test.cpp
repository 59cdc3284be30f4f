// SPDX-License-Identifier: Apache-2.0
// A thousand clients that stand still, while others ask. The clients are a process of their own (stalled_clients.py), so that
// this one's memory is the server's.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "server/http_server.h"
#include "server/temporary_folder.h"

namespace tacit::server {
namespace {

using namespace std::chrono_literals;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMeasuresMemory = false;  // most of it is the sanitizer's
#else
constexpr bool kMeasuresMemory = true;
#endif
constexpr std::uint64_t kMaxGrowth = std::uint64_t{64} << 20;

// Answers a body with itself, "/large" with 64 KiB.
class EchoService : public Service {
 public:
  std::variant<Response, std::shared_ptr<Exchange>> open(RequestHead head) override {
    return std::make_shared<Echo>(std::move(head));
  }

 private:
  struct Echo : Exchange {
    explicit Echo(RequestHead h) : head(std::move(h)) {}
    std::uint64_t body_bytes() const override { return head.content_length.value_or(0); }
    std::size_t prefix_bytes() const override { return 0; }
    std::optional<Response> inspect(ByteView) override { return std::nullopt; }
    void run(Bytes body, std::function<void(Response)> done) override {
      if (head.target == "/large") body.assign(64 << 10, 'x');
      Response response;
      response.body = std::move(body);
      done(std::move(response));
    }
    void cancel() override {}
    const RequestHead head;
  };
};

std::uint64_t resident_bytes() {
  std::uint64_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

// The clients, whose lines are read and who go on when told.
class Clients {
 public:
  explicit Clients(std::vector<std::string> arguments) {
    int out[2], in[2];
    if (::pipe(out) != 0 || ::pipe(in) != 0) return;
    arguments.insert(arguments.begin(),
                     {"/usr/bin/python3", "-B", TACIT_SOURCE_DIR "/tests/server/stalled_clients.py"});
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(in[0], STDIN_FILENO);
      ::dup2(out[1], STDOUT_FILENO);
      for (int fd : {in[0], in[1], out[0], out[1]}) ::close(fd);
      ::execv(pointers[0], pointers.data());
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    lines_ = ::fdopen(out[0], "r");
    in_ = in[1];
  }
  ~Clients() {
    ::close(in_);
    std::fclose(lines_);
    ::waitpid(pid_, nullptr, 0);
  }
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  std::string line() {
    char buffer[512];
    return std::fgets(buffer, sizeof buffer, lines_) == nullptr ? "" : buffer;
  }
  void go_on() { EXPECT_EQ(::write(in_, "\n", 1), 1); }

 private:
  pid_t pid_ = 0;
  std::FILE* lines_ = nullptr;
  int in_ = -1;
};

TEST(StalledClients, AThousandOfThemCostNobodyARequestAndLittleMemory) {
  constexpr int kStalled = 1000, kRequests = 100, kRounds = 2;
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  TemporaryFolder folder;
  ASSERT_EQ(std::system(("/usr/bin/python3 -B " TACIT_SOURCE_DIR "/tests/support/certificates.py " +
                         folder.path().string())
                            .c_str()),
            0);
  HttpOptions options;
  options.certificate = folder.path() / "server.pem";
  options.private_key = folder.path() / "server.key";
  options.max_connections = options.max_connections_per_address = kStalled + 100;
  // They are to stand there for the whole test, however slow the machine is.
  options.timeouts.idle = options.timeouts.header = options.timeouts.body_grace = 10min;
  options.timeouts.shutdown = 100ms;
  EchoService service;
  auto server = HttpServer::start(service, options);
  ASSERT_TRUE(server.ok()) << server.error().to_line();
  EXPECT_TRUE((*server)->url().starts_with("https://"));

  const std::uint64_t before = resident_bytes();
  // A connection that was closed may not have been noticed yet.
  const auto settle = [&](std::size_t connections) {
    for (int i = 0; i < 500 && (*server)->connections() > connections; ++i) std::this_thread::sleep_for(10ms);
    return (*server)->connections();
  };
  Clients clients({std::to_string((*server)->port()), folder.path() / "authority.pem",
                   std::to_string(kStalled), std::to_string(kRequests), std::to_string(kRounds)});
  for (int round = 0; round < kRounds; ++round) {
    EXPECT_EQ(clients.line(), "alone\n");
    EXPECT_LE(settle(1), 1u);
    clients.go_on();
    EXPECT_EQ(clients.line(), "stalled " + std::to_string(kStalled) + "\n");
    clients.go_on();
  }
  const std::string result = clients.line();
  const std::uint64_t after = resident_bytes();
  const std::uint64_t growth = after - std::min(before, after);
  EXPECT_EQ(settle(kStalled + 1), kStalled + 1u);
  std::printf("%smemory grew by %.1f MiB, %.1f KiB a connection\n", result.c_str(),
              static_cast<double>(growth) / (1 << 20), static_cast<double>(growth) / 1024 / kStalled);
  EXPECT_TRUE(result.starts_with("failed 0 of " + std::to_string(4 * kRounds * kRequests) + ":")) << result;
  if (kMeasuresMemory) { EXPECT_LT(growth, kMaxGrowth); }
  EXPECT_TRUE((*server)->stop());
  clients.go_on();
}

}  // namespace
}  // namespace tacit::server
