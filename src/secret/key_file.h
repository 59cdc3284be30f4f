// SPDX-License-Identifier: Apache-2.0
// The secret key on disk: its seed, encrypted under a passphrase (protocol/key-file.md).
#pragma once

#include <filesystem>
#include <string_view>

#include "secret/secret_key.h"

namespace tacit::secret {

// How much work and memory one guess of the passphrase costs (Argon2id).
struct KdfCost {
  std::uint32_t operations = 3;
  std::uint32_t memory_bytes = 256u << 20;
};

// magic "TACITKEY", version, log_degree, cost, salt, nonce, XChaCha20-Poly1305 of the seed with all before it as
// additional data. Written atomically with mode 0600; an existing file is never overwritten (kFileUnwritable).
Status save_key(const SecretKey& key, std::string_view passphrase, const std::filesystem::path& path,
                const KdfCost& cost = {});

// kKeyFilePassphrase for a wrong passphrase or any altered byte after the header; kKeyFileMalformed for what is not a
// key file or asks for more than 1 GiB or 10 passes.
Result<SecretKey> load_key(const std::filesystem::path& path, std::string_view passphrase);

}  // namespace tacit::secret
