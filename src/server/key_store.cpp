// SPDX-License-Identifier: Apache-2.0
#include "server/key_store.h"

#include <algorithm>
#include <fstream>
#include <mutex>
#include <set>

#include "base/file.h"
#include "server/json.h"
#include "server/limits.h"
#include "server/log.h"

namespace tacit::server {
namespace fs = std::filesystem;
namespace {

constexpr int kKeySetVersion = 1;
constexpr std::string_view kKeySetSuffix = ".json";

fs::path pieces_folder(const fs::path& folder) { return folder / "blobs"; }
fs::path sets_folder(const fs::path& folder) { return folder / "keysets"; }

// Names of the regular files of a folder.
std::vector<std::string> file_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code failure;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    names.push_back(entry->path().filename().string());
  }
  return names;
}

// write_file_atomic's temporaries begin with a dot; nothing else here does.
std::size_t remove_temporaries(const fs::path& folder) {
  std::size_t removed = 0;
  for (const std::string& name : file_names(folder)) {
    std::error_code failure;
    if (name.starts_with('.') && fs::remove(folder / name, failure)) ++removed;
  }
  return removed;
}

// The header of a stored piece, without reading the rest of it.
Result<Piece> read_head(const fs::path& file) {
  std::error_code failure;
  Piece piece;
  piece.bytes = fs::file_size(file, failure);
  if (failure) return Error{ErrorCode::kFileUnreadable, file.string() + ": " + failure.message()};
  std::ifstream in(file, std::ios::binary);
  Bytes head(std::min<std::uint64_t>(piece.bytes, kKeyHeaderBytes));
  if (!in.read(reinterpret_cast<char*>(head.data()), static_cast<std::streamsize>(head.size()))) {
    return Error{ErrorCode::kFileUnreadable, file.string() + " cannot be read"};
  }
  auto header = ckks::read_key_header(head);
  if (!header.ok()) return std::move(header).error().within(file.string());
  piece.header = *header;
  return piece;
}

Result<std::vector<Digest>> read_set_file(const fs::path& file) {
  TACIT_TRY(const Bytes bytes, read_file(file, kMaxKeySetFileBytes));
  const Json json = Json::parse(bytes.begin(), bytes.end(), nullptr, false);
  const Json* version = member(json, "version");
  const Json* list = member(json, "pieces");
  if (version == nullptr || !version->is_number_integer() || version->get<int>() != kKeySetVersion ||
      list == nullptr || !list->is_array()) {
    return Error{ErrorCode::kJsonMalformed, file.string() + " is not a key set of version 1"};
  }
  std::vector<Digest> pieces;
  for (const Json& text : *list) {
    if (!text.is_string())
      return Error{ErrorCode::kJsonMalformed, file.string() + " has a piece without a name"};
    TACIT_TRY(const Digest digest, digest_from_hex(text.get_ref<const std::string&>()));
    pieces.push_back(digest);
  }
  return pieces;
}

Bytes set_file_bytes(const KeySet& set) {
  Json pieces = Json::array();
  for (const Digest& digest : set.pieces) pieces.push_back(to_hex(digest));
  const std::string text = dump({{"version", kKeySetVersion}, {"pieces", pieces}}) + "\n";
  return Bytes(text.begin(), text.end());
}

}  // namespace

Digest key_set_id(std::span<const Digest> sorted_pieces) {
  ByteWriter out;
  for (const Digest& digest : sorted_pieces) out.raw(digest);
  return blake2b(std::move(out).take());
}

Result<std::unique_ptr<KeyStore>> KeyStore::open(const fs::path& folder, Check check) {
  std::unique_ptr<KeyStore> store(new KeyStore(folder, std::move(check)));
  TACIT_CHECK(store->prepare_folders());
  const std::size_t removed =
      remove_temporaries(pieces_folder(folder)) + remove_temporaries(sets_folder(folder));
  if (removed > 0) log_warning(std::to_string(removed) + " unfinished files removed from " + folder.string());
  store->load_pieces();
  store->load_sets();
  log_info("key store " + folder.string() + ": " + std::to_string(store->pieces_.size()) + " pieces, " +
           std::to_string(store->sets_.size()) + " key sets");
  return store;
}

Status KeyStore::prepare_folders() const {
  for (const fs::path& path : {folder_, pieces_folder(folder_), sets_folder(folder_)}) {
    std::error_code failure;
    fs::create_directories(path, failure);
    if (!fs::is_directory(path, failure)) {
      return Error{ErrorCode::kFileUnwritable,
                   "cannot make the folder " + path.string() +
                       "; give a folder that this user may write to with --state"};
    }
  }
  return {};
}

