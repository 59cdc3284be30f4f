// SPDX-License-Identifier: Apache-2.0
// Whole files, read with a limit and written so that a crash leaves the old one or the new one, never a mixture.
#pragma once

#include <filesystem>

#include "base/bytes.h"

namespace tacit {

// The whole file; kFileNotFound, kFileUnreadable, or kDataTooLarge above `limit` bytes.
Result<Bytes> read_file(const std::filesystem::path& path, std::uint64_t limit);

// Writes a temporary beside `path`, syncs it, renames it over `path` and syncs the folder. The file has mode 0600
// where `owner_only`, else 0644. kDiskFull, kFileUnwritable.
Status write_file_atomic(const std::filesystem::path& path, ByteView bytes, bool owner_only = false);

// Makes a folder and those above it, so that they are there after a power cut too. kDiskFull, kFileUnwritable.
Status make_durable_folder(const std::filesystem::path& path);
// Takes a file away for good: after a power cut it does not come back. Success where there is none. kFileUnwritable.
Status remove_durably(const std::filesystem::path& path);

}  // namespace tacit
