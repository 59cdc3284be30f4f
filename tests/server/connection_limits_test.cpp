// SPDX-License-Identifier: Apache-2.0
#include "server/connection_limits.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace tacit::server {
namespace {

using boost::asio::ip::make_address;
using Verdict = ConnectionLimits::Verdict;

TEST(ConnectionLimits, WhatCountsAsOneAddress) {
  auto key = [](const char* text) { return address_key(make_address(text)); };
  EXPECT_EQ(key("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(key("::ffff:192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(key("2001:db8:1:2:3:4:5:6"), key("2001:db8:1:2:ffff::1"));
  EXPECT_NE(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
  EXPECT_NE(key("2001:db8::1"), key("192.0.2.1"));
}

TEST(ConnectionLimits, TheRefusedTakeNoPlaces) {
  ConnectionLimits limits(3, 2, 2);
  const auto a = make_address("192.0.2.1"), b = make_address("192.0.2.2"), c = make_address("192.0.2.3");
  EXPECT_EQ(limits.enter(a), Verdict::kServe);
  EXPECT_EQ(limits.enter(a), Verdict::kServe);
  EXPECT_EQ(limits.enter(a), Verdict::kAddressFull);
  EXPECT_EQ(limits.enter(b), Verdict::kServe);
  EXPECT_EQ(limits.enter(c), Verdict::kFull);
  EXPECT_EQ(limits.enter(c), Verdict::kDrop);
  limits.leave(a, Verdict::kAddressFull);
  EXPECT_EQ(limits.enter(c), Verdict::kFull);
  limits.leave(b, Verdict::kServe);
  EXPECT_EQ(limits.enter(c), Verdict::kServe);
  limits.leave(a, Verdict::kServe);
  EXPECT_EQ(limits.enter(a), Verdict::kServe);
}

// Against a list that is counted anew each time.
TEST(ConnectionLimits, CountsRightWhateverTheOrder) {
  constexpr std::uint32_t kSeed = 20261126;
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  ConnectionLimits limits(8, 3, 4);
  std::vector<std::pair<int, Verdict>> open;
  int seen[4] = {};
  for (int i = 0; i < 20'000; ++i) {
    if (!open.empty() && random() % 2 == 0) {
      const std::size_t which = random() % open.size();
      limits.leave(boost::asio::ip::make_address_v4(0x7F000000u + static_cast<unsigned>(open[which].first)),
                   open[which].second);
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(which));
      continue;
    }
    const int address = static_cast<int>(random() % 5);
    std::size_t served = 0, its = 0, refused = 0;
    for (const auto& [one, verdict] : open) {
      served += verdict == Verdict::kServe;
      its += verdict == Verdict::kServe && one == address;
      refused += verdict != Verdict::kServe;
    }
    const Verdict expected = served < 8 && its < 3 ? Verdict::kServe
                             : refused >= 4        ? Verdict::kDrop
                             : its >= 3            ? Verdict::kAddressFull
                                                   : Verdict::kFull;
    const Verdict got =
        limits.enter(boost::asio::ip::make_address_v4(0x7F000000u + static_cast<unsigned>(address)));
    ASSERT_EQ(got, expected) << "step " << i;
    ++seen[static_cast<int>(got)];
    if (got != Verdict::kDrop) open.emplace_back(address, got);
  }
  for (int count : seen) EXPECT_GT(count, 100);
}

}  // namespace
}  // namespace tacit::server
