// SPDX-License-Identifier: Apache-2.0
// Evaluation keys of tenants, by content: pieces (one switching key each) under the digest of their bytes, and key sets,
// which are lists of pieces (protocol/keys.md). Rows are in the ledger, bytes in the blobs; what it has acknowledged survives a
// crash, anything half-written does not. All functions may be called from several threads at once.
#pragma once

#include <functional>
#include <shared_mutex>
#include <span>
#include <vector>

#include "server/state/blobs.h"
#include "server/state/ledger.h"

namespace tacit::server {

// BLAKE2b-256 of the digests, ascending, one after the other.
Digest key_set_id(std::span<const Digest> sorted_pieces);

class KeyStore {
 public:
  // Everything there is to check of a piece's bytes.
  using Check = std::function<Result<ckks::KeyHeader>(ByteView)>;

  // Both must outlive it.
  KeyStore(Ledger& ledger, Blobs& blobs, Check check)
      : ledger_(ledger), blobs_(blobs), check_(std::move(check)) {}

  // Stores the bytes if they pass the check and have this digest (kKeyDigest). True where they were not there before. Errors of
  // Ledger and Blobs.
  Result<bool> put_piece(std::string_view tenant, const Digest& digest, ByteView bytes, Time now);
  // The bytes, compared with their digest again. A piece that the disk has lost or altered is forgotten, with the sets
  // it is in, so that clients are asked to upload it again: kKeyMissing.
  Result<Bytes> read_piece(std::string_view tenant, const Piece& piece);

  // What a list of pieces amounts to. kKeyMissing where one is not there; kKeySetMixed where the list is empty, two
  // pieces are for the same automorphism, or they belong to different secret keys or ring sizes.
  Result<KeySet> describe_set(std::string_view tenant, std::vector<Digest> pieces, Time now);
  // Takes a set out, and the bytes of the pieces that are in no other. kKeyUnknown.
  Status remove_set(std::string_view tenant, const Digest& id);

  // Rows alone: what needs no bytes is asked of it directly.
  Ledger& ledger() { return ledger_; }

 private:
  Ledger& ledger_;
  Blobs& blobs_;
  const Check check_;
  // Shared between uploads; alone, where bytes go: an upload writes bytes and then a row, a removal takes the row and then
  // the bytes, and they must not cross.
  std::shared_mutex removal_;
};

}  // namespace tacit::server
