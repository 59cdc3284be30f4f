// SPDX-License-Identifier: Apache-2.0
#include "secret/passphrase.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace tacit::secret {
namespace {

namespace fs = std::filesystem;

class PassphraseTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "tacit-pass-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    ::unsetenv(kPassphraseVariable);
  }
  void TearDown() override {
    ::unsetenv(kPassphraseVariable);
    fs::remove_all(folder_);
  }
  fs::path file(std::string_view content) {
    fs::path path = folder_ / "passphrase";
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  PassphraseSource from_file(std::string_view content) { return {file(content), folder_ / "no-terminal"}; }
  PassphraseSource nowhere() { return {{}, folder_ / "no-terminal"}; }

  fs::path folder_;
};

// A pseudo-terminal whose other end types `lines`, each after the question before it was shown.
class Typist {
 public:
  explicit Typist(std::vector<std::string> lines) : master_(::posix_openpt(O_RDWR | O_NOCTTY)) {
    EXPECT_EQ(::grantpt(master_), 0);
    EXPECT_EQ(::unlockpt(master_), 0);
    path_ = ::ptsname(master_);
    // Kept open so that the terminal's settings outlive the reader and can be looked at afterwards.
    held_ = ::open(path_.c_str(), O_RDWR | O_NOCTTY);
    thread_ = std::thread([this, lines] {
      for (const std::string& line : lines) {
        while (shown_.empty() || shown_.back() != ' ') listen();  // a question ends with ": "
        echo_while_asked_ = echo_while_asked_ || echo();
        EXPECT_EQ(::write(master_, line.data(), line.size()), static_cast<ssize_t>(line.size()));
        std::size_t before = shown_.size();
        while (shown_.size() == before) listen();
      }
    });
  }
  ~Typist() {
    join();
    ::close(held_);
    ::close(master_);
  }
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  bool echo() const {
    termios settings{};
    ::tcgetattr(held_, &settings);
    return (settings.c_lflag & ECHO) != 0;
  }
  const std::string& shown() const { return shown_; }
  bool echo_while_asked() const { return echo_while_asked_; }
  PassphraseSource source() const { return {{}, path_}; }

 private:
  void listen() {
    char buffer[256];
    ssize_t got = ::read(master_, buffer, sizeof buffer);
    ASSERT_GT(got, 0);
    shown_.append(buffer, static_cast<std::size_t>(got));
  }
  int master_, held_ = -1;
  std::string path_, shown_;
  bool echo_while_asked_ = false;
  std::thread thread_;
};

TEST_F(PassphraseTest, AFileGivesItsBytesWithoutOneLineBreak) {
  struct Case {
    std::string content, expected;
  } cases[] = {{"secret", "secret"},       {"secret\n", "secret"}, {"secret\r\n", "secret"},
               {"secret\n\n", "secret\n"}, {" a b \n", " a b "},   {"zwei\nzeilen\n", "zwei\nzeilen"}};
  for (const Case& c : cases) {
    auto passphrase = from_file(c.content).get(PassphraseUse::kOpen, "the key file");
    ASSERT_TRUE(passphrase.ok()) << passphrase.error().message;
    EXPECT_EQ(passphrase->view(), c.expected);
  }
}

