// SPDX-License-Identifier: Apache-2.0
#include "server/state/ledger.h"

#include <chrono>

namespace tacit::server {

Time now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

BlobName piece_blob(std::string_view tenant, const Digest& piece) {
  return {std::string(tenant), BlobKind::kPiece, to_hex(piece)};
}

BlobName part_blob(std::string_view tenant, const Part& part) {
  return {std::string(tenant), BlobKind::kPart, to_hex(part.piece) + four_digits(part.number)};
}

}  // namespace tacit::server
