// SPDX-License-Identifier: Apache-2.0
#include "base/digest.h"

#include <sodium.h>

#include <algorithm>

namespace tacit {

Digest blake2b(ByteView message, ByteView key) {
  Digest digest;
  crypto_generichash(digest.data(), digest.size(), message.data(), message.size(), key.data(), key.size());
  return digest;
}

Result<Digest> digest_from_hex(std::string_view text) {
  TACIT_TRY(Bytes bytes, from_hex(text));
  Digest digest;
  if (bytes.size() != digest.size()) {
    return Error{ErrorCode::kDataMalformed,
                 "a digest must have 64 hexadecimal digits, this one has " + std::to_string(text.size())};
  }
  std::copy(bytes.begin(), bytes.end(), digest.begin());
  return digest;
}

}  // namespace tacit
