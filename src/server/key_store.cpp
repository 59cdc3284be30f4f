// SPDX-License-Identifier: Apache-2.0
#include "server/key_store.h"

#include <algorithm>
#include <mutex>
#include <set>

#include "server/limits.h"
#include "server/log.h"

namespace tacit::server {
namespace {

// Of a piece that is not complete; at least one part.
PartsState state_of(std::span<const Part> parts) {
  PartsState state{parts.front().piece_bytes, false, {}};
  for (const Part& part : parts) state.received.push_back(part.number);
  return state;
}

}  // namespace

Digest key_set_id(std::span<const Digest> sorted_pieces) {
  ByteWriter out;
  for (const Digest& digest : sorted_pieces) out.raw(digest);
  return blake2b(std::move(out).take());
}

// Bytes that a tenant is about to have, until there is a row for them.
class KeyStore::Reservation {
 public:
  Reservation(KeyStore& store, std::string_view tenant, std::uint64_t bytes)
      : store_(store), tenant_(tenant), bytes_(bytes) {}
  ~Reservation() {
    if (!held_) return;
    const std::lock_guard lock(store_.room_);
    const auto entry = store_.reserved_.find(tenant_);
    if ((entry->second -= bytes_) == 0) store_.reserved_.erase(entry);
  }
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;

  Status take() {
    const std::lock_guard lock(store_.room_);
    const auto entry = store_.reserved_.find(tenant_);
    const std::uint64_t reserved = entry == store_.reserved_.end() ? 0 : entry->second;
    TACIT_CHECK(store_.check_room(tenant_, bytes_, reserved));
    store_.reserved_[tenant_] += bytes_;
    held_ = true;
    return {};
  }

