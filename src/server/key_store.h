// SPDX-License-Identifier: Apache-2.0
// Evaluation keys of tenants, by content: pieces (one switching key each) under the digest of their bytes, and key sets,
// which are lists of pieces (protocol/keys.md). Rows are in the ledger, bytes in the blobs; what it has acknowledged survives a
// crash, anything half-written does not. All functions may be called from several threads at once.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <vector>

#include "server/limits.h"
#include "server/quota.h"
#include "server/state/blobs.h"
#include "server/state/ledger.h"

namespace tacit::server {

// BLAKE2b-256 of the digests, ascending, one after the other.
Digest key_set_id(std::span<const Digest> sorted_pieces);

// How far the upload of a piece in parts is.
struct PartsState {
  std::uint64_t piece_bytes = 0;
  bool complete = false;  // the piece is stored
  std::vector<std::uint32_t>
      received;  // numbers of the parts that are there, ascending; none where it is complete
};
// All parts but the last one have kPartBytes.
inline std::uint64_t part_count(std::uint64_t piece_bytes) {
  return (piece_bytes + kPartBytes - 1) / kPartBytes;
}

class KeyStore {
 public:
  // Everything there is to check of a piece's bytes.
  using Check = std::function<Result<ckks::KeyHeader>(ByteView)>;

  // Both must outlive it. Of `quota`, key_bytes and key_sets are what each tenant may have.
  KeyStore(Ledger& ledger, Blobs& blobs, Check check, const Quota& quota = {})
      : ledger_(ledger), blobs_(blobs), check_(std::move(check)), quota_(quota) {}

  // Stores the bytes if they pass the check and have this digest (kKeyDigest). True where they were not there before; kQuota,
  // storing nothing, where they would be more than the tenant may have. Errors of Ledger and Blobs.
  Result<bool> put_piece(std::string_view tenant, const Digest& digest, ByteView bytes, Time now);
  // Stores a part; with the last one that was missing the piece, under the errors of put_piece: kKeyDigest and what the check finds
  // take all parts out. kUploadMismatch.
  Result<PartsState> put_part(std::string_view tenant, const Part& part, ByteView bytes, Time now);
  // kKeyUnknown where neither the piece nor a part of it is there.
  Result<PartsState> parts(std::string_view tenant, const Digest& piece);
  // Gives the upload of a piece up.
  Status remove_parts(std::string_view tenant, const Digest& piece);
  // The bytes, compared with their digest again. A piece that the disk has lost or altered is forgotten, with the sets
  // it is in, so that clients are asked to upload it again: kKeyMissing. kStateFailed where it cannot be read now.
  Result<Bytes> read_piece(std::string_view tenant, const Piece& piece);

  // What a list of pieces amounts to. kKeyMissing where one is not there; kKeySetMixed where the list is empty, two
  // pieces are for the same automorphism, or they belong to different secret keys or ring sizes.
  Result<KeySet> describe_set(std::string_view tenant, std::vector<Digest> pieces, Time now);
  // As Ledger::add_set; kQuota where a new one would be more than the tenant may have.
  Result<bool> add_set(std::string_view tenant, const KeySet& set);
  // Takes a set out, and the bytes of the pieces that are in no other. kKeyUnknown.
  Status remove_set(std::string_view tenant, const Digest& id);

  // Takes out pieces that are in no set and were uploaded before this.
  Status remove_loose(Time before);

  // Rows alone: what needs no bytes is asked of it directly.
  Ledger& ledger() { return ledger_; }

  const Quota& quota() const { return quota_; }

 private:
  class Reservation;
  // `more`: by how many bytes the tenant then has more than before.
  Result<bool> store(std::string_view tenant, const Digest& digest, ByteView bytes, Time now,
                     std::uint64_t more);
  Result<PartsState> assemble(std::string_view tenant, std::span<const Part> parts, Time now);
  Status check_room(std::string_view tenant, std::uint64_t bytes, std::uint64_t reserved);

  Ledger& ledger_;
  Blobs& blobs_;
  const Check check_;
  const Quota quota_;
  // What is being written has no row yet: bytes by tenant. The lock is also held from looking at a tenant's sets to adding one.
  std::mutex room_;
  std::mutex assembly_;  // of parts, one upload at a time
  std::map<std::string, std::uint64_t, std::less<>> reserved_;
  // Shared between uploads; alone, where bytes go: an upload writes bytes and then a row, a removal takes the row and then
  // the bytes, and they must not cross.
  std::shared_mutex removal_;
};

}  // namespace tacit::server
