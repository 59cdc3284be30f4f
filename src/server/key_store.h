// SPDX-License-Identifier: Apache-2.0
// Evaluation keys on disk, by content: pieces (one switching key each) under the digest of their bytes, and key sets,
// which are lists of pieces (protocol/keys.md). What it has acknowledged survives a crash; anything half-written does
// not. All functions may be called from several threads at once.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <span>
#include <vector>

#include "base/digest.h"
#include "ckks/wire.h"

namespace tacit::server {

struct Piece {
  ckks::KeyHeader header;
  std::uint64_t bytes = 0;
};

struct KeySet {
  Digest id{};
  std::vector<Digest> pieces;  // ascending
  ckks::KeyTag tag{};
  int log_degree = 0;
  std::uint64_t bytes = 0;  // of all pieces
};

// BLAKE2b-256 of the digests, ascending, one after the other.
Digest key_set_id(std::span<const Digest> sorted_pieces);

class KeyStore {
 public:
  // Everything there is to check of a piece's bytes.
  using Check = std::function<Result<ckks::KeyHeader>(ByteView)>;

  // Makes the folder where there is none, removes what an interrupted write left behind, and reads the heads of all
  // pieces. What is damaged is reported and left out. kFileUnwritable, kFileUnreadable.
  static Result<std::unique_ptr<KeyStore>> open(const std::filesystem::path& folder, Check check);

  // Stores the bytes if they pass the check and have this digest (kKeyDigest). True where they were not there before.
  Result<bool> put_piece(const Digest& digest, ByteView bytes);
  std::optional<Piece> find_piece(const Digest& digest) const;
  // The bytes, compared with their digest again. A piece that the disk has lost or altered is forgotten, with the sets
  // it is in, so that clients are asked to upload it again: kKeyMissing.
  Result<Bytes> read_piece(const Digest& digest);
  // Those that are not stored, in the order given.
  std::vector<Digest> missing(std::span<const Digest> pieces) const;

  // What a list of pieces amounts to. kKeyMissing where one is not there; kKeySetMixed where the list is empty, two
  // pieces are for the same automorphism, or they belong to different secret keys or ring sizes.
  Result<KeySet> describe_set(std::vector<Digest> pieces) const;
  // Stores what describe_set answered. True where it was not there before.
  Result<bool> put_set(const KeySet& set);
  // kKeyUnknown.
  Result<KeySet> find_set(const Digest& id) const;

 private:
  KeyStore(std::filesystem::path folder, Check check)
      : folder_(std::move(folder)), check_(std::move(check)) {}
  Status prepare_folders() const;
  void load_pieces();
  void load_sets();
  void forget_piece(const Digest& digest);
  std::filesystem::path piece_file(const Digest& digest) const;
  std::filesystem::path set_file(const Digest& id) const;

  const std::filesystem::path folder_;
  const Check check_;
  mutable std::shared_mutex mutex_;  // guards the two maps
  std::map<Digest, Piece> pieces_;
  std::map<Digest, KeySet> sets_;
};

}  // namespace tacit::server