 private:
  KeyStore& store_;
  const std::string tenant_;
  const std::uint64_t bytes_;
  bool held_ = false;
};

Status KeyStore::check_room(std::string_view tenant, std::uint64_t bytes, std::uint64_t reserved) {
  if (quota_.key_bytes == 0) return {};
  TACIT_TRY(const Usage usage, ledger_.usage(tenant));
  if (usage.key_bytes + reserved + bytes <= quota_.key_bytes) return {};
  return Error{ErrorCode::kQuota, "this tenant may have " + std::to_string(quota_.key_bytes) +
                                      " bytes of evaluation keys, has " +
                                      std::to_string(usage.key_bytes + reserved) + ", and the key has " +
                                      std::to_string(bytes) +
                                      "; DELETE /v2/keys/{key_id} what is not needed any more"};
}

Result<bool> KeyStore::put_piece(std::string_view tenant, const Digest& digest, ByteView bytes, Time now) {
  return store(tenant, digest, bytes, now, bytes.size());
}

Result<bool> KeyStore::store(std::string_view tenant, const Digest& digest, ByteView bytes, Time now,
                             std::uint64_t more) {
  if (blake2b(bytes) != digest) {
    return Error{ErrorCode::kKeyDigest, "the bytes have the digest " + to_hex(blake2b(bytes)) +
                                            "; the path must name the BLAKE2b-256 of the body"};
  }
  TACIT_CHECK(check_(bytes));
  const std::shared_lock lock(removal_);
  TACIT_TRY(const std::optional<Piece> there, ledger_.find_piece(tenant, digest));
  if (there) return false;
  Reservation room(*this, tenant, more);
  TACIT_CHECK(room.take());
  TACIT_CHECK(blobs_.put(piece_blob(tenant, digest), bytes));
  return ledger_.add_piece(tenant, digest, bytes.first(kKeyHeaderBytes), bytes.size(), now);
}

Result<Bytes> KeyStore::read_piece(std::string_view tenant, const Piece& piece) {
  auto bytes = blobs_.get(piece_blob(tenant, piece.digest), piece.bytes);
  if (bytes.ok() && blake2b(*bytes) == piece.digest) return bytes;
  const std::string name = to_hex(piece.digest);
  // What cannot be read now may be readable later: only what is certainly lost is forgotten.
  if (!bytes.ok() && bytes.error().code != ErrorCode::kFileNotFound &&
      bytes.error().code != ErrorCode::kDataTooLarge)
    return Error{ErrorCode::kStateFailed, "the piece " + name + " cannot be read: " + bytes.error().message};
  log_error("the piece " + name + (bytes.ok() ? " is damaged: its bytes have another digest" : " is lost"));
  const std::unique_lock lock(removal_);
  TACIT_CHECK(ledger_.forget_piece(tenant, piece.digest));
  TACIT_CHECK(blobs_.remove(piece_blob(tenant, piece.digest)));
  return Error{ErrorCode::kKeyMissing,
               "the piece " + name + " was damaged on the server's disk; upload it again"};
}

Result<PartsState> KeyStore::parts(std::string_view tenant, const Digest& piece) {
  TACIT_TRY(const std::optional<Piece> stored, ledger_.find_piece(tenant, piece));
  if (stored) return PartsState{stored->bytes, true, {}};
  TACIT_TRY(const std::vector<Part> parts, ledger_.parts(tenant, piece));
  if (parts.empty())
    return Error{ErrorCode::kKeyUnknown,
                 "neither the piece " + to_hex(piece) + " nor a part of it is stored"};
  return state_of(parts);
}

Result<PartsState> KeyStore::put_part(std::string_view tenant, const Part& part, ByteView bytes, Time now) {
  if (blake2b(bytes) != part.digest)
    return Error{ErrorCode::kKeyDigest, "the part's bytes have the digest " + to_hex(blake2b(bytes)) +
                                            "; Tacit-Part-Digest must be the BLAKE2b-256 of the body"};
  const std::lock_guard one_at_a_time(assembly_);
  TACIT_TRY(const std::optional<Piece> stored, ledger_.find_piece(tenant, part.piece));
  if (stored) return PartsState{stored->bytes, true, {}};
  {
    const std::shared_lock lock(removal_);
    Reservation room(*this, tenant, bytes.size());
    TACIT_CHECK(room.take());
    TACIT_CHECK(blobs_.put(part_blob(tenant, part), bytes));
    TACIT_CHECK(ledger_.put_part(tenant, part, now));
  }
  TACIT_TRY(const std::vector<Part> parts, ledger_.parts(tenant, part.piece));
  if (parts.size() < part_count(part.piece_bytes)) return state_of(parts);
  return assemble(tenant, parts, now);
}

// Of parts that are all there. Where together they are not the piece they are worth nothing.
Result<PartsState> KeyStore::assemble(std::string_view tenant, std::span<const Part> parts, Time now) {
  const Digest& piece = parts.front().piece;
  Bytes whole;
  for (const Part& part : parts) {
    TACIT_TRY(const Bytes bytes, blobs_.get(part_blob(tenant, part), kPartBytes));
    whole.insert(whole.end(), bytes.begin(), bytes.end());
  }
  const Result<bool> put = store(tenant, piece, whole, now, 0);
  const bool worthless = !put.ok() && kind_of(put.error().code) != ErrorKind::kFault &&
                         kind_of(put.error().code) != ErrorKind::kUnavailable;
  if (worthless) TACIT_CHECK(remove_parts(tenant, piece));
  if (!put.ok()) return put.error();
  // Their rows went when the piece got its own.
  const std::unique_lock lock(removal_);
  for (const Part& part : parts)
    if (const Status removed = blobs_.remove(part_blob(tenant, part)); !removed.ok())
      log_error("a part's bytes stay until the next start", removed.error());
  return PartsState{whole.size(), true, {}};
}

Status KeyStore::remove_parts(std::string_view tenant, const Digest& piece) {
  const std::unique_lock lock(removal_);
  TACIT_TRY(const std::vector<Part> parts, ledger_.parts(tenant, piece));
  TACIT_CHECK(ledger_.forget_parts(tenant, piece));
  for (const Part& part : parts) TACIT_CHECK(blobs_.remove(part_blob(tenant, part)));
  return {};
}

Result<KeySet> KeyStore::describe_set(std::string_view tenant, std::vector<Digest> pieces, Time now) {
  auto mixed = [](std::string_view why) { return Error{ErrorCode::kKeySetMixed, std::string(why)}; };
  if (pieces.empty()) return mixed("a key set needs at least one piece");
  std::ranges::sort(pieces);
  KeySet set;
  std::set<std::uint32_t> elements;
  for (const Digest& digest : pieces) {
    TACIT_TRY(const std::optional<Piece> piece, ledger_.find_piece(tenant, digest));
    if (!piece) return Error{ErrorCode::kKeyMissing, "the piece " + to_hex(digest) + " is not stored"};
    if (elements.empty()) {
      set.tag = piece->header.tag;
      set.log_degree = piece->header.log_degree;
    }
    if (piece->header.tag != set.tag) return mixed("the pieces belong to different secret keys (key tags)");
    if (piece->header.log_degree != set.log_degree) return mixed("the pieces belong to different ring sizes");
    if (!elements.insert(piece->header.request.element).second) {
      return mixed("two pieces are for the same automorphism, Galois element " +
                   std::to_string(piece->header.request.element));
    }
    set.bytes += piece->bytes;
    set.pieces.push_back(*piece);
  }
  set.id = key_set_id(pieces);
  set.created = set.used = now;
  return set;
}

Result<bool> KeyStore::add_set(std::string_view tenant, const KeySet& set) {
  const std::lock_guard lock(room_);
  if (quota_.key_sets > 0 && !ledger_.find_set(tenant, set.id).ok()) {
    TACIT_TRY(const Usage usage, ledger_.usage(tenant));
    if (usage.key_sets >= quota_.key_sets)
      return Error{ErrorCode::kQuota, "this tenant may have " + std::to_string(quota_.key_sets) +
                                          " key sets and has as many; DELETE /v2/keys/{key_id} what is not "
                                          "needed any more"};
  }
  return ledger_.add_set(tenant, set);
}

Status KeyStore::remove_set(std::string_view tenant, const Digest& id) {
  const std::unique_lock lock(removal_);
  TACIT_TRY(const std::vector<Digest> freed, ledger_.remove_set(tenant, id));
  for (const Digest& digest : freed) TACIT_CHECK(blobs_.remove(piece_blob(tenant, digest)));
  return {};
}

Status KeyStore::remove_loose(Time before) {
  const std::unique_lock lock(removal_);
  TACIT_TRY(const std::vector<Ledger::Owned> loose, ledger_.loose_pieces(before));
  for (const auto& [tenant, piece] : loose) {
    // It may have come into a set since it was looked for.
    TACIT_TRY(const bool removed, ledger_.remove_loose(tenant, piece));
    if (removed) TACIT_CHECK(blobs_.remove(piece_blob(tenant, piece)));
  }
  return {};
}

}  // namespace tacit::server
