// SPDX-License-Identifier: Apache-2.0
#include "client/model_cipher.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "client/echo_service.h"

namespace tacit::client {
namespace {

// Random, and printed, because noise is random too.
std::vector<float> random_tensor(std::size_t count) {
  std::uint32_t seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-4, 4);
  std::vector<float> tensor(count);
  for (float& value : tensor) value = uniform(random);
  return tensor;
}

class ModelCipherTest : public testing::Test {
 protected:
  ModelCipherTest() : key_(std::move(secret::SecretKey::generate(12)).value()), cipher_(make(half_)) {}
  ModelCipher make(const plan::ClientHalf& half) {
    auto cipher = ModelCipher::create(half, key_);
    EXPECT_TRUE(cipher.ok()) << cipher.error().message;
    return std::move(cipher).value();
  }
  plan::ClientHalf half_ = test::echo_half();
  secret::SecretKey key_;
  ModelCipher cipher_;
};

TEST_F(ModelCipherTest, DecryptsWhatItEncrypted) {
  std::vector<float> tensor = random_tensor(16);
  auto bytes = cipher_.encrypt(half_.values[0], {tensor});
  ASSERT_TRUE(bytes.ok()) << bytes.error().message;
  ASSERT_EQ(bytes->size(), 1u);
  EXPECT_EQ(bytes->front().size(),
            ckks::seeded_ciphertext_bytes(cipher_.parameters(), half_.input_value().level));
  auto outputs = cipher_.decrypt(half_.values[1], *bytes, 1);
  ASSERT_TRUE(outputs.ok()) << outputs.error().message;
  ASSERT_EQ(outputs->front().size(), tensor.size());
  for (std::size_t i = 0; i < tensor.size(); ++i) EXPECT_NEAR(outputs->front()[i], tensor[i], 1e-4) << i;
}

// 8192 elements on 2048 slots.
TEST_F(ModelCipherTest, ATensorMayTakeSeveralCiphertexts) {
  plan::ClientHalf half = test::echo_half();
  half.values[0].layout = half.values[1].layout = {{8, 20, 32}, 1, 32, 32};
  half.values[0].period = half.values[1].period = 8192;
  half.preprocessing.mean.assign(8, 0);
  half.preprocessing.deviation.assign(8, 1);
  half.labels.clear();
  ASSERT_TRUE(plan::validate(half).ok());
  const ModelCipher cipher = make(half);
  const std::vector<float> tensor = random_tensor(8 * 20 * 32);
  auto bytes = cipher.encrypt(half.values[0], {tensor});
  ASSERT_TRUE(bytes.ok()) << bytes.error().message;
  ASSERT_EQ(bytes->size(), 4u);
  auto outputs = cipher.decrypt(half.values[1], *bytes, 1);
  ASSERT_TRUE(outputs.ok()) << outputs.error().message;
  for (std::size_t i = 0; i < tensor.size(); ++i) ASSERT_NEAR(outputs->front()[i], tensor[i], 1e-4) << i;
  bytes->pop_back();
  EXPECT_EQ(cipher.decrypt(half.values[1], *bytes, 1).error().code, ErrorCode::kDataMalformed);
}

// A ciphertext for each element, a slot for each image.
TEST_F(ModelCipherTest, ABatchHasASlotForEachImage) {
  plan::ClientHalf half = test::echo_half();
  half.slots = 1;
  ASSERT_TRUE(plan::validate(half).ok());
  ASSERT_EQ(half.batch(), 2048u);
  const ModelCipher cipher = make(half);
  plan::Tensors tensors;
  for (int i = 0; i < 5; ++i) tensors.push_back(random_tensor(16));
  auto bytes = cipher.encrypt(half.values[0], tensors);
  ASSERT_TRUE(bytes.ok()) << bytes.error().message;
  ASSERT_EQ(bytes->size(), 16u);
  auto outputs = cipher.decrypt(half.values[1], *bytes, 5);
  ASSERT_TRUE(outputs.ok()) << outputs.error().message;
  for (std::size_t i = 0; i < 5; ++i)
    for (std::size_t e = 0; e < 16; ++e) ASSERT_NEAR((*outputs)[i][e], tensors[i][e], 1e-4) << i;
  EXPECT_EQ(cipher.encrypt(half.values[0], {}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(cipher.encrypt(half.values[0], plan::Tensors(2049, random_tensor(16))).error().code,
            ErrorCode::kInvalidArgument);
}

TEST_F(ModelCipherTest, TwoEncryptionsOfOneTensorDiffer) {
  std::vector<float> tensor(16, 1);
  const Bytes a = cipher_.encrypt(half_.values[0], {tensor})->front(),
              b = cipher_.encrypt(half_.values[0], {tensor})->front();
  std::size_t same = 0;
  for (std::size_t i = 72; i < a.size(); ++i) same += a[i] == b[i];
  EXPECT_LT(same, a.size() / 100) << "behind the header only chance makes bytes agree";
}

TEST_F(ModelCipherTest, AnotherTensorSizeIsRefused) {
  for (std::size_t count : {0, 15, 17}) {
    EXPECT_EQ(cipher_.encrypt(half_.values[0], {std::vector<float>(count)}).error().code,
              ErrorCode::kTensorShape)
        << count;
  }
  std::vector<float> infinite(16);
  infinite[3] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(cipher_.encrypt(half_.values[0], {infinite}).error().code, ErrorCode::kValueOutOfRange);
}

TEST_F(ModelCipherTest, AKeyOfAnotherRingSizeIsRefused) {
  auto other = secret::SecretKey::generate(13);
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(ModelCipher::create(half_, *other).error().code, ErrorCode::kParametersMismatch);
}

TEST_F(ModelCipherTest, ParametersBeyondTheGateAreRefused) {
  half_.parameters.primes = ring::ntt_primes(12, 40, 3, true);
  EXPECT_EQ(ModelCipher::create(half_, key_).error().code, ErrorCode::kParametersInsecure);
}

TEST_F(ModelCipherTest, AnAnswerOfAnotherStructureIsNotDecrypted) {
  const std::vector<Bytes> bytes = *cipher_.encrypt(half_.values[0], {std::vector<float>(16, 1)});
  struct Case {
    std::function<void(plan::ClientHalf&)> change;
    ErrorCode code;
  } cases[] = {{[](plan::ClientHalf& half) { half.values[1].level = 0; }, ErrorCode::kLevelMismatch},
               {[](plan::ClientHalf& half) { half.values[1].scale *= 1.0001; }, ErrorCode::kScaleMismatch},
               {[](plan::ClientHalf& half) { half.parameters.primes = ring::ntt_primes(12, 33, 2, true); },
                ErrorCode::kParametersMismatch}};
  for (const Case& c : cases) {
    plan::ClientHalf other = test::echo_half();
    c.change(other);
    auto outputs = make(other).decrypt(other.values[1], bytes, 1);
    ASSERT_FALSE(outputs.ok());
    EXPECT_EQ(outputs.error().code, c.code) << outputs.error().message;
  }
  auto stranger = secret::SecretKey::generate(12);
  auto outputs = ModelCipher::create(half_, *stranger)->decrypt(half_.values[1], bytes, 1);
  ASSERT_FALSE(outputs.ok());
  EXPECT_EQ(outputs.error().code, ErrorCode::kParametersMismatch) << "encrypted under another key";

  // (m, 0) is a valid pair of polynomials, but no encryption.
  ckks::Ciphertext transparent;
  transparent.scale = half_.output_value().scale;
  for (int part = 0; part < 2; ++part) {
    transparent.parts.emplace_back(cipher_.parameters().degree(), 2);
    transparent.parts.back().clear();
  }
  transparent.parts[0].data(0)[0] = 1;
  const std::vector<Bytes> written = {
      ckks::write_ciphertext(cipher_.parameters(), transparent, cipher_.tag())};
  auto refused = cipher_.decrypt(half_.values[1], written, 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kDataMalformed);

  for (std::size_t length : {std::size_t{0}, std::size_t{71}, bytes.front().size() - 1}) {
    std::vector<Bytes> cut = bytes;
    cut.front().resize(length);
    EXPECT_FALSE(cipher_.decrypt(half_.values[1], cut, 1).ok()) << length;
  }
}

TEST_F(ModelCipherTest, KeysHaveTheSizeThatIsAnnounced) {
  std::uint64_t total = 0;
  for (const ckks::KeyRequest& request : half_.keys) {
    auto bytes = cipher_.make_key(request);
    ASSERT_TRUE(bytes.ok()) << bytes.error().message;
    total += bytes->size();
    auto header = ckks::check_key(cipher_.parameters(), *bytes);
    ASSERT_TRUE(header.ok()) << header.error().message;
    EXPECT_EQ(header->request, request);
    EXPECT_EQ(header->tag, key_.tag());
    EXPECT_EQ(header->basis, cipher_.basis(request));
  }
  EXPECT_EQ(cipher_.key_bytes(), total);
  EXPECT_NE(cipher_.basis(half_.keys[0]), cipher_.basis(half_.keys[2])) << "other levels";
}

TEST(Outputs, SoftmaxSumsToOneAndDoesNotOverflow) {
  for (const std::vector<float>& outputs :
       {std::vector<float>{0, 0, 0, 0}, {1, 2, 3}, {1e30f, -1e30f, 0}, {-5000}}) {
    std::vector<double> p = softmax(outputs);
    EXPECT_NEAR(std::accumulate(p.begin(), p.end(), 0.0), 1, 1e-12);
    for (double x : p) EXPECT_TRUE(x >= 0 && x <= 1);
  }
  std::vector<double> p = softmax(std::vector<float>{1, 3});
  EXPECT_NEAR(p[1] / p[0], std::exp(2), 1e-12);
  EXPECT_TRUE(softmax({}).empty());
}

TEST(Outputs, TheLargestIsTheFirstOfEquals) {
  EXPECT_EQ(largest(std::vector<float>{-3, -1, -2}), 1u);
  EXPECT_EQ(largest(std::vector<float>{2, 5, 5}), 1u);
  plan::ClientHalf half = test::echo_half();
  EXPECT_EQ(label_text(half, 7), "pixel 7");
  half.labels.clear();
  EXPECT_EQ(label_text(half, 7), "7");
}

}  // namespace
}  // namespace tacit::client
