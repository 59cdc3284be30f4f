// SPDX-License-Identifier: Apache-2.0
// Bytes that are too large for rows: pieces of keys, inputs and results of jobs (docs/service.md, "State on disk").
#pragma once

#include <compare>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace tacit::server {

enum class BlobKind { kPiece, kPart, kInput, kResult };

// A blob belongs to one tenant: equal bytes of two tenants are two blobs, so that neither the time of an upload nor a deletion
// tells anything about another's.
struct BlobName {
  std::string tenant;  // is_tenant_name
  BlobKind kind = BlobKind::kPiece;
  std::string id;  // a piece's digest, a job's identifier, and digits behind them: hexadecimal, at most 72

  friend auto operator<=>(const BlobName&, const BlobName&) = default;
};

// Hexadecimal digits of `number`, four of them.
std::string four_digits(std::size_t number);

// All functions may be called from several threads at once, for one name from one at a time.
class Blobs {
 public:
  virtual ~Blobs() = default;

  // Durable when it returns, or not there at all. kDiskFull, kFileUnwritable.
  virtual Status put(const BlobName& name, ByteView bytes) = 0;
  // kFileNotFound; kDataTooLarge above `limit` bytes; kFileUnreadable.
  virtual Result<Bytes> get(const BlobName& name, std::uint64_t limit) = 0;
  // Gone, durably, when it returns; nothing where it was not there. kFileUnwritable.
  virtual Status remove(const BlobName& name) = 0;
  // All that there are, ascending. kStateFailed.
  virtual Result<std::vector<BlobName>> list() = 0;
};

}  // namespace tacit::server
