// SPDX-License-Identifier: Apache-2.0
#include "key_file.h"

#include "secret/key_file.h"

namespace tacit::fhe_benchmark {

Result<secret::SecretKey> make_key_file(const Instance& instance, const plan::ClientHalf& half) {
  TACIT_CHECK(make_empty_folder(instance.secret_key()));
  TACIT_TRY(secret::SecretKey key, secret::SecretKey::generate(half.parameters.log_degree));
  // The least that Argon2id takes: guessing a passphrase that is no secret need not cost anything.
  const secret::KdfCost cost{.operations = 1, .memory_bytes = 8192};
  TACIT_CHECK(secret::save_key(key, kPassphrase, instance.key_file(), cost));
  return key;
}

Result<client::ModelCipher> open_cipher(const Instance& instance, const plan::ClientHalf& half) {
  TACIT_TRY(const secret::SecretKey key, secret::load_key(instance.key_file(), kPassphrase));
  return client::ModelCipher::create(half, key);
}

std::size_t set_count(const plan::ClientHalf& half, std::size_t images) {
  return (images + half.batch() - 1) / half.batch();
}

}  // namespace tacit::fhe_benchmark
