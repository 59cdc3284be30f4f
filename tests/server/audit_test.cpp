// SPDX-License-Identifier: Apache-2.0
// The audit log: its chain, what a crash and other processes do to it, and that it has a line for everything it promises.
#include "server/audit.h"

#include <fstream>
#include <thread>

#include "base/file.h"
#include "server/application_fixture.h"

namespace tacit::server {
namespace {

Json numbered(int number) {
  Json event = audit_event("test");
  event["number"] = number;
  return event;
}

std::string read_text(const std::filesystem::path& file) {
  return std::string(as_text(unwrap(read_file(file, 1 << 24))));
}

void write_text(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
}

// Every line of every file, in order.
std::vector<Json> lines_of(const std::filesystem::path& folder) {
  std::vector<Json> lines;
  for (const std::uint64_t number : unwrap(audit_files(folder))) {
    std::istringstream text(read_text(audit_file(folder, number)));
    for (std::string line; std::getline(text, line);) lines.push_back(Json::parse(line));
  }
  return lines;
}

class AuditTest : public testing::Test {
 protected:
  std::unique_ptr<AuditFile> open(AuditFile::Limits limits = {}) {
    return unwrap(AuditFile::open(folder(), limits));
  }
  void append(AuditFile& file, int number) {
    const Json event = numbered(number);
    ASSERT_TRUE(file.append({&event, 1}).ok());
  }
  std::filesystem::path folder() const { return temporary_.path() / "audit"; }
  std::filesystem::path first() const { return audit_file(folder(), 1); }
  std::vector<std::string> check() { return unwrap(check_audit(folder())); }
  TemporaryFolder temporary_;
};

TEST_F(AuditTest, LinesHangOnOneAnother) {
  EXPECT_TRUE(check().empty()) << "no folder";
  for (int i = 0; i < 5; ++i) append(*open(), i);  // each by a process of its own, so to speak
  const std::vector<Json> lines = lines_of(folder());
  ASSERT_EQ(lines.size(), 5u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(lines[static_cast<std::size_t>(i)]["number"], i);
  EXPECT_EQ(lines[0]["previous"], std::string(64, '0'));
  const std::string text = read_text(first());
  EXPECT_EQ(lines[1]["previous"], to_hex(blake2b(as_bytes(text.substr(0, text.find('\n'))))));
  EXPECT_TRUE(check().empty());
}

TEST_F(AuditTest, EveryAlterationIsFoundAtItsLine) {
  {
    const auto file = open();
    for (int i = 0; i < 6; ++i) append(*file, i);
  }
  const std::string good = read_text(first());
  const auto trouble = [&](const std::string& text) {
    write_text(first(), text);
    const auto found = check();
    return found.empty() ? std::string() : found.front();
  };
  const auto begin_of = [&](int line) {
    std::size_t at = 0;
    for (int i = 1; i < line; ++i) at = good.find('\n', at) + 1;
    return at;
  };
  std::string altered = good;
  altered[good.find("\"number\":2") + 9] = '7';  // in line 3, which line 4 hangs on
  EXPECT_NE(trouble(altered).find("0001.log:4 does not follow"), std::string::npos) << trouble(altered);
  altered = good;
  altered.erase(begin_of(3), begin_of(4) - begin_of(3));
  EXPECT_NE(trouble(altered).find("0001.log:3 does not follow"), std::string::npos);
  altered = good;
  altered.insert(begin_of(3), good.substr(begin_of(2), begin_of(3) - begin_of(2)));
  EXPECT_NE(trouble(altered).find("0001.log:3 does not follow"), std::string::npos);
  EXPECT_NE(trouble(good.substr(begin_of(2))).find("0001.log:1 does not follow"), std::string::npos);
  altered = good;
  altered.replace(begin_of(2), 1, "x");
  EXPECT_NE(trouble(altered).find("0001.log:2 is no line"), std::string::npos);
  EXPECT_NE(trouble(good.substr(0, good.size() - 3)).find("0001.log:6 was not written to its end"),
            std::string::npos);
  EXPECT_EQ(trouble(good), "");
}

TEST_F(AuditTest, WhatACrashLeavesIsCutOffAndSaid) {
  {
    const auto file = open();
    for (int i = 0; i < 3; ++i) append(*file, i);
  }
  const std::string good = read_text(first());
  // Torn anywhere in the last line, or followed by what a file system puts there.
  const std::size_t last = good.rfind('\n', good.size() - 2) + 1;
  std::vector<std::string> torn;
  for (std::size_t end = last + 1; end < good.size(); end += 7) torn.push_back(good.substr(0, end));
  torn.push_back(good + std::string(100, '\0'));
  // A sector that a power cut took out of an append of two lines, with and without the end of a line in it.
  for (std::size_t hole : {last - 40, last - 5})
    torn.push_back(std::string(good).replace(hole, 20, std::string(20, '\0')));
  for (const std::string& text : torn) {
    write_text(first(), text);
    EXPECT_EQ(check().size(), 1u);
    append(*open(), 9);
    EXPECT_TRUE(check().empty()) << check().front();
    const std::vector<Json> lines = lines_of(folder());
    ASSERT_GE(lines.size(), 3u);
    EXPECT_EQ(lines.back()["number"], 9);
    EXPECT_EQ(lines[lines.size() - 2]["event"], "audit.cut");
    EXPECT_GT(lines[lines.size() - 2]["bytes"], 0);
  }
  // A whole file without a line, made right before a crash.
  write_text(first(), good);
  write_text(audit_file(folder(), 2), "");
  append(*open(), 10);
  EXPECT_TRUE(check().empty()) << check().front();
}

TEST_F(AuditTest, SeveralWritersTakeTurns) {
  constexpr int kEach = 40;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      const auto file = open({4096, 0});
      for (int i = 0; i < kEach; ++i) append(*file, i);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(lines_of(folder()).size(), 4u * kEach);
  EXPECT_GT(unwrap(audit_files(folder())).size(), 3u);
  EXPECT_TRUE(check().empty()) << check().front();
}

TEST_F(AuditTest, OldFilesGoAndTheRestStillHangsTogether) {
  const auto file = open({2048, 8192});
  for (int i = 0; i < 400; ++i) append(*file, i);
  const auto numbers = unwrap(audit_files(folder()));
  EXPECT_GT(numbers.front(), 1u);
  std::uint64_t bytes = 0;
  for (const std::uint64_t number : numbers)
    bytes += std::filesystem::file_size(audit_file(folder(), number));
  EXPECT_LE(bytes, 8192u + 2048u);
  EXPECT_TRUE(check().empty());
  ASSERT_GT(numbers.size(), 3u);
  std::filesystem::remove(audit_file(folder(), numbers[1]));
  ASSERT_EQ(check().size(), 1u);
  EXPECT_NE(check().front().find("is missing"), std::string::npos);
}

TEST_F(AuditTest, ACopyIsWhole) {
  {
    const auto file = open({2048, 0});
    for (int i = 0; i < 50; ++i) append(*file, i);
  }
  const auto newest = audit_file(folder(), unwrap(audit_files(folder())).back());
  write_text(newest, read_text(newest) + "torn");
  const auto copy = temporary_.path() / "copy";
  ASSERT_TRUE(copy_audit(folder(), copy).ok());
  EXPECT_TRUE(unwrap(check_audit(copy)).empty());
  EXPECT_EQ(lines_of(copy).size(), 50u);
  ASSERT_TRUE(copy_audit(temporary_.path() / "nothing", temporary_.path() / "other").ok());
}

// Two refusals within a minute: the second has not been told yet when the server ends.
TEST_F(AuditTest, TheLastLineIsTheLast) {
  {
    const auto audit = unwrap(Audit::open(folder(), 0));
    audit->refused({ErrorCode::kAuthentication, "x"}, "1");
    ASSERT_TRUE(audit->record(numbered(1)).ok());
    audit->refused({ErrorCode::kAuthentication, "x"}, "2");
    audit->record_soon(numbered(2));
    ASSERT_TRUE(audit->record_last(numbered(3)).ok());
  }
  const auto lines = lines_of(folder());
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[3]["event"], "authentication.refused");
  EXPECT_EQ(lines[4]["number"], 3);
}

TEST_F(AuditTest, RefusedRequestsAreCountedNotListed) {
  {
    const auto audit = unwrap(Audit::open(folder(), 0));
    for (int i = 0; i < 5000; ++i) audit->refused({ErrorCode::kAuthentication, "x"}, std::to_string(i));
    audit->record_soon(numbered(1));
    ASSERT_TRUE(audit->record(numbered(2)).ok());
    for (int i = 0; i < 5000; ++i) audit->refused({ErrorCode::kAuthentication, "x"}, std::to_string(i));
  }
  std::uint64_t counted = 0, lines = 0;
  std::vector<int> numbers;
  for (const Json& line : lines_of(folder())) {
    if (line["event"] == "authentication.refused") {
      counted += line["count"].get<std::uint64_t>();
      ++lines;
    } else {
      numbers.push_back(line["number"]);
    }
  }
  EXPECT_EQ(counted, 10'000u);
  EXPECT_LE(lines, 2u);
  EXPECT_EQ(numbers, (std::vector{1, 2}));
  EXPECT_TRUE(check().empty());
}

class AuditedApplication : public ApplicationTest {
 protected:
  std::filesystem::path folder() const { return folder_.path() / "state/audit"; }
  std::vector<std::string> events() {
    std::vector<std::string> all;
    for (const Json& line : lines_of(folder())) all.push_back(line["event"]);
    return all;
  }
  Json last(const std::string& event) {
    Json found;
    for (const Json& line : lines_of(folder()))
      if (line["event"] == event) found = line;
    return found;
  }
};

TEST_F(AuditedApplication, HasALineForEverythingItPromises) {
  options_.configuration = "a digest";
  restart();
  const TestClient client(load(lenet())->parameters());
  const std::string key_id = make_set(client);
  EXPECT_EQ(last("keys.stored")["key_id"], key_id);
  EXPECT_EQ(last("keys.stored")["tenant"], std::string(kOpenTenant));
  const Bytes ciphertext = client.encrypt(some_input(), lenet().client);
  const Response accepted = infer(key_id, ciphertext, "lenet", {{"Prefer", "respond-async"}});
  const std::string job = json_of(accepted)["job_id"];
  EXPECT_EQ(last("job.accepted")["job_id"], job) << "before the answer";
  EXPECT_EQ(last("job.accepted")["request_id"], "test");
  for (int i = 0; i < 3000 && json_of(get("/v2/jobs/" + job))["state"] != "succeeded"; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(ask(Method::kDelete, "/v2/jobs/" + job).status, 204);
  EXPECT_EQ(last("job.deleted")["job_id"], job);
  EXPECT_EQ(infer(key_id, ciphertext).status, 200);
  EXPECT_EQ(ask(Method::kDelete, "/v2/keys/" + key_id).status, 204);
  EXPECT_EQ(last("keys.deleted")["key_id"], key_id);
  EXPECT_EQ(last("prediction")["code"], "ok") << "written with the line after it at the latest";
  application_->note_end(true);
  application_.reset();
  const auto all = events();
  EXPECT_EQ(all.back(), "server.stop");
  // The job is seen to have ended before this line is written.
  EXPECT_EQ(last("job.ended")["job_id"], job);
  EXPECT_EQ(last("job.ended")["request_id"], "test");
  EXPECT_EQ(last("job.ended")["state"], "succeeded");
  EXPECT_EQ(last("server.start")["configuration"], "a digest");
  EXPECT_EQ(last("model.loaded")["model"], "lenet");
  EXPECT_TRUE(unwrap(check_audit(folder())).empty());
  // Identifiers and digests, no bytes: no line is long.
  for (const Json& line : lines_of(folder())) EXPECT_LT(line.dump().size(), 700u) << line;
}

TEST_F(AuditedApplication, CanBeSwitchedOff) {
  options_.audit = false;
  application_.reset();
  std::filesystem::remove_all(folder());
  restart();
  EXPECT_EQ(get("/v2/health/ready").status, 200);
  EXPECT_FALSE(std::filesystem::exists(folder()));
}

TEST_F(AuditedApplication, WhatCannotBeAuditedIsNotAcknowledged) {
  const TestClient client(load(lenet())->parameters());
  const Json digests = upload(client);
  // A folder that is a file takes no line.
  std::filesystem::rename(folder(), folder_.path() / "away");
  write_text(folder(), "");
  const Response refused = post("/v2/keys", {{"model", "lenet"}, {"pieces", digests}});
  EXPECT_GE(refused.status, 500) << text_of(refused);
  EXPECT_EQ(get("/v2/health/ready").status, 200) << "the state folder itself takes a write";
  std::filesystem::remove(folder());
  std::filesystem::rename(folder_.path() / "away", folder());
  EXPECT_LT(post("/v2/keys", {{"model", "lenet"}, {"pieces", digests}}).status, 300);
  EXPECT_EQ(last("keys.stored")["pieces"], digests.size());
  EXPECT_TRUE(unwrap(check_audit(folder())).empty());
}

}  // namespace
}  // namespace tacit::server
