// SPDX-License-Identifier: Apache-2.0
#include "pixels.h"
#include "support/seed.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <random>
#include <string>

namespace tacit::fhe_benchmark {
namespace {

using test::kSeed;

std::string line_of(std::span<const float> pixels) {
  std::string line;
  for (float pixel : pixels) {
    char word[16];
    std::snprintf(word, sizeof word, "%.6f ", static_cast<double>(pixel));
    line += word;
  }
  line.back() = '\n';
  return line;
}

std::string line_of_zeros() { return line_of(std::vector<float>(kPixels, 0.0f)); }

void expect_refused(const std::string& text, const std::string& part) {
  const auto inputs = read_inputs(text);
  ASSERT_FALSE(inputs.ok()) << part;
  EXPECT_EQ(inputs.error().code, ErrorCode::kDatasetInvalid);
  EXPECT_NE(inputs.error().message.find(part), std::string::npos) << inputs.error().message;
}

TEST(Pixels, AnInputIsTheMeanOfFourPixels) {
  std::array<float, kPixels> pixels;
  for (std::size_t i = 0; i < kPixels; ++i) pixels[i] = static_cast<float>(i);
  std::array<float, kInputs> inputs;
  reduce(pixels, inputs);
  for (std::size_t row = 0; row < 12; ++row)
    for (std::size_t column = 0; column < 12; ++column)
      // The mean of the block's corner, right, lower and diagonal neighbour: the corner, and half a step each way.
      EXPECT_EQ(inputs[row * 12 + column], static_cast<float>((2 + 2 * row) * 28 + 2 + 2 * column) + 14.5f);
}

TEST(Pixels, EveryLineIsAnImage) {
  std::printf("seed %lu\n", kSeed);
  std::mt19937 random(kSeed);
  std::uniform_int_distribution<int> level(0, 255);
  std::string text;
  std::vector<float> expected;
  for (int image = 0; image < 37; ++image) {
    std::array<float, kPixels> pixels;
    for (float& pixel : pixels) pixel = static_cast<float>(level(random)) / 255;
    text += line_of(pixels);
    std::array<float, kInputs> inputs;
    reduce(pixels, inputs);
    expected.insert(expected.end(), inputs.begin(), inputs.end());
  }
  const auto inputs = read_inputs(text);
  ASSERT_TRUE(inputs.ok()) << inputs.error().to_line();
  ASSERT_EQ(inputs->size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR((*inputs)[i], expected[i], 1e-6) << i;
}

TEST(Pixels, LineBreaksOfOtherSystemsAndNoneAtTheEnd) {
  std::string line = line_of_zeros();
  line.pop_back();
  for (const std::string& text : {line, line + "\n", line + "\r\n", " " + line + " \n"}) {
    const auto inputs = read_inputs(text);
    ASSERT_TRUE(inputs.ok()) << inputs.error().to_line();
    EXPECT_EQ(inputs->size(), kInputs);
  }
}

TEST(Pixels, WhatIsNotSuchALineIsRefusedWithItsNumber) {
  const std::string good = line_of_zeros();
  expect_refused("", "no pixels");
  expect_refused(good + "\n" + good, "line 2 ");
  expect_refused(good + good.substr(9), "line 2 of the pixels has no number in place 784");
  expect_refused("0.5 " + good, "line 1 of the pixels has more than 784");
  expect_refused(good + good + "1.000001" + good.substr(8),
                 "line 3 of the pixels has a number that is not in [0, 1]");
  expect_refused("-0.00001" + good.substr(8), "[0, 1]");
  expect_refused("nan" + good.substr(8), "[0, 1]");
  expect_refused("0.0x0000" + good.substr(8), "place 1 ");
  expect_refused("0,000000" + good.substr(8), "place 1 ");
}

}  // namespace
}  // namespace tacit::fhe_benchmark
