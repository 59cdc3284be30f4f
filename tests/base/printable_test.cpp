// SPDX-License-Identifier: Apache-2.0
#include "base/printable.h"

#include <gtest/gtest.h>

namespace tacit {
namespace {

TEST(Printable, IsOneLineOfUtf8) {
  EXPECT_EQ(printable("conv1"), "conv1");
  EXPECT_EQ(printable("größe 画像 🖼"), "größe 画像 🖼");
  EXPECT_EQ(printable(std::string_view("a\nb\0c\x7f", 6)), "a?b?c?");
  EXPECT_EQ(printable("\xC3"), "?");                      // cut short
  EXPECT_EQ(printable("\xC0\xAF\xED\xA0\x80"), "?????");  // overlong, surrogate
  EXPECT_EQ(printable("\xF5\x80\x80\x80"), "????");       // beyond U+10FFFF
  EXPECT_EQ(printable("\xE2\x80\xA8\xC2\x85"), "?????");  // line separator, next line
  EXPECT_EQ(printable("abcdef", 4), "abcd...");
  EXPECT_EQ(printable("ab€", 4), "ab...");
  EXPECT_EQ(printable(std::string(1000, 'x'), std::string::npos), std::string(1000, 'x'));
}

}  // namespace
}  // namespace tacit
