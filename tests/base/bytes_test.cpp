// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <gtest/gtest.h>

#include "base/checked.h"
#include "base/digest.h"
#include "base/file.h"

namespace tacit {
namespace {

TEST(ByteReader, ReadsWhatTheWriterWrote) {
  ByteWriter out;
  out.u8(1);
  out.u16(0x0203);
  out.u32(0x04050607);
  out.u64(0x08090A0B0C0D0E0Full);
  out.f64(-1.5);
  out.string("text");
  const Bytes bytes = std::move(out).take();
  EXPECT_EQ(to_hex(ByteView(bytes).first(7)), "01030207060504");
  ByteReader in(bytes, "a record");
  EXPECT_EQ(in.u8().value(), 1);
  EXPECT_EQ(in.u16().value(), 0x0203);
  EXPECT_EQ(in.u32().value(), 0x04050607u);
  EXPECT_EQ(in.u64().value(), 0x08090A0B0C0D0E0Full);
  EXPECT_EQ(in.f64().value(), -1.5);
  EXPECT_FALSE(in.finish().ok());
  EXPECT_EQ(in.string(10).value(), "text");
  EXPECT_TRUE(in.finish().ok());
}

TEST(ByteReader, NeverRunsOverTheEnd) {
  const Bytes bytes = {1, 2, 3};
  EXPECT_EQ(ByteReader(bytes, "x").u32().error().code, ErrorCode::kDataTruncated);
  EXPECT_EQ(ByteReader(bytes, "x").raw(std::uint64_t{1} << 63).error().code, ErrorCode::kDataTruncated);
  const Bytes huge = {0xFF, 0xFF, 0xFF, 0xFF, 1};
  EXPECT_EQ(ByteReader(huge, "x").blob(100).error().code, ErrorCode::kDataTooLarge);
  EXPECT_EQ(ByteReader(huge, "x").blob(UINT64_MAX).error().code, ErrorCode::kDataTruncated);
}

TEST(Hex, RoundTripsAndRefuses) {
  const Bytes bytes = {0x00, 0xFF, 0x1A};
  EXPECT_EQ(from_hex(to_hex(bytes)).value(), bytes);
  EXPECT_EQ(from_hex("00FF1a").value(), bytes);
  EXPECT_FALSE(from_hex("0").ok());
  EXPECT_FALSE(from_hex("0g").ok());
}

TEST(Digest, IsBlake2b) {
  // RFC 7693's algorithm at 32 bytes, from Python's hashlib.blake2b(b"abc", digest_size=32).
  EXPECT_EQ(to_hex(blake2b(as_bytes("abc"))),
            "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
  EXPECT_EQ(digest_from_hex(to_hex(blake2b({}))).value(), blake2b({}));
  EXPECT_FALSE(digest_from_hex("abcd").ok());
}

TEST(Checked, TellsOverflow) {
  EXPECT_EQ(checked_multiply(1ull << 32, 1ull << 31), 1ull << 63);
  EXPECT_FALSE(checked_multiply(1ull << 32, 1ull << 32));
  EXPECT_EQ(checked_add(UINT64_MAX, 0), UINT64_MAX);
  EXPECT_FALSE(checked_add(UINT64_MAX, 1));
}

TEST(File, WritesAtomicallyAndReadsBack) {
  const std::filesystem::path folder = testing::TempDir() + "/tacit_file_test";
  std::filesystem::create_directories(folder);
  const auto path = folder / "a.bin";
  const Bytes first = {1, 2, 3}, second = {4};
  ASSERT_TRUE(write_file_atomic(path, first).ok());
  ASSERT_TRUE(write_file_atomic(path, second, true).ok());
  EXPECT_EQ(read_file(path, 10).value(), second);
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0600));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1)
      << "a temporary was left behind";
  EXPECT_EQ(read_file(path, 0).error().code, ErrorCode::kDataTooLarge);
  EXPECT_EQ(read_file(folder / "none", 10).error().code, ErrorCode::kFileNotFound);
  EXPECT_EQ(read_file(folder, 10).error().code, ErrorCode::kFileUnreadable);
  EXPECT_EQ(write_file_atomic(folder / "none" / "b", first).error().code, ErrorCode::kFileUnwritable);
  std::filesystem::remove_all(folder);
}

TEST(Result, CarriesAnErrorThrough) {
  auto inner = [](bool fail) -> Result<int> {
    if (fail) return Error{ErrorCode::kFileNotFound, "no such thing"};
    return 7;
  };
  auto outer = [&](bool fail) -> Result<std::string> {
    TACIT_TRY(const int value, inner(fail));
    return std::to_string(value);
  };
  EXPECT_EQ(outer(false).value(), "7");
  Error error = outer(true).error();
  EXPECT_EQ(std::move(error).within("opening").to_line(), "file.not-found: opening: no such thing");
}

}  // namespace
}  // namespace tacit
