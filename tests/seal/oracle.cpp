// SPDX-License-Identifier: Apache-2.0
#include "seal/oracle.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <exception>
#include <iostream>
#include <stdexcept>
#include <vector>

#include "base/file.h"

namespace tacit::seal {

namespace {

const std::filesystem::path kScripts = std::filesystem::path(TACIT_SOURCE_DIR) / "tests/seal";
constexpr std::uint64_t kLargestFile = std::uint64_t{1} << 30;

bool on_path(const std::string& program) {
  const char* variable = ::getenv("PATH");
  std::string list = variable == nullptr ? "" : variable;
  for (std::size_t from = 0, to = 0; from <= list.size(); from = to + 1) {
    to = std::min(list.find(':', from), list.size());
    if (::access((std::filesystem::path(list.substr(from, to - from)) / program).c_str(), X_OK) == 0)
      return true;
  }
  return false;
}

}  // namespace

std::string missing_oracle() {
  if (!on_path("node")) return "node is not installed; run `make setup`";
  if (!std::filesystem::exists(kScripts / "node_modules/node-seal/package.json")) {
    return "node-seal is not installed in tests/seal/node_modules; run `make setup`";
  }
  return "";
}

ExchangeFolder::ExchangeFolder() {
  std::string name = (std::filesystem::path(TACIT_BINARY_DIR) / "seal-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make the folder " + name);
  path_ = name;
}

ExchangeFolder::~ExchangeFolder() {
  // gtest learns of an exception only after this.
  if (testing::Test::HasFailure() || std::uncaught_exceptions() > 0) {
    std::cerr << "The files of the failed test are in " << path_ << "\n";
    return;
  }
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Bytes ExchangeFolder::read(const std::string& name) const {
  Result<Bytes> bytes = read_file(path_ / name, kLargestFile);
  if (!bytes.ok()) throw std::runtime_error(bytes.error().to_line());
  return std::move(bytes).value();
}

void ExchangeFolder::write(const std::string& name, ByteView bytes) const {
  const int file = ::open((path_ / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  std::size_t done = 0;
  while (file >= 0 && done < bytes.size()) {
    const ssize_t written = ::write(file, bytes.data() + done, bytes.size() - done);
    if (written <= 0) break;
    done += static_cast<std::size_t>(written);
  }
  if (file < 0 || ::close(file) != 0 || done < bytes.size()) {
    throw std::runtime_error("cannot write " + (path_ / name).string());
  }
}

void ExchangeFolder::write_numbers(const std::string& name, std::span<const double> numbers) const {
  ByteWriter out;
  for (double x : numbers) out.f64(x);
  write(name, std::move(out).take());
}

std::string ExchangeFolder::run(const std::string& script) const {
  const std::string out = (path_ / "stdout.txt").string(), err = (path_ / "stderr.txt").string();
  const std::string file = (kScripts / script).string(), folder = path_.string();
  std::vector<const char*> arguments = {"node", file.c_str(), folder.c_str(), nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0644);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0644);
  pid_t process = 0;
  const int failed =
      ::posix_spawnp(&process, "node", &actions, nullptr, const_cast<char**>(arguments.data()), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (failed != 0 || ::waitpid(process, &status, 0) != process) throw std::runtime_error("cannot run node");
  if (status != 0)
    throw std::runtime_error("node " + script + " failed: " + std::string(as_text(read("stderr.txt"))));
  return std::string(as_text(read("stdout.txt")));
}

}  // namespace tacit::seal
