// SPDX-License-Identifier: Apache-2.0
// BLAKE2b-256 (RFC 7693): names of objects, and keys for the expansion of seeds.
#pragma once

#include <array>
#include <string>

#include "base/bytes.h"

namespace tacit {

using Digest = std::array<std::uint8_t, 32>;

// Unkeyed, or keyed with up to 64 bytes.
Digest blake2b(ByteView message, ByteView key = {});

inline std::string to_hex(const Digest& digest) { return to_hex(ByteView(digest)); }
// Exactly 64 hexadecimal digits.
Result<Digest> digest_from_hex(std::string_view text);

}  // namespace tacit
