// SPDX-License-Identifier: Apache-2.0
#include "secret/key_file.h"

#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/bytes.h"
#include "base/file.h"
#include "ckks/parameters.h"

namespace tacit::secret {
namespace {

constexpr std::string_view kMagic = "TACITKEY";
constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kArgon2id13 = 1;
// Which way a seed is expanded into coefficients: uniform ternary, ring/random.h.
constexpr std::uint8_t kUniformTernary = 1;

constexpr std::size_t kSeedBytes = 32;
constexpr std::size_t kSaltBytes = crypto_pwhash_argon2id_SALTBYTES;
constexpr std::size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t kAeadKeyBytes = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
constexpr std::size_t kSealedBytes = kSeedBytes + crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr std::size_t kHeaderBytes = 8 + 4 + 8 + kSaltBytes + kNonceBytes;
constexpr std::size_t kFileBytes = kHeaderBytes + kSealedBytes;

constexpr std::uint32_t kMinMemory = crypto_pwhash_argon2id_MEMLIMIT_MIN;
constexpr std::uint32_t kMaxMemory = 1u << 30;
constexpr std::uint32_t kMaxOperations = 10;

static_assert(kSaltBytes == 16 && kNonceBytes == 24 && kAeadKeyBytes == 32 && kFileBytes == 108);

struct Header {
  int log_degree = 0;
  KdfCost cost;
  std::array<std::uint8_t, kSaltBytes> salt{};
  std::array<std::uint8_t, kNonceBytes> nonce{};
};

bool admissible(const KdfCost& cost) {
  return cost.operations >= 1 && cost.operations <= kMaxOperations && cost.memory_bytes >= kMinMemory &&
         cost.memory_bytes <= kMaxMemory;
}

Bytes write_header(const Header& header) {
  ByteWriter out;
  std::ranges::copy(kMagic, out.extend(kMagic.size()).begin());
  out.u8(kVersion);
  out.u8(kArgon2id13);
  out.u8(static_cast<std::uint8_t>(header.log_degree));
  out.u8(kUniformTernary);
  out.u32(header.cost.operations);
  out.u32(header.cost.memory_bytes);
  out.raw(header.salt);
  out.raw(header.nonce);
  return std::move(out).take();
}

Error malformed(std::string message) { return Error{ErrorCode::kKeyFileMalformed, std::move(message)}; }

Result<Header> parse_header(ByteView bytes) {
  if (bytes.size() != kFileBytes) {
    return malformed("a key file has " + std::to_string(kFileBytes) + " bytes, this one has " +
                     std::to_string(bytes.size()));
  }
  ByteReader in(bytes, "key file");
  TACIT_TRY(ByteView magic, in.raw(kMagic.size()));
  if (as_text(magic) != kMagic) return malformed("this is not a Tacit key file");
  TACIT_TRY(std::uint8_t version, in.u8());
  TACIT_TRY(std::uint8_t kdf, in.u8());
  TACIT_TRY(std::uint8_t log_degree, in.u8());
  TACIT_TRY(std::uint8_t sampler, in.u8());
  if (version != kVersion || kdf != kArgon2id13 || sampler != kUniformTernary) {
    return malformed(
        "the key file's format is not one that this release reads; use the release that wrote it");
  }
  if (log_degree < ckks::kMinLogDegree || log_degree > ckks::kMaxLogDegree) {
    return malformed("the key file names a ring of degree 2^" + std::to_string(log_degree) +
                     ", which there is not");
  }
  Header header;
  header.log_degree = log_degree;
  TACIT_TRY(header.cost.operations, in.u32());
  TACIT_TRY(header.cost.memory_bytes, in.u32());
  if (!admissible(header.cost)) {
    return malformed("the key file asks for " + std::to_string(header.cost.operations) + " passes over " +
                     std::to_string(header.cost.memory_bytes) + " bytes of memory; at most " +
                     std::to_string(kMaxOperations) + " over " + std::to_string(kMaxMemory) + " are done");
  }
  TACIT_TRY(ByteView salt, in.raw(kSaltBytes));
  std::copy(salt.begin(), salt.end(), header.salt.begin());
  TACIT_TRY(ByteView nonce, in.raw(kNonceBytes));
  std::copy(nonce.begin(), nonce.end(), header.nonce.begin());
  return header;
}

Error no_memory(std::uint64_t bytes) {
  return Error{ErrorCode::kOutOfMemory, "the key file's passphrase needs " + std::to_string(bytes >> 20) +
                                            " MiB of memory to be checked"};
}

Result<SecureBuffer<std::uint8_t>> derive_key(std::string_view passphrase, const Header& header) {
  SecureBuffer<std::uint8_t> key(kAeadKeyBytes);
  if (!key.valid() ||
      crypto_pwhash_argon2id(key.data(), key.size(), passphrase.data(), passphrase.size(), header.salt.data(),
                             header.cost.operations, header.cost.memory_bytes,
                             crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0) {
    return no_memory(header.cost.memory_bytes);
  }
  return key;
}

// Gives the finished temporary its name, unless something has that name already: link(2) never replaces a
// file.
Status write_new_file(const std::filesystem::path& path, ByteView bytes) {
  auto failure = [&](int error) {
    return Error{ErrorCode::kFileUnwritable, "cannot write " + path.string() + ": " + std::strerror(error)};
  };
  std::filesystem::path folder = path.parent_path().empty() ? "." : path.parent_path();
  std::string temporary = (folder / ("." + path.filename().string() + ".XXXXXX")).string();
  int file = ::mkostemp(temporary.data(), O_CLOEXEC);  // mode 0600
  if (file < 0) return failure(errno);
  int error = 0;
  for (std::size_t done = 0; done < bytes.size() && error == 0;) {
    ssize_t put = ::write(file, bytes.data() + done, bytes.size() - done);
    if (put >= 0) {
      done += static_cast<std::size_t>(put);
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  if (error == 0 && ::fsync(file) != 0) error = errno;
  ::close(file);
  if (error == 0 && ::link(temporary.c_str(), path.c_str()) != 0) error = errno;
  ::unlink(temporary.c_str());
  if (error == EEXIST) {
    return Error{
        ErrorCode::kFileUnwritable,
        path.string() + " exists already, and a key is never overwritten; choose another name or folder"};
  }
  if (error != 0) return failure(error);
  int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return failure(errno);
  if (::fsync(directory) != 0) error = errno;
  ::close(directory);
  if (error != 0) return failure(error);
  return {};
}

}  // namespace

Status save_key(const SecretKey& key, std::string_view passphrase, const std::filesystem::path& path,
                const KdfCost& cost) {
  if (key.seed().size() != kSeedBytes) {
    return Error{ErrorCode::kInvalidArgument,
                 "a key made from coefficients has no seed, so it cannot be saved"};
  }
  if (!admissible(cost)) {
    return Error{ErrorCode::kInvalidArgument,
                 "the key file's cost must be 1 to 10 passes over 8 KiB to 1 GiB"};
  }
  if (sodium_init() < 0) return Error{ErrorCode::kEntropy, "the operating system gave no randomness"};
  Header header;
  header.log_degree = key.log_degree();
  header.cost = cost;
  randombytes_buf(header.salt.data(), header.salt.size());
  randombytes_buf(header.nonce.data(), header.nonce.size());
  TACIT_TRY(SecureBuffer<std::uint8_t> aead_key, derive_key(passphrase, header));

  Bytes bytes = write_header(header);
  std::array<std::uint8_t, kSealedBytes> sealed;
  crypto_aead_xchacha20poly1305_ietf_encrypt(sealed.data(), nullptr, key.seed().data(), kSeedBytes,
                                             bytes.data(), bytes.size(), nullptr, header.nonce.data(),
                                             aead_key.data());
  bytes.insert(bytes.end(), sealed.begin(), sealed.end());
  return write_new_file(path, bytes);
}

Result<SecretKey> load_key(const std::filesystem::path& path, std::string_view passphrase) {
  auto bytes = read_file(path, 4096);
  if (!bytes) {
    if (bytes.error().code == ErrorCode::kDataTooLarge)
      return malformed(path.string() + " is too long for a key file");
    return std::move(bytes).error();
  }
  auto header = parse_header(*bytes);
  if (!header) return std::move(header).error().within(path.string());
  if (sodium_init() < 0) return Error{ErrorCode::kEntropy, "the operating system gave no randomness"};
  TACIT_TRY(SecureBuffer<std::uint8_t> aead_key, derive_key(passphrase, *header));

  SecureBuffer<std::uint8_t> seed(kSeedBytes);
  if (!seed.valid()) return no_memory(kSeedBytes);
  ByteView head = ByteView(*bytes).first(kHeaderBytes), sealed = ByteView(*bytes).subspan(kHeaderBytes);
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(seed.data(), nullptr, nullptr, sealed.data(), sealed.size(),
                                                 head.data(), head.size(), header->nonce.data(),
                                                 aead_key.data()) != 0) {
    return Error{ErrorCode::kKeyFilePassphrase, path.string() +
                                                    " does not open with this passphrase; if the "
                                                    "passphrase is right, the file was altered"};
  }
  return SecretKey::from_seed(header->log_degree,
                              std::span<const std::uint8_t, kSeedBytes>(seed.data(), kSeedBytes));
}

}  // namespace tacit::secret
