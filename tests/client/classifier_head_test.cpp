// SPDX-License-Identifier: Apache-2.0
#include "client/classifier_head.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "base/digest.h"
#include "support/seed.h"

namespace tacit::client {
namespace {

using test::kSeed;

ClassifierHead small_head() {
  return {"garments", {"cat", "dog"}, {{1, 2, 3}, {0.5, 1, 2}, {1, 0, -1, 0, 2, 0}, {0.25, -0.25}}};
}

ClassifierHead random_head(std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  const std::size_t features = 1 + random() % 20, classes = 2 + random() % 9;
  ClassifierHead head;
  if (random() % 2 == 0) head.model = "model-" + std::to_string(random() % 100);
  const auto fill = [&](std::vector<double>& numbers, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) numbers.push_back(normal(random));
  };
  for (std::size_t c = 0; c < classes; ++c) head.labels.push_back("label " + std::to_string(c));
  fill(head.classifier.mean, features);
  fill(head.classifier.deviation, features);
  for (double& deviation : head.classifier.deviation) deviation = std::abs(deviation) + 1e-6;
  fill(head.classifier.weights, features * classes);
  fill(head.classifier.bias, classes);
  return head;
}

// The bytes with the digest that belongs to them, so that what is damaged is not found by it alone.
Bytes sealed(Bytes bytes) {
  if (bytes.size() < 32) return bytes;
  const Digest digest = blake2b(ByteView(bytes).first(bytes.size() - 32));
  std::ranges::copy(digest, bytes.end() - 32);
  return bytes;
}

ErrorCode error_of(const Result<ClassifierHead>& head) {
  EXPECT_FALSE(head.ok());
  if (head.ok()) return ErrorCode::kInternal;
  EXPECT_EQ(head.error().message.find('\n'), std::string::npos);
  return head.error().code;
}

// A head's bytes as `change` leaves it, although no such head can be trained.
template <class Change>
Bytes changed(const Change& change) {
  ClassifierHead head = small_head();
  change(head);
  return write_head(head);
}

TEST(ClassifierHead, ReadsWhatItWrites) {
  std::mt19937_64 random(kSeed);
  for (int round = 0; round < 100; ++round) {
    const ClassifierHead head = random_head(random);
    const auto read = read_head(write_head(head));
    ASSERT_TRUE(read.ok()) << read.error().to_line();
    EXPECT_EQ(*read, head) << "seed " << kSeed << ", round " << round;
  }
}

TEST(ClassifierHead, HasTheDocumentedBytes) {
  const Bytes bytes = write_head(small_head());
  ASSERT_EQ(bytes.size(), 8u + 4 + (4 + 8) + 4 + 4 + 2 * (4 + 3) + 8 * (3 + 3 + 6 + 2) + 32);
  EXPECT_EQ(to_hex(ByteView(bytes).first(46)),
            "5441434954484544"
            "01000000"
            "08000000"
            "6761726d656e7473"
            "03000000"
            "02000000"
            "03000000"
            "636174"
            "03000000"
            "646f67");
  EXPECT_EQ(to_hex(ByteView(bytes).subspan(46, 16)),
            "000000000000f03f"
            "0000000000000040")
      << "mean";
  EXPECT_EQ(to_hex(ByteView(bytes).subspan(46 + 48 + 48, 16)),
            "000000000000d03f"
            "000000000000d0bf")
      << "bias";
}

TEST(ClassifierHead, GivesTheProbabilitiesOfItsScores) {
  const ClassifierHead head = small_head();
  // Standardised (2, 1, -1): scores 0.25 + 2 + 1 and -0.25 + 2.
  const float x[] = {2, 3, 1};
  const auto probabilities = head.classifier.probabilities(x);
  ASSERT_TRUE(probabilities.ok()) << probabilities.error().to_line();
  EXPECT_NEAR((*probabilities)[0], 1 / (1 + std::exp(-1.5)), 1e-12);
  EXPECT_NEAR((*probabilities)[0] + (*probabilities)[1], 1, 1e-12);
}

TEST(ClassifierHead, RefusesOtherFeatures) {
  const ClassifierHead head = small_head();
  const float four[] = {1, 2, 3, 4};
  EXPECT_EQ(head.classifier.probabilities(four).error().code, ErrorCode::kHeadMismatch);
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const float x[] = {1, bad, 2};
    EXPECT_EQ(head.classifier.probabilities(x).error().code, ErrorCode::kFeaturesInvalid);
  }
  EXPECT_TRUE(head.check_features("garments", 3).ok());
  EXPECT_TRUE(head.check_features("", 3).ok()) << "the number alone can be compared";
  EXPECT_EQ(head.check_features("faces", 3).error().code, ErrorCode::kHeadMismatch);
  EXPECT_EQ(head.check_features("garments", 4).error().code, ErrorCode::kHeadMismatch);
  ClassifierHead unnamed = head;
  unnamed.model.clear();
  EXPECT_TRUE(unnamed.check_features("faces", 3).ok());
  EXPECT_EQ(unnamed.check_features("faces", 2).error().code, ErrorCode::kHeadMismatch);
}

TEST(ClassifierHead, NumbersThatOverflowAreNotProbabilities) {
  ClassifierHead head = small_head();
  head.classifier.weights[0] = 1e300;
  head.classifier.deviation[0] = 1e-300;
  const float x[] = {2, 3, 1};
  EXPECT_EQ(head.classifier.probabilities(x).error().code, ErrorCode::kFeaturesInvalid);
}

