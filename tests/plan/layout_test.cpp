// SPDX-License-Identifier: Apache-2.0
#include "plan/layout.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <bit>
#include <cmath>
#include <set>

namespace tacit::plan {
namespace {

Layout random_layout() {
  Layout layout;
  layout.gap = 1 << *rc::gen::inRange(0, 3);
  layout.shape = {*rc::gen::inRange(1, 40), *rc::gen::inRange(1, 9), *rc::gen::inRange(1, 9)};
  layout.grid_height = layout.shape.height * layout.gap + *rc::gen::inRange(0, 4);
  layout.grid_width = layout.shape.width * layout.gap + *rc::gen::inRange(0, 4);
  return layout;
}

RC_GTEST_PROP(Layout, GivesEveryElementASlotOfItsOwnBelowTheExtent, ()) {
  const Layout layout = random_layout();
  RC_ASSERT(layout.validate("a tensor").ok());
  std::set<std::size_t> slots;
  for (int c = 0; c < layout.shape.channels; ++c)
    for (int y = 0; y < layout.shape.height; ++y)
      for (int x = 0; x < layout.shape.width; ++x) {
        const std::size_t slot = layout.slot(c, y, x);
        RC_ASSERT(slot < layout.extent());
        RC_ASSERT(slots.insert(slot).second);
      }
  RC_ASSERT(slots.size() == layout.shape.elements());
}

RC_GTEST_PROP(Layout, PackAndUnpackAreInverse, ()) {
  const Layout layout = random_layout();
  const std::size_t period = std::bit_ceil(layout.extent());
  const std::size_t slots = period << *rc::gen::inRange(0, 3);
  std::vector<float> tensor(layout.shape.elements());
  for (std::size_t i = 0; i < tensor.size(); ++i) tensor[i] = static_cast<float>(i) + 1;
  const auto packed = pack(layout, period, slots, tensor, 0.25);
  RC_ASSERT(packed.ok());
  RC_ASSERT(packed->size() == slots);
  std::size_t filled = 0;
  for (std::size_t t = 0; t < slots; ++t) {
    RC_ASSERT((*packed)[t] == (*packed)[t % period]);
    filled += (*packed)[t] != 0;
  }
  RC_ASSERT(filled == tensor.size() * (slots / period));
  const auto unpacked = unpack(layout, *packed, 4);
  RC_ASSERT(unpacked.ok());
  RC_ASSERT(*unpacked == tensor);
}

TEST(Layout, FollowsTheFormulaOfTheHeader) {
  const Layout layout{{10, 13, 13}, 2, 32, 32};
  EXPECT_EQ(layout.slot(0, 0, 0), 0u);
  EXPECT_EQ(layout.slot(1, 0, 0), 1u);
  EXPECT_EQ(layout.slot(2, 0, 0), 32u);
  EXPECT_EQ(layout.slot(3, 0, 0), 33u);
  EXPECT_EQ(layout.slot(7, 5, 6), 1024u + (5 * 2 + 1) * 32 + 6 * 2 + 1);
  EXPECT_EQ(layout.extent(), 3u * 1024);
}

TEST(Layout, OfAVectorIsItsIndex) {
  const Layout layout{{10, 1, 1}, 1, 1, 1};
  for (int i = 0; i < 10; ++i) EXPECT_EQ(layout.slot(i, 0, 0), static_cast<std::size_t>(i));
  EXPECT_EQ(layout.extent(), 10u);
}

TEST(Layout, RefusesWhatDoesNotFit) {
  EXPECT_TRUE((Layout{{4, 16, 16}, 2, 32, 32}.validate("x").ok()));
  EXPECT_FALSE((Layout{{4, 17, 16}, 2, 32, 32}.validate("x").ok()));
  EXPECT_FALSE((Layout{{0, 16, 16}, 2, 32, 32}.validate("x").ok()));
  EXPECT_FALSE((Layout{{4, 16, -1}, 2, 32, 32}.validate("x").ok()));
  EXPECT_FALSE((Layout{{4, 16, 16}, 0, 32, 32}.validate("x").ok()));
  EXPECT_FALSE((Layout{{1 << 21, 1, 1}, 1, 1, 1}.validate("x").ok()));
  EXPECT_FALSE((Layout{{33, 1, 1}, 1, 1 << 5, 1 << 10}.validate("x").ok()));
}

TEST(Layout, TakesAsManyCiphertextsAsItExtendsOver) {
  const Layout layout{{5, 32, 32}, 1, 32, 32};
  EXPECT_EQ(ciphertext_count(layout, 8192, 16384), 1u);
  EXPECT_EQ(ciphertext_count(layout, 8192, 8192), 1u);
  EXPECT_EQ(ciphertext_count(layout, 8192, 4096), 2u);
  EXPECT_EQ(ciphertext_count(layout, 8192, 2048), 3u);
}

TEST(Layout, PackExplainsWhatIsWrong) {
  const Layout layout{{1, 2, 2}, 1, 2, 2};
  const std::vector<float> tensor = {1, 2, 3, 4};
  EXPECT_TRUE(pack(layout, 4, 8, tensor, 1).ok());
  EXPECT_EQ(pack(layout, 4, 8, std::vector<float>(3), 1).error().code, ErrorCode::kTensorShape);
  EXPECT_EQ(pack(layout, 2, 8, tensor, 1).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(pack(layout, 4, 12, tensor, 1).error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(pack(layout, 16, 8, tensor, 1).ok());  // a period need not be filled to its end
  EXPECT_EQ(pack(layout, 16, 3, tensor, 1).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(pack(layout, 4, 8, std::vector<float>{1, 2, NAN, 4}, 1).error().code,
            ErrorCode::kValueOutOfRange);
  EXPECT_EQ(unpack(layout, std::vector<double>(3), 1).error().code, ErrorCode::kTensorShape);
}

}  // namespace
}  // namespace tacit::plan
