// SPDX-License-Identifier: Apache-2.0
// A compiled model: the public half that clients get, and the plan.
#pragma once

#include <string>

#include "base/bytes.h"
#include "plan/client_half.h"

namespace tacit::plan {

struct Package {
  ClientHalf client;
  Plan plan;
  // How the plan came about and what it was measured to do (compiler/record.h), as text that nothing here reads; may be empty.
  // Like the plan it is the model owner's own: it tells of weights and of calibration images, and is never sent to clients.
  std::string record = {};
};

// The .tacit file: "TACITPKG", u32 version, client half (u64 length, JSON), server half (u64 length, binary), record (u64
// length, text), BLAKE2b-256 of all before it. Parameters and keys of the plan are those of the client half and are not written twice, so the two
// halves must agree (client_half_of).
Bytes write_package(const Package& package);
// A package in which everything has been checked: both halves, and that they agree. kDataTruncated, kDataTrailing,
// kDataMalformed, kDataVersion, kDataTooLarge, or what validate() answers.
Result<Package> read_package(ByteView bytes);
inline constexpr std::uint64_t kMaxPackageBytes = std::uint64_t{1} << 32;
inline constexpr std::uint64_t kMaxRecordBytes = std::uint64_t{1} << 24;

}  // namespace tacit::plan
