// SPDX-License-Identifier: Apache-2.0
#include "client/key_folder.h"

#include <cstdlib>
#include <system_error>

#include "base/file.h"
#include "ckks/parameters.h"

namespace tacit::client {
namespace {

namespace fs = std::filesystem;

Error unwritable(const fs::path& path, const std::error_code& error) {
  return Error{ErrorCode::kFileUnwritable,
               "cannot make the folder " + path.string() + ": " + error.message()};
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

}  // namespace

Result<KeyFolder> KeyFolder::default_folder() {
  auto variable = [](const char* name) -> fs::path {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
  };
  if (fs::path home = variable("TACIT_HOME"); !home.empty()) return KeyFolder(home);
  if (fs::path data = variable("XDG_DATA_HOME"); data.is_absolute()) return KeyFolder(data / "tacit");
  if (fs::path home = variable("HOME"); !home.empty()) return KeyFolder(home / ".local" / "share" / "tacit");
  return Error{ErrorCode::kInvalidArgument,
               "there is no home folder to keep keys in; name a folder with --keys DIR"};
}

fs::path KeyFolder::key_file(int log_degree) const {
  return path_ / ("secret-" + std::to_string(log_degree) + ".key");
}

bool KeyFolder::has_key(int log_degree) const { return is_file(key_file(log_degree)); }

std::vector<int> KeyFolder::ring_sizes() const {
  std::vector<int> sizes;
  for (int log_degree = ckks::kMinLogDegree; log_degree <= ckks::kMaxLogDegree; ++log_degree) {
    if (has_key(log_degree)) sizes.push_back(log_degree);
  }
  return sizes;
}

Status KeyFolder::make_folder() const {
  std::error_code error;
  bool made = fs::create_directories(path_, error);
  if (error) return unwritable(path_, error);
  // Only a folder of our own making: one that was there may be shared on purpose.
  if (made) fs::permissions(path_, fs::perms::owner_all, error);
  if (error) return unwritable(path_, error);
  return {};
}

Result<OpenedKey> KeyFolder::open_or_create(int log_degree,
                                            const secret::PassphraseSource& passphrase) const {
  bool create_it = !has_key(log_degree);
  auto key = create_it ? create(log_degree, passphrase) : open(log_degree, passphrase);
  if (!key && create_it && has_key(log_degree)) {  // another process was faster
    create_it = false;
    key = open(log_degree, passphrase);
  }
  if (!key) return std::move(key).error();
  return OpenedKey{std::move(key).value(), create_it};
}

Result<secret::SecretKey> KeyFolder::create(int log_degree,
                                            const secret::PassphraseSource& passphrase) const {
  fs::path file = key_file(log_degree);
  if (is_file(file)) {
    return Error{
        ErrorCode::kFileUnwritable,
        file.string() + " exists already, and a key is never overwritten; use it, or another --keys folder"};
  }
  TACIT_TRY(secret::SecretKey key, secret::SecretKey::generate(log_degree));
  TACIT_TRY(secret::Passphrase text,
            passphrase.get(secret::PassphraseUse::kCreate, "the new key " + file.string()));
  TACIT_CHECK(make_folder());
  TACIT_CHECK(secret::save_key(key, text.view(), file));
  return key;
}

Result<secret::SecretKey> KeyFolder::open(int log_degree, const secret::PassphraseSource& passphrase) const {
  fs::path file = key_file(log_degree);
  if (!is_file(file)) {
    return Error{ErrorCode::kFileNotFound,
                 "there is no key " + file.string() + "; make one with tacit keys create"};
  }
  TACIT_TRY(secret::Passphrase text,
            passphrase.get(secret::PassphraseUse::kOpen, "the key " + file.string()));
  TACIT_TRY(secret::SecretKey key, secret::load_key(file, text.view()));
  if (key.log_degree() != log_degree) {
    return Error{ErrorCode::kKeyFileMalformed,
                 file.string() + " holds a key for another ring size than its name says"};
  }
  return key;
}

PieceCache::PieceCache(const KeyFolder& folder, const ckks::KeyTag& tag)
    : root_(folder.path() / "evaluation" / to_hex(ByteView(tag))) {}

fs::path PieceCache::index_file(const ckks::KeyRequest& request, const Digest& basis) const {
  return root_ / "index" /
         (to_hex(basis) + "-" + std::to_string(request.element) + "-" + std::to_string(request.shape.level) +
          "-" + std::to_string(request.shape.digit_size) + "-" + std::to_string(request.shape.special_count));
}

fs::path PieceCache::piece_file(const Digest& digest) const { return root_ / "pieces" / to_hex(digest); }

std::optional<Digest> PieceCache::find(const ckks::KeyRequest& request, const Digest& basis) const {
  auto text = read_file(index_file(request, basis), 64);
  if (!text) return std::nullopt;
  auto digest = digest_from_hex(as_text(*text));
  if (!digest || !is_file(piece_file(*digest))) return std::nullopt;
  return *digest;
}

Result<Digest> PieceCache::store(const ckks::KeyRequest& request, const Digest& basis, ByteView bytes) const {
  for (const char* part : {"index", "pieces"}) {
    std::error_code error;
    fs::create_directories(root_ / part, error);
    if (error) return unwritable(root_ / part, error);
  }
  Digest digest = blake2b(bytes);
  TACIT_CHECK(write_file_atomic(piece_file(digest), bytes));
  TACIT_CHECK(write_file_atomic(index_file(request, basis), as_bytes(to_hex(digest))));
  return digest;
}

Result<Bytes> PieceCache::load(const Digest& digest) const {
  TACIT_TRY(Bytes bytes, read_file(piece_file(digest), kMaxPieceBytes));
  if (blake2b(bytes) != digest) {
    std::error_code ignored;
    fs::remove(piece_file(digest), ignored);
    return Error{ErrorCode::kDataMalformed,
                 "the stored evaluation key " + to_hex(digest) + " is damaged and was removed; start again"};
  }
  return bytes;
}

}  // namespace tacit::client