TEST(ClassifierHead, RefusesWhatItIsNot) {
  const Bytes good = write_head(small_head());
  EXPECT_EQ(error_of(read_head({})), ErrorCode::kDataTruncated);
  EXPECT_EQ(error_of(read_head(as_bytes("TACITPKGsomething else"))), ErrorCode::kDataMalformed);
  Bytes version = good;
  version[8] = 2;
  EXPECT_EQ(error_of(read_head(sealed(version))), ErrorCode::kDataVersion);
  Bytes altered = good;
  altered[60] ^= 1;
  EXPECT_EQ(error_of(read_head(altered)), ErrorCode::kDataMalformed) << "the digest";
  EXPECT_TRUE(read_head(sealed(altered)).ok());
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_EQ(error_of(read_head(longer)), ErrorCode::kDataTrailing);
  for (std::size_t length = 0; length < good.size(); ++length)
    EXPECT_EQ(error_of(read_head(ByteView(good).first(length))), ErrorCode::kDataTruncated) << length;
  EXPECT_EQ(error_of(read_head(Bytes(kMaxHeadBytes + 1))), ErrorCode::kDataTooLarge);
}

TEST(ClassifierHead, RefusesFieldsThatCannotBe) {
  const double kNan = std::numeric_limits<double>::quiet_NaN();
  const std::pair<const char*, Bytes> damaged[] = {
      {"model", changed([](ClassifierHead& h) { h.model = "../etc"; })},
      {"model's length", changed([](ClassifierHead& h) { h.model = std::string(65, 'a'); })},
      {"empty label", changed([](ClassifierHead& h) { h.labels[1] = ""; })},
      {"long label", changed([](ClassifierHead& h) { h.labels[1] = std::string(257, 'x'); })},
      {"label twice", changed([](ClassifierHead& h) { h.labels[1] = "cat"; })},
      {"mean", changed([&](ClassifierHead& h) { h.classifier.mean[0] = kNan; })},
      {"weight", changed([&](ClassifierHead& h) { h.classifier.weights[5] = HUGE_VAL; })},
      {"bias", changed([&](ClassifierHead& h) { h.classifier.bias[1] = kNan; })},
      {"deviation 0", changed([](ClassifierHead& h) { h.classifier.deviation[2] = 0; })},
      {"deviation below 0", changed([](ClassifierHead& h) { h.classifier.deviation[2] = -1; })},
      {"one class", changed([](ClassifierHead& h) { h.classifier.bias.pop_back(); })},
      {"no features", changed([](ClassifierHead& h) { h.classifier.mean.clear(); })},
  };
  for (const auto& [what, bytes] : damaged) {
    SCOPED_TRACE(what);
    const ErrorCode code = error_of(read_head(bytes));
    EXPECT_TRUE(code == ErrorCode::kDataMalformed || code == ErrorCode::kDataTooLarge) << to_string(code);
  }
}

TEST(ClassifierHead, HugeNumbersOfNothingAllocateNothing) {
  // 65536 features are allowed, but not there.
  Bytes bytes = write_head(small_head());
  const std::uint8_t sizes[] = {0, 0, 1, 0, 2, 0, 0, 0};
  std::ranges::copy(sizes, bytes.begin() + 24);
  EXPECT_EQ(error_of(read_head(sealed(bytes))), ErrorCode::kDataTruncated);
  bytes[28] = 65;
  EXPECT_EQ(error_of(read_head(sealed(bytes))), ErrorCode::kDataMalformed) << "more weights than are read";
  bytes[26] = 2;
  EXPECT_EQ(error_of(read_head(sealed(bytes))), ErrorCode::kDataMalformed) << "more features than are read";
}

// Whatever is read after damage is a head like any other: it can be written, read and used.
TEST(ClassifierHead, DamagedBytesGiveAnErrorOrAHead) {
  std::mt19937_64 random(kSeed);
  int refused = 0, accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    SCOPED_TRACE("seed " + std::to_string(kSeed) + ", round " + std::to_string(round));
    Bytes bytes = write_head(random_head(random));
    for (std::size_t changes = 1 + random() % 3; changes > 0; --changes) {
      // Mostly in the fields before the numbers, where there is more to break.
      const std::size_t at =
          random() % (random() % 3 == 0 ? bytes.size() : std::min<std::size_t>(bytes.size(), 60));
      switch (random() % 4) {
        case 0:
          bytes[at] = static_cast<std::uint8_t>(random());
          break;
        case 1:
          bytes[at] ^= static_cast<std::uint8_t>(1 << random() % 8);
          break;
        case 2:
          bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at));
          break;
        default:
          bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), static_cast<std::uint8_t>(random()));
          break;
      }
    }
    bytes = sealed(std::move(bytes));
    const auto head = read_head(bytes);
    if (!head.ok()) {
      ++refused;
      EXPECT_EQ(head.error().message.find('\n'), std::string::npos);
      continue;
    }
    ++accepted;
    EXPECT_EQ(write_head(*head), bytes);
    const std::vector<float> x(head->classifier.features(), 1);
    const auto probabilities = head->classifier.probabilities(x);
    if (probabilities.ok()) { EXPECT_EQ(probabilities->size(), head->labels.size()); }
  }
  EXPECT_GT(refused, 5000) << "the damage does too little to test anything";
  EXPECT_GT(accepted, 1000) << "all damage is found by one check";
}

}  // namespace
}  // namespace tacit::client
