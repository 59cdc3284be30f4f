// SPDX-License-Identifier: Apache-2.0
// What the server remembers of tokens and keys (docs/service.md, "State on disk"). Whatever a function has answered is durable.
// Every function about keys begins with the tenant: what another tenant has is not there.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/digest.h"
#include "ckks/wire.h"
#include "server/state/blobs.h"
#include "server/state/tenant.h"

namespace tacit::server {

// Milliseconds since 1970, UTC.
using Time = std::int64_t;
Time now();

struct Token {
  std::string id;  // public, 16 hexadecimal digits
  std::string tenant;
  Digest secret{};  // BLAKE2b-256 of the secret part
  Scopes scopes = 0;
  std::string label;  // for people
  Time created = 0;
  std::optional<Time> expires, revoked;
};

// One evaluation key on the server (protocol/keys.md).
struct Piece {
  Digest digest{};
  ckks::KeyHeader header;
  std::uint64_t bytes = 0;
};

struct KeySet {
  Digest id{};
  std::vector<Piece> pieces;  // by ascending digest
  ckks::KeyTag tag{};
  int log_degree = 0;
  std::uint64_t bytes = 0;  // of all pieces
  Time created = 0, used = 0;
};

// A part of a piece that is being uploaded.
struct Part {
  Digest piece{};
  std::uint32_t number = 0;
  Digest digest{};  // of the part's bytes
  std::uint64_t bytes = 0, piece_bytes = 0;
};

// How much of its quota a tenant has taken.
struct Usage {
  std::uint64_t key_bytes = 0;  // pieces, and parts of unfinished ones
  std::uint64_t key_sets = 0;
};

inline constexpr Time kDay = Time{24} * 3600 * 1000;
inline constexpr Time kInferenceSlice = Time{5} * 60 * 1000;

BlobName piece_blob(std::string_view tenant, const Digest& piece);
BlobName part_blob(std::string_view tenant, const Part& part);

// All functions may be called from several threads at once. Each can fail with kDiskFull (no space; nothing has changed) or
// kStateFailed.
class Ledger {
 public:
  virtual ~Ledger() = default;

  virtual Status add_token(const Token& token) = 0;
  // All of them, the oldest first.
  virtual Result<std::vector<Token>> tokens() = 0;
  // Whether another process has written since the last call: `tacitd token` beside a running server.
  virtual Result<bool> changed_elsewhere() = 0;
  // False where there is none of this identifier that is not revoked.
  virtual Result<bool> revoke_token(std::string_view id, Time now) = 0;

  // The bytes must be in the blobs already. `header` are the piece's first kKeyHeaderBytes. Its parts are forgotten, for it has them all.
  // True where it was not there before.
  virtual Result<bool> add_piece(std::string_view tenant, const Digest& digest, ByteView header,
                                 std::uint64_t bytes, Time now) = 0;
  virtual Result<std::optional<Piece>> find_piece(std::string_view tenant, const Digest& digest) = 0;
  // The bytes must be in the blobs already. Takes the place of an earlier part of this number. kUploadMismatch where the piece's
  // other parts say another length of the whole.
  virtual Status put_part(std::string_view tenant, const Part& part, Time now) = 0;
  // By ascending number.
  virtual Result<std::vector<Part>> parts(std::string_view tenant, const Digest& piece) = 0;
  virtual Status forget_parts(std::string_view tenant, const Digest& piece) = 0;
  // Those that are not there, in the order given.
  virtual Result<std::vector<Digest>> missing(std::string_view tenant, std::span<const Digest> pieces) = 0;
  // Takes the piece out, and the sets it is in.
  virtual Status forget_piece(std::string_view tenant, const Digest& digest) = 0;

  // True where it was not there before; kKeyMissing where one of its pieces is not there.
  virtual Result<bool> add_set(std::string_view tenant, const KeySet& set) = 0;
  // kKeyUnknown.
  virtual Result<KeySet> find_set(std::string_view tenant, const Digest& id) = 0;
  // The most recently used first.
  virtual Result<std::vector<KeySet>> sets(std::string_view tenant) = 0;
  // Takes the set out, and answers which of its pieces are in no other set and have been taken out as well: their bytes are to be
  // removed. kKeyUnknown.
  virtual Result<std::vector<Digest>> remove_set(std::string_view tenant, const Digest& id) = 0;
  // Notes that a set has been used.
  virtual Status touch_set(std::string_view tenant, const Digest& id, Time now) = 0;
  virtual Result<Usage> usage(std::string_view tenant) = 0;
  // Everybody who has a token, revoked or not, or keys, by name.
  virtual Result<std::vector<std::string>> tenants() = 0;
  // Takes out all that is known of the tenant's keys and predictions. Its tokens stay, for a server with none is open to all: revoke them
  // first.
  virtual Status forget_tenant(std::string_view tenant) = 0;

  // Counts so many predictions of the tenant if there are then at most `limit` in the 24 hours before `now`, and answers nothing;
  // else the time from which on they will fit, counting nothing. `count` must not be above the limit. Time is counted in slices of
  // kInferenceSlice, of which each is forgotten whole, a day after its end.
  virtual Result<std::optional<Time>> count_inferences(std::string_view tenant, std::uint64_t count,
                                                       std::uint64_t limit, Time now) = 0;

  // Takes back what was counted at `counted`.
  virtual Status return_inferences(std::string_view tenant, std::uint64_t count, Time counted) = 0;

  struct Owned {
    std::string tenant;
    Digest digest{};
  };
  // Sets that nobody has used since `before`, and pieces that are in no set and were uploaded before it.
  virtual Result<std::vector<Owned>> idle_sets(Time before) = 0;
  virtual Result<std::vector<Owned>> loose_pieces(Time before) = 0;
  // Takes a piece out; false where it is in a set, or not there.
  virtual Result<bool> remove_loose(std::string_view tenant, const Digest& piece) = 0;
  // Unfinished pieces to which nothing was added since `before`.
  virtual Result<std::vector<Owned>> abandoned_parts(Time before) = 0;
  // Every piece of every tenant; every piece that has parts.
  virtual Result<std::vector<Owned>> pieces() = 0;
  virtual Result<std::vector<Owned>> unfinished() = 0;
};

}  // namespace tacit::server
