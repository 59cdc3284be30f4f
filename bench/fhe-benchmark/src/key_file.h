// SPDX-License-Identifier: Apache-2.0
// The client's secret key between its stages.
#pragma once

#include "client/model_cipher.h"
#include "instance.h"

namespace tacit::fhe_benchmark {

// The suite has nobody to ask for a passphrase, so this one is no secret: what keeps the file from others is its mode,
// 0600, and the folder, which the server's stage does not read.
inline constexpr std::string_view kPassphrase = "fhe-benchmark";

// Makes and saves a key for the ring of `half`.
Result<secret::SecretKey> make_key_file(const Instance& instance, const plan::ClientHalf& half);
// What encrypts and decrypts for `half` with the saved key.
Result<client::ModelCipher> open_cipher(const Instance& instance, const plan::ClientHalf& half);

// How many sets of up to half.batch() images there are.
std::size_t set_count(const plan::ClientHalf& half, std::size_t images);

}  // namespace tacit::fhe_benchmark
