// SPDX-License-Identifier: Apache-2.0
// Bytes that begin like an evaluation key, for what looks no further.
#pragma once

#include "base/bytes.h"

namespace tacit::server {

// The fixed head of protocol/bytes.md.
inline Bytes key_head(std::uint32_t element, std::uint8_t tag = 1, std::uint8_t log_degree = 13) {
  ByteWriter out;
  out.raw(as_bytes("TACT"));
  out.u8(3);
  out.u8(1);
  out.u16(0);
  for (int i = 0; i < 16; ++i) out.u8(tag);
  out.u8(log_degree);
  for (int i = 0; i < 3; ++i) out.u8(1);
  out.u32(element);
  out.u64(0);
  for (int i = 0; i < 32; ++i) out.u8(9);
  return std::move(out).take();
}

}  // namespace tacit::server
