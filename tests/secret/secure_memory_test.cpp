// SPDX-License-Identifier: Apache-2.0
#include "secret/secure_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <type_traits>

#include "base/aligned.h"
#include "base/wiped.h"

namespace tacit::secret {
namespace {

static_assert(!std::is_copy_constructible_v<SecureBuffer<int>> &&
              !std::is_copy_assignable_v<SecureBuffer<int>>);

TEST(SecureMemory, HoldsWhatIsWrittenAndIsAlignedToACacheLine) {
  for (std::size_t count : {1, 7, 32, 4096, 100003}) {
    SecureBuffer<std::uint64_t> buffer(count);
    ASSERT_TRUE(buffer.valid());
    ASSERT_EQ(buffer.size(), count);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % kCacheLine, 0u);
    for (std::size_t i = 0; i < count; ++i) buffer.data()[i] = i * 0x9E3779B97F4A7C15u;
    for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(buffer.view()[i], i * 0x9E3779B97F4A7C15u);
  }
}

TEST(SecureMemory, MovesAndLeavesNothingBehind) {
  SecureBuffer<std::uint8_t> a(16);
  ASSERT_TRUE(a.valid());
  std::memset(a.data(), 7, 16);
  const std::uint8_t* where = a.data();
  SecureBuffer<std::uint8_t> b(std::move(a));
  EXPECT_EQ(b.data(), where);
  EXPECT_FALSE(a.valid());
  EXPECT_EQ(a.size(), 0u);
  a = std::move(b);
  EXPECT_EQ(a.data(), where);
  EXPECT_EQ(a.view()[15], 7);
}

TEST(SecureMemory, AnImpossibleSizeIsAnInvalidBuffer) {
  EXPECT_EQ(secure_allocate(SIZE_MAX - 8), nullptr);
  EXPECT_EQ(secure_allocate(std::size_t{1} << 62), nullptr);
  SecureBuffer<std::uint8_t> buffer(std::size_t{1} << 62);
  EXPECT_FALSE(buffer.valid());
  EXPECT_EQ(buffer.size(), 0u);
}

TEST(SecureMemory, WipeClears) {
  std::uint8_t bytes[40];
  std::memset(bytes, 0xA5, sizeof bytes);
  wipe(bytes + 4, 32);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(bytes[i], i < 4 || i >= 36 ? 0xA5 : 0) << i;
  wipe(nullptr, 0);
}

// The flags that the kernel reports for the mapping around an address ("VmFlags:" of /proc/self/smaps).
std::string mapping_flags(const void* address) {
  std::ifstream maps("/proc/self/smaps");
  auto wanted = reinterpret_cast<std::uintptr_t>(address);
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    unsigned long from = 0, to = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &from, &to) == 2) inside = from <= wanted && wanted < to;
    if (inside && line.rfind("VmFlags:", 0) == 0) return line + " ";
  }
  return "";
}

TEST(SecureMemory, IsLeftOutOfCoreDumpsAndLocked) {
  SecureBuffer<std::uint8_t> buffer(64);
  ASSERT_TRUE(buffer.valid());
  std::string flags = mapping_flags(buffer.data());
  if (flags.empty()) GTEST_SKIP() << "the kernel does not report a mapping's flags here";
  EXPECT_NE(flags.find(" dd "), std::string::npos) << flags;
  // Where the limit is too low, or a sanitizer stands in for mlock, nothing can be locked here.
  alignas(4096) static std::uint8_t page[4096];
  if (::mlock(page, sizeof page) != 0 || mapping_flags(page).find(" lo ") == std::string::npos) return;
  EXPECT_NE(flags.find(" lo "), std::string::npos) << flags;
  ::munlock(page, sizeof page);
}

TEST(SecureMemoryDeath, WritingBehindTheEndIsCaught) {
  EXPECT_DEATH(
      {
        SecureBuffer<std::uint8_t> buffer(64);
        volatile std::uint8_t* behind = buffer.data() + 64;
        *behind = 1;
      },
      "");
}

}  // namespace
}  // namespace tacit::secret