void KeyStore::load_pieces() {
  for (const std::string& name : file_names(pieces_folder(folder_))) {
    const auto digest = digest_from_hex(name);
    if (!digest.ok()) {
      log_warning("key store: " + name + " in the folder of pieces is not one");
      continue;
    }
    auto piece = read_head(piece_file(*digest));
    if (piece.ok()) {
      pieces_.emplace(*digest, *piece);
    } else {
      log_error("key store: piece left out: " + piece.error().to_line());
    }
  }
}

void KeyStore::load_sets() {
  for (const std::string& name : file_names(sets_folder(folder_))) {
    auto pieces = read_set_file(sets_folder(folder_) / name);
    if (!pieces.ok()) {
      log_error("key store: key set left out: " + pieces.error().to_line());
      continue;
    }
    auto set = describe_set(std::move(pieces).value());
    if (set.ok() && name == to_hex(set->id) + std::string(kKeySetSuffix)) {
      sets_.emplace(set->id, *set);
    } else {
      log_error("key store: key set left out: " + name + ": " +
                (set.ok() ? "the name is not that of its pieces" : set.error().to_line()));
    }
  }
}

Result<bool> KeyStore::put_piece(const Digest& digest, ByteView bytes) {
  if (blake2b(bytes) != digest) {
    return Error{ErrorCode::kKeyDigest, "the bytes have the digest " + to_hex(blake2b(bytes)) +
                                            "; the path must name the BLAKE2b-256 of the body"};
  }
  TACIT_TRY(const ckks::KeyHeader header, check_(bytes));
  if (find_piece(digest)) return false;
  TACIT_CHECK(write_file_atomic(piece_file(digest), bytes, true));
  const std::unique_lock lock(mutex_);
  return pieces_.emplace(digest, Piece{header, bytes.size()}).second;
}

std::optional<Piece> KeyStore::find_piece(const Digest& digest) const {
  const std::shared_lock lock(mutex_);
  const auto found = pieces_.find(digest);
  return found == pieces_.end() ? std::nullopt : std::optional(found->second);
}

Result<Bytes> KeyStore::read_piece(const Digest& digest) {
  const auto piece = find_piece(digest);
  if (!piece) return Error{ErrorCode::kKeyMissing, "the piece " + to_hex(digest) + " is not stored"};
  auto bytes = read_file(piece_file(digest), piece->bytes);
  if (bytes.ok() && blake2b(*bytes) == digest) return bytes;
  log_error(
      "key store: the piece " + to_hex(digest) + " is " +
      (bytes.ok() ? "damaged: its bytes have another digest" : "unreadable: " + bytes.error().to_line()));
  forget_piece(digest);
  return Error{ErrorCode::kKeyMissing,
               "the piece " + to_hex(digest) + " was damaged on the server's disk; upload it again"};
}

void KeyStore::forget_piece(const Digest& digest) {
  const std::unique_lock lock(mutex_);
  pieces_.erase(digest);
  std::erase_if(sets_,
                [&](const auto& entry) { return std::ranges::binary_search(entry.second.pieces, digest); });
  std::error_code failure;
  fs::remove(piece_file(digest), failure);
}

std::vector<Digest> KeyStore::missing(std::span<const Digest> pieces) const {
  const std::shared_lock lock(mutex_);
  std::vector<Digest> absent;
  std::ranges::copy_if(pieces, std::back_inserter(absent),
                       [&](const Digest& d) { return !pieces_.contains(d); });
  return absent;
}

Result<KeySet> KeyStore::describe_set(std::vector<Digest> pieces) const {
  auto mixed = [](std::string_view why) { return Error{ErrorCode::kKeySetMixed, std::string(why)}; };
  if (pieces.empty()) return mixed("a key set needs at least one piece");
  std::ranges::sort(pieces);
  KeySet set;
  std::set<std::uint32_t> elements;
  for (const Digest& digest : pieces) {
    const auto piece = find_piece(digest);
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
  }
  set.id = key_set_id(pieces);
  set.pieces = std::move(pieces);
  return set;
}

Result<bool> KeyStore::put_set(const KeySet& set) {
  if (find_set(set.id).ok()) return false;
  TACIT_CHECK(write_file_atomic(set_file(set.id), set_file_bytes(set), true));
  const std::unique_lock lock(mutex_);
  return sets_.emplace(set.id, set).second;
}

Result<KeySet> KeyStore::find_set(const Digest& id) const {
  const std::shared_lock lock(mutex_);
  if (const auto found = sets_.find(id); found != sets_.end()) return found->second;
  return Error{ErrorCode::kKeyUnknown,
               "no evaluation keys are stored under " + to_hex(id) + "; POST /v2/keys first"};
}

fs::path KeyStore::piece_file(const Digest& digest) const { return pieces_folder(folder_) / to_hex(digest); }
fs::path KeyStore::set_file(const Digest& id) const {
  return sets_folder(folder_) / (to_hex(id) + std::string(kKeySetSuffix));
}

}  // namespace tacit::server
