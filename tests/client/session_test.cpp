// SPDX-License-Identifier: Apache-2.0
#include "client/session.h"

#include <gtest/gtest.h>

#include "client/echo_service.h"
#include "client/temporary_folder.h"

namespace tacit::client {
namespace {

namespace fs = std::filesystem;
using test::EchoService;

class SessionTest : public testing::Test {
 protected:
  SessionTest() : folder_path_(folder_.path() / "keys") {
    options_.folder.emplace(folder_path_);
    options_.passphrase.file = folder_.write("passphrase", as_bytes("p"));
    options_.events.key_created = [this](int log_degree, const fs::path& file) {
      EXPECT_EQ(log_degree, 12);
      EXPECT_EQ(file, folder_path_ / "secret-12.key");
      ++created_;
    };
    options_.events.keys_made = [this](std::size_t done, std::size_t total) {
      EXPECT_EQ(total, 3u);
      made_.push_back(done);
    };
    options_.events.keys_uploaded = [this](std::uint64_t done, std::uint64_t total) {
      EXPECT_LE(done, total);
      // Back to nothing only where a damaged piece makes it start again.
      EXPECT_TRUE(uploaded_.empty() || done >= uploaded_.back() || done == 0);
      uploaded_.push_back(done);
    };
  }
  Result<Session> open(const EchoService& service) {
    made_.clear();
    uploaded_.clear();
    Api api = service.connect();
    TACIT_TRY(plan::ClientHalf half, fetch_client_half(api, service.half().name));
    return Session::open(std::move(api), half, options_);
  }
  Session opened(const EchoService& service) {
    auto session = open(service);
    EXPECT_TRUE(session.ok()) << session.error().message;
    return std::move(session).value();
  }
  static void expect_echo(Session& session) {
    std::vector<float> tensor;
    for (int i = 0; i < 16; ++i) tensor.push_back(static_cast<float>(i) / 4 - 2);
    auto prediction = session.predict(tensor);
    ASSERT_TRUE(prediction.ok()) << prediction.error().message;
    ASSERT_EQ(prediction->outputs.size(), 16u);
    for (std::size_t i = 0; i < 16; ++i) EXPECT_NEAR(prediction->outputs[i], tensor[i], 1e-4);
    EXPECT_EQ(prediction->server_ms, 1.5);
    EXPECT_EQ(prediction->server_peak_memory_bytes, 4096u);
    EXPECT_GT(prediction->encrypt_ms, 0);
    EXPECT_GT(prediction->decrypt_ms, 0);
    EXPECT_GE(prediction->round_trip_ms, 0);
    EXPECT_GT(prediction->upload_bytes, 4096u * 32 * 2 / 8) << "two limbs of 32-bit primes";
    EXPECT_GT(prediction->download_bytes, 4096u * 32 * 2 / 8);
  }

  test::TemporaryFolder folder_;
  fs::path folder_path_;
  SessionOptions options_;
  int created_ = 0;
  std::vector<std::size_t> made_;
  std::vector<std::uint64_t> uploaded_;
};

TEST_F(SessionTest, EncryptsSendsAndDecrypts) {
  EchoService service;
  Session session = opened(service);
  EXPECT_EQ(created_, 1);
  EXPECT_EQ(made_, (std::vector<std::size_t>{0, 1, 2, 3}));
  ASSERT_FALSE(uploaded_.empty());
  EXPECT_EQ(uploaded_.back(), session.key_bytes());
  EXPECT_EQ(session.uploaded_key_bytes(), session.key_bytes());
  EXPECT_EQ(service.pieces().size(), 3u);
  expect_echo(session);
  expect_echo(session);
}

TEST_F(SessionTest, TheSecondTimeNothingIsMadeOrSent) {
  EchoService service;
  opened(service);
  Session again = opened(service);
  EXPECT_EQ(created_, 1);
  EXPECT_TRUE(made_.empty());
  EXPECT_TRUE(uploaded_.empty());
  EXPECT_EQ(again.uploaded_key_bytes(), 0u);
  EXPECT_EQ(service.count("PUT", "/v2/keys/pieces/"), 3u);
  expect_echo(again);
}

TEST_F(SessionTest, AnotherServerGetsTheSameKeys) {
  EchoService first;
  opened(first);
  EchoService second;
  Session session = opened(second);
  EXPECT_TRUE(made_.empty()) << "they are on disk";
  EXPECT_EQ(session.uploaded_key_bytes(), session.key_bytes());
  EXPECT_EQ(second.pieces(), first.pieces());
  expect_echo(session);
}

TEST_F(SessionTest, AnotherModelNeedsOnlyThePiecesThatDiffer) {
  EchoService first;
  opened(first);
  plan::ClientHalf half = test::echo_half();
  half.name = "other";
  half.keys.insert(half.keys.begin() + 2, {5, {1, 1, 1}});
  half.keys.erase(half.keys.begin());
  EchoService second(half);
  Session session = opened(second);
  EXPECT_EQ(made_, (std::vector<std::size_t>{1, 2, 3})) << "the element 5 alone";
  expect_echo(session);
}

TEST_F(SessionTest, ADamagedPieceIsMadeAnew) {
  EchoService first;
  opened(first);
  std::size_t damaged = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder_path_)) {
    if (entry.path().parent_path().filename() == "pieces" && damaged++ == 0)
      std::ofstream(entry.path()) << "x";
  }
  ASSERT_EQ(damaged, 3u);
  EchoService second;
  Session session = opened(second);
  EXPECT_FALSE(made_.empty());
  expect_echo(session);
}