TEST_F(PassphraseTest, AFileMayBeLongButNotTooLong) {
  std::string longest(Passphrase::kMaxBytes, 'x');
  auto passphrase = from_file(longest + "\r\n").get(PassphraseUse::kOpen, "k");
  ASSERT_TRUE(passphrase.ok());
  EXPECT_EQ(passphrase->view(), longest);
  for (const std::string& content : {longest + "y", longest + "yyyyy\n", std::string("\n"), std::string()}) {
    auto refused = from_file(content).get(PassphraseUse::kOpen, "k");
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST_F(PassphraseTest, AMissingFileIsNotReplacedByAnythingElse) {
  ::setenv(kPassphraseVariable, "environment", 1);
  auto passphrase = PassphraseSource{folder_ / "none", "/dev/tty"}.get(PassphraseUse::kOpen, "k");
  ASSERT_FALSE(passphrase.ok());
  EXPECT_EQ(passphrase.error().code, ErrorCode::kFileNotFound);
}

TEST_F(PassphraseTest, TheFileGoesBeforeTheEnvironmentBeforeTheTerminal) {
  ::setenv(kPassphraseVariable, "environment", 1);
  EXPECT_EQ(from_file("file").get(PassphraseUse::kCreate, "k")->view(), "file");
  EXPECT_EQ(nowhere().get(PassphraseUse::kCreate, "k")->view(), "environment");
  EXPECT_TRUE(nowhere().available());
  ::setenv(kPassphraseVariable, "", 1);
  auto empty = nowhere().get(PassphraseUse::kOpen, "k");
  ASSERT_FALSE(empty.ok());
  EXPECT_EQ(empty.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(empty.error().message.find(kPassphraseVariable), std::string::npos);
}

TEST_F(PassphraseTest, WithoutAnySourceTheErrorTellsTheOtherWays) {
  EXPECT_FALSE(nowhere().available());
  // A file that is no terminal is as good as none.
  for (const PassphraseSource& source : {nowhere(), PassphraseSource{{}, file("typed\n")}}) {
    auto passphrase = source.get(PassphraseUse::kOpen, "the key file k");
    ASSERT_FALSE(passphrase.ok());
    EXPECT_EQ(passphrase.error().code, ErrorCode::kPassphraseMissing);
    EXPECT_NE(passphrase.error().message.find("--passphrase-file"), std::string::npos);
    EXPECT_NE(passphrase.error().message.find(kPassphraseVariable), std::string::npos);
    EXPECT_NE(passphrase.error().message.find("the key file k"), std::string::npos);
  }
}

TEST_F(PassphraseTest, OpeningAsksOnceWithoutEcho) {
  Typist typist({"let me in\n"});
  EXPECT_TRUE(typist.source().available());
  auto passphrase = typist.source().get(PassphraseUse::kOpen, "the key");
  typist.join();
  ASSERT_TRUE(passphrase.ok()) << passphrase.error().message;
  EXPECT_EQ(passphrase->view(), "let me in");
  EXPECT_FALSE(typist.echo_while_asked());
  EXPECT_EQ(typist.shown().find("let me in"), std::string::npos) << typist.shown();
  EXPECT_TRUE(typist.echo()) << "switched on again";
}

TEST_F(PassphraseTest, CreatingAsksTwice) {
  Typist same({"one two\n", "one two\n"});
  auto passphrase = same.source().get(PassphraseUse::kCreate, "the key");
  ASSERT_TRUE(passphrase.ok()) << passphrase.error().message;
  EXPECT_EQ(passphrase->view(), "one two");

  Typist other({"one two\n", "one twa\n"});
  auto refused = other.source().get(PassphraseUse::kCreate, "the key");
  other.join();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kPassphraseMismatch);
  EXPECT_TRUE(other.echo());

  Typist nothing({"\n"});
  auto empty = nothing.source().get(PassphraseUse::kCreate, "the key");
  ASSERT_FALSE(empty.ok());
  EXPECT_EQ(empty.error().code, ErrorCode::kPassphraseMissing);
}

TEST_F(PassphraseTest, AnInterruptEndsTheProgramWithTheEchoOnAgain) {
  Typist typist({});
  typist.join();
  EXPECT_EXIT(
      {
        pid_t self = ::getpid();
        std::thread([self, &typist] {
          while (typist.echo()) ::usleep(1000);
          ::usleep(50000);
          ::kill(self, SIGINT);
        }).detach();
        auto passphrase = typist.source().get(PassphraseUse::kOpen, "the key");
        ::_exit(passphrase.ok() ? 0 : 1);
      },
      testing::KilledBySignal(SIGINT), "");
  EXPECT_TRUE(typist.echo());
}

}  // namespace
}  // namespace tacit::secret
