// SPDX-License-Identifier: Apache-2.0
#include "server/connection_limits.h"

#include <gtest/gtest.h>

#include <iterator>
#include <list>
#include <random>

namespace tacit::server {
namespace {

using boost::asio::ip::make_address;
using Verdict = ConnectionLimits::Verdict;
using Place = ConnectionLimits::Place;

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
  std::list<Place> open;
  const auto enter = [&](const auto& address) { return open.emplace_back(limits.enter(address)).verdict(); };
  EXPECT_EQ(enter(a), Verdict::kServe);
  const auto first = open.begin();
  EXPECT_EQ(enter(a), Verdict::kServe);
  EXPECT_EQ(enter(a), Verdict::kAddressFull);
  const auto refused = std::prev(open.end());
  EXPECT_EQ(enter(b), Verdict::kServe);
  const auto of_b = std::prev(open.end());
  EXPECT_EQ(enter(c), Verdict::kFull);
  EXPECT_EQ(enter(c), Verdict::kDrop);
  open.erase(refused);
  EXPECT_EQ(enter(c), Verdict::kFull);
  open.erase(of_b);
  EXPECT_EQ(enter(c), Verdict::kServe);
  open.erase(first);
  EXPECT_EQ(enter(a), Verdict::kServe);
}

// Against a list that is counted anew each time.
TEST(ConnectionLimits, CountsRightWhateverTheOrder) {
  constexpr std::uint32_t kSeed = 20261126;
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  ConnectionLimits limits(8, 3, 4);
  std::list<std::pair<int, Place>> open;
  int seen[4] = {};
  for (int i = 0; i < 20'000; ++i) {
    if (!open.empty() && random() % 2 == 0) {
      open.erase(std::next(open.begin(), static_cast<std::ptrdiff_t>(random() % open.size())));
      continue;
    }
    const int address = static_cast<int>(random() % 5);
    std::size_t served = 0, its = 0, refused = 0;
    for (const auto& [one, place] : open) {
      served += place.verdict() == Verdict::kServe;
      its += place.verdict() == Verdict::kServe && one == address;
      refused += place.verdict() != Verdict::kServe;
    }
    const Verdict expected = served < 8 && its < 3 ? Verdict::kServe
                             : refused >= 4        ? Verdict::kDrop
                             : its >= 3            ? Verdict::kAddressFull
                                                   : Verdict::kFull;
    Place got = limits.enter(boost::asio::ip::make_address_v4(0x7F000000u + static_cast<unsigned>(address)));
    const Verdict verdict = got.verdict();
    ASSERT_EQ(verdict, expected) << "step " << i;
    ++seen[static_cast<int>(verdict)];
    if (verdict != Verdict::kDrop) open.emplace_back(address, std::move(got));
  }
  for (int count : seen) EXPECT_GT(count, 100);
}

}  // namespace
}  // namespace tacit::server