TEST_F(SessionTest, WithoutAFolderNothingIsLeftOnDisk) {
  EchoService service;
  options_.folder.reset();
  options_.passphrase = {};
  Session session = opened(service);
  expect_echo(session);
  EXPECT_EQ(created_, 0);
  EXPECT_EQ(made_.back(), 3u);
  EXPECT_EQ(session.uploaded_key_bytes(), session.key_bytes());
  EXPECT_FALSE(fs::exists(folder_path_));
}

TEST_F(SessionTest, WhatTheServerSeesTellsNothingOfTheKeyOrTheImage) {
  EchoService service;
  Session session = opened(service);
  expect_echo(session);
  auto key = secret::load_key(folder_path_ / "secret-12.key", "p");
  ASSERT_TRUE(key.ok());
  std::string seed(reinterpret_cast<const char*>(key->seed().data()), 16);
  for (const test::RawRequest& request : service.requests()) {
    EXPECT_EQ(request.body.find(seed), std::string::npos);
    EXPECT_EQ(request.head.find("secret"), std::string::npos);
  }
}

TEST_F(SessionTest, AnInsecureClientHalfIsRefusedBeforeAnyKeyIsMade) {
  EchoService service;
  plan::ClientHalf weak = test::echo_half();
  weak.parameters.primes = ring::ntt_primes(12, 40, 3, true);
  service.other_half = to_json(weak);
  auto session = open(service);
  ASSERT_FALSE(session.ok());
  EXPECT_EQ(session.error().code, ErrorCode::kParametersInsecure) << session.error().message;
  EXPECT_FALSE(fs::exists(folder_path_));
  EXPECT_EQ(service.count("PUT", ""), 0u);
}

TEST_F(SessionTest, AnotherModelThanAskedForIsRefused) {
  EchoService service;
  plan::ClientHalf other = test::echo_half();
  other.name = "another";
  service.other_half = to_json(other);
  EXPECT_EQ(open(service).error().code, ErrorCode::kServerProtocol);
  service.other_half = "{}";
  EXPECT_EQ(open(service).error().code, ErrorCode::kJsonMalformed);
}

TEST_F(SessionTest, AServerThatForgetsKeysIsToldApartFromALoop) {
  EchoService service;
  service.forgetful = true;
  EXPECT_EQ(open(service).error().code, ErrorCode::kServerProtocol);
  EXPECT_EQ(service.count("PUT", "/v2/keys/pieces/"), 3u) << "sent once, not again and again";
  options_.folder.reset();
  EXPECT_EQ(open(service).error().code, ErrorCode::kServerProtocol);
}

TEST_F(SessionTest, AbsurdlyManyKeysAreRefused) {
  plan::ClientHalf half = test::echo_half();
  half.keys.clear();
  half.parameters.log_degree = 16;
  half.slots = 32768;
  half.parameters.primes = ring::ntt_primes(16, 40, 30, true);
  half.parameters.special_primes = ring::ntt_primes(16, 48, 1, true);
  for (std::uint32_t element = 3; element < 4003; element += 2) half.keys.push_back({element, {29, 1, 1}});
  EchoService service(half);
  auto session = open(service);
  ASSERT_FALSE(session.ok());
  EXPECT_EQ(session.error().code, ErrorCode::kDataTooLarge) << session.error().message;
  EXPECT_FALSE(fs::exists(folder_path_));
}

TEST_F(SessionTest, AnAnswerThatIsNotTheModelsIsNotDecrypted) {
  EchoService service;
  Session session = opened(service);
  std::vector<float> tensor(16, 1);
  struct Case {
    const char* what;
    std::function<std::string(std::string)> tamper;
    ErrorCode code;
  } cases[] = {
      {"cut", [](std::string c) { return c.substr(0, c.size() - 1); }, ErrorCode::kDataTruncated},
      {"longer", [](std::string c) { return c + "x"; }, ErrorCode::kDataTrailing},
      {"another key's",
       [](std::string c) {
         c[8] = static_cast<char>(c[8] ^ 1);
         return c;
       },
       ErrorCode::kParametersMismatch},
      {"another scale",
       [](std::string c) {
         c[38] = static_cast<char>(c[38] ^ 0x10);
         return c;
       },
       ErrorCode::kScaleMismatch},
      {"empty", [](std::string) { return std::string(); }, ErrorCode::kDataTruncated},
  };
  for (const Case& c : cases) {
    service.tamper = c.tamper;
    auto prediction = session.predict(tensor);
    ASSERT_FALSE(prediction.ok()) << c.what;
    EXPECT_EQ(prediction.error().code, c.code) << c.what << ": " << prediction.error().message;
  }
  EXPECT_EQ(service.count("POST", "/v2/models/echo/infer"), std::size(cases)) << "never asked twice";
  service.tamper = nullptr;
  expect_echo(session);
}

}  // namespace
}  // namespace tacit::client
