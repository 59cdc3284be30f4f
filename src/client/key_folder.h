// SPDX-License-Identifier: Apache-2.0
// The folder that a person's keys live in: one secret key for each ring size, encrypted under a passphrase,
// and the public evaluation keys made from it, so that none is made twice.
//
//   secret-<log2 N>.key                        protocol/key-file.md
//   evaluation/<key tag>/pieces/<digest>       a switching key's wire bytes, named by their BLAKE2b-256
//   evaluation/<key tag>/index/<basis>-<element>-<level>-<digit size>-<special>   the digest, in hex digits
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "ckks/keys.h"
#include "secret/key_file.h"
#include "secret/passphrase.h"

namespace tacit::client {

struct OpenedKey {
  secret::SecretKey key;
  bool created = false;
};

class KeyFolder {
 public:
  explicit KeyFolder(std::filesystem::path path) : path_(std::move(path)) {}

  // $TACIT_HOME, else $XDG_DATA_HOME/tacit, else ~/.local/share/tacit; argument.invalid where none of them is
  // set.
  static Result<KeyFolder> default_folder();

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path key_file(int log_degree) const;
  bool has_key(int log_degree) const;
  // The ring sizes that there are key files for, ascending.
  std::vector<int> ring_sizes() const;

  // The key of this ring size, made and saved if there is none (keyfile and passphrase errors;
  // file.unwritable).
  Result<OpenedKey> open_or_create(int log_degree, const secret::PassphraseSource& passphrase) const;
  // file.unwritable where there is one already.
  Result<secret::SecretKey> create(int log_degree, const secret::PassphraseSource& passphrase) const;
  Result<secret::SecretKey> open(int log_degree, const secret::PassphraseSource& passphrase) const;

 private:
  Status make_folder() const;
  std::filesystem::path path_;
};

// The evaluation keys of one secret key on disk. Public data: who alters it can only cause errors. Several
// processes may use it at once.
class PieceCache {
 public:
  PieceCache(const KeyFolder& folder, const ckks::KeyTag& tag);

  // The digest under which the key of this shape and basis was stored, if its bytes are there.
  std::optional<Digest> find(const ckks::KeyRequest& request, const Digest& basis) const;
  // Stores the bytes under their digest and notes it for the request.
  Result<Digest> store(const ckks::KeyRequest& request, const Digest& basis, ByteView bytes) const;
  // The bytes, compared with their name: data.malformed (and the piece forgotten) where they differ.
  Result<Bytes> load(const Digest& digest) const;

 private:
  std::filesystem::path index_file(const ckks::KeyRequest& request, const Digest& basis) const;
  std::filesystem::path piece_file(const Digest& digest) const;
  std::filesystem::path root_;
};

// A key of the largest ring with the most primes has fewer bytes.
inline constexpr std::uint64_t kMaxPieceBytes = std::uint64_t{1} << 32;

}  // namespace tacit::client
