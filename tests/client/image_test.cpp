// SPDX-License-Identifier: Apache-2.0
#include "client/image.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "base/file.h"
#include "client/image_files.h"
#include "client/temporary_folder.h"

namespace tacit::client {
namespace {

using test::png;
using test::pnm;

Bytes random_bytes(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  Bytes bytes(count);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

TEST(Image, ReadsGreyAndColourFromPngAndPnm) {
  for (int channels : {1, 3}) {
    Bytes pixels = random_bytes(static_cast<std::size_t>(5 * 7 * channels), 11);
    for (const Bytes& file : {png(channels, 5, 7, pixels), pnm(channels, 5, 7, pixels)}) {
      auto image = decode_image(file, channels, "x");
      ASSERT_TRUE(image.ok()) << image.error().message;
      EXPECT_EQ(image->width, 5);
      EXPECT_EQ(image->height, 7);
      EXPECT_EQ(image->channels, channels);
      EXPECT_EQ(image->pixels, pixels);
    }
  }
}

// The first pixels of inputs of the fuzz target, behind its first byte, as Pillow 9.4 decodes them.
TEST(Image, ReadsJpeg) {
  struct Case {
    const char* file;
    int channels;
    std::vector<int> first;
  };
  const Case cases[] = {{"2ff0fc51123905a1", 1, {77, 77, 77, 77, 77, 77, 77, 77, 77}},
                        {"7e95f1f5b65f34ae", 3, {18, 7, 3, 8, 0, 0, 16, 6, 5}},  // progressive
                        {"8ebd960254682213", 3, {0, 0, 0, 0, 0, 0, 5, 5, 5}}};
  for (const auto& [file, channels, first] : cases) {
    const auto input =
        read_file(TACIT_SOURCE_DIR "/fuzz/corpus/image/" + std::string(file) + ".bin", 1 << 20);
    ASSERT_TRUE(input.ok()) << input.error().to_line();
    const auto image = decode_image(ByteView(*input).subspan(1), channels, file);
    ASSERT_TRUE(image.ok()) << image.error().to_line();
    EXPECT_EQ(image->width, 5);
    EXPECT_EQ(image->height, 4);
    ASSERT_EQ(image->pixels.size(), 20u * static_cast<std::size_t>(channels));
    for (std::size_t i = 0; i < first.size(); ++i)
      EXPECT_NEAR(image->pixels[i], first[i], 1) << file << " " << i;
  }
}

TEST(Image, PnmSamplesAreSpreadOverAByte) {
  EXPECT_EQ(
      decode_image(as_bytes(std::string("P5 # two\n2 2\n3\n") + std::string("\0\1\2\3", 4)), 1, "x")->pixels,
      (Bytes{0, 85, 170, 255}));
  for (const char* wrong : {"P5", "P5 1", "P5 1 1 0 a", "P5 1 1 65536 aa", "P5 0 1 255 a", "P5 1 1 255",
                            "P5 2 1 255 a", "P5 99999999 1 255 a", "P5 x 1 255 a"})
    EXPECT_EQ(decode_image(as_bytes(std::string_view(wrong)), 1, "x").error().code,
              ErrorCode::kImageMalformed)
        << wrong;
}

TEST(Image, DropsAlpha) {
  Bytes grey_alpha{10, 0, 20, 255, 30, 128};
  EXPECT_EQ(decode_image(png(2, 3, 1, grey_alpha), 1, "x")->pixels, (Bytes{10, 20, 30}));
  Bytes rgb_alpha{1, 2, 3, 0, 4, 5, 6, 9};
  EXPECT_EQ(decode_image(png(4, 2, 1, rgb_alpha), 3, "x")->pixels, (Bytes{1, 2, 3, 4, 5, 6}));
}

TEST(Image, ConvertsToTheChannelsThatAreAsked) {
  Bytes grey{0, 7, 255, 100};
  EXPECT_EQ(decode_image(png(1, 2, 2, grey), 3, "x")->pixels,
            (Bytes{0, 0, 0, 7, 7, 7, 255, 255, 255, 100, 100, 100}));
  Bytes colour = random_bytes(3 * 64, 5);
  auto luma = decode_image(png(3, 8, 8, colour), 1, "x");
  ASSERT_TRUE(luma.ok());
  for (std::size_t i = 0; i < 64; ++i) {
    double exact = 0.299 * colour[3 * i] + 0.587 * colour[3 * i + 1] + 0.114 * colour[3 * i + 2];
    EXPECT_NEAR(luma->pixels[i], exact, 1.5) << i;
  }
  // The conversion of decoded pixels is the decoder's own.
  EXPECT_EQ(with_channels(*decode_image(png(3, 8, 8, colour), 3, "x"), 1).pixels, luma->pixels);
  EXPECT_EQ(with_channels(Image{1, 1, 1, {9}}, 3).pixels, (Bytes{9, 9, 9}));
  for (int channels : {0, 2, 4, -1}) {
    EXPECT_EQ(decode_image(png(1, 2, 2, grey), channels, "x").error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(Image, WhatIsNoImageIsMalformed) {
  for (const Bytes& bytes : {Bytes{}, Bytes{0x89, 'P', 'N', 'G'}, random_bytes(1000, 3), Bytes(100, 0),
                             Bytes{'G', 'I', 'F', '8', '9', 'a', 1, 0, 1, 0, 0, 0, 0}}) {
    auto image = decode_image(bytes, 1, "holiday.png");
    ASSERT_FALSE(image.ok());
    EXPECT_EQ(image.error().code, ErrorCode::kImageMalformed);
    EXPECT_NE(image.error().message.find("holiday.png"), std::string::npos);
  }
}

TEST(Image, EveryTruncationIsRefusedOrStillAnImageOfThatSize) {
  Bytes pixels = random_bytes(28 * 28, 8);
  Bytes file = png(1, 28, 28, pixels);
  std::size_t refused = 0;
  for (std::size_t length = 0; length < file.size(); ++length) {
    auto image = decode_image(ByteView(file).first(length), 1, "x");
    if (!image.ok()) {
      EXPECT_EQ(image.error().code, ErrorCode::kImageMalformed);
      ++refused;
    } else {
      EXPECT_EQ(image->pixels.size(), 28u * 28u);
    }
  }
  EXPECT_GT(refused, file.size() - 40) << "all but those that lack only what follows the data";
}

TEST(Image, FlippedBytesNeverYieldAnotherAmountOfPixels) {
  Bytes file = png(3, 6, 4, random_bytes(72, 2));
  for (std::size_t i = 0; i < file.size(); ++i) {
    for (std::uint8_t flip : {0x01, 0x80, 0xFF}) {
      Bytes changed = file;
      changed[i] ^= flip;
      auto image = decode_image(changed, 3, "x");
      if (image.ok()) {
        EXPECT_EQ(image->pixels.size(), static_cast<std::size_t>(image->width * image->height * 3));
      }
    }
  }
}

TEST(Image, RefusesHugeOnesBeforeDecoding) {
  Bytes wide = pnm(1, kMaxImageSide + 1, 1, Bytes(kMaxImageSide + 1, 5));
  EXPECT_FALSE(decode_image(wide, 1, "x").ok());
  EXPECT_TRUE(decode_image(pnm(1, kMaxImageSide, 1, Bytes(kMaxImageSide, 5)), 1, "x").ok());
  // A few bytes that announce 2^62 pixels.
  std::string bomb = "P5\n2147483647 2147483647\n255\n";
  EXPECT_FALSE(decode_image(as_bytes(bomb), 1, "x").ok());
  Bytes long_file(kMaxImageBytes + 1);
  EXPECT_EQ(decode_image(long_file, 1, "x").error().code, ErrorCode::kDataTooLarge);
}

TEST(Image, TwoBytesASample) {
  const std::string grey = std::string("P5 2 1 65535\n") + "\x10\x10\x20\x20";
  const auto three = decode_image(as_bytes(grey), 3, "x");
  ASSERT_TRUE(three.ok());
  EXPECT_EQ(three->pixels, (Bytes{0x10, 0x10, 0x10, 0x20, 0x20, 0x20}));
  const std::string colours = std::string("P6 1 1 65535\n") + "\x40\x40\x40\x40\x40\x40";
  const auto one = decode_image(as_bytes(colours), 1, "x");
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->pixels, Bytes{0x40});
}

TEST(Image, LoadsFiles) {
  test::TemporaryFolder folder;
  auto image = load_image(folder.write("a.png", png(1, 2, 1, Bytes{3, 4})), 1);
  ASSERT_TRUE(image.ok());
  EXPECT_EQ(image->pixels, (Bytes{3, 4}));
  EXPECT_EQ(load_image(folder.path() / "none.png", 1).error().code, ErrorCode::kFileNotFound);
  EXPECT_EQ(load_image(folder.path(), 1).error().code, ErrorCode::kFileUnreadable);
}

TEST(Preprocess, NormalisesEachChannelIntoPlanes) {
  Image image{3, 2, 2, {0, 51, 102, 153, 204, 255, 10, 20, 30, 40, 50, 60}};
  plan::Preprocessing preprocessing{255, {0.5, 0.25, 0.125}, {0.5, 0.1, 2}};
  auto tensor = preprocess(image, {3, 2, 2}, preprocessing, "x");
  ASSERT_TRUE(tensor.ok()) << tensor.error().message;
  ASSERT_EQ(tensor->size(), 12u);
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t i = 0; i < 4; ++i) {
      double expected =
          (image.pixels[3 * i + c] / 255.0 - preprocessing.mean[c]) / preprocessing.deviation[c];
      EXPECT_FLOAT_EQ((*tensor)[c * 4 + i], static_cast<float>(expected)) << c << " " << i;
    }
  }
}

TEST(Preprocess, ConvertsChannelsWhereTheModelHasOthers) {
  Image grey{1, 1, 2, {0, 255}};
  auto tensor = preprocess(grey, {3, 1, 2}, {255, {0, 0, 0}, {1, 1, 1}}, "x");
  ASSERT_TRUE(tensor.ok());
  EXPECT_EQ(*tensor, (std::vector<float>{0, 1, 0, 1, 0, 1}));
}

TEST(Preprocess, AnotherSizeIsRefusedWithBothSizes) {
  Image image{1, 28, 32, Bytes(28 * 32)};
  auto tensor = preprocess(image, {1, 28, 28}, {255, {0}, {1}}, "cat.png");
  ASSERT_FALSE(tensor.ok());
  EXPECT_EQ(tensor.error().code, ErrorCode::kImageWrongSize);
  for (const char* part : {"cat.png", "32 wide", "28 high", "28 wide"}) {
    EXPECT_NE(tensor.error().message.find(part), std::string::npos) << tensor.error().message;
  }
}

TEST(Preprocess, AModelThatTakesNoImageIsRefused) {
  Image image{1, 2, 2, Bytes(4)};
  EXPECT_EQ(preprocess(image, {2, 2, 2}, {255, {0, 0}, {1, 1}}, "x").error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(preprocess(image, {1, 2, 2}, {255, {}, {}}, "x").error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace tacit::client
