// SPDX-License-Identifier: Apache-2.0
#include "server/state/blobs.h"

#include <string_view>

namespace tacit::server {

std::string four_digits(std::size_t number) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (int shift = 12; shift >= 0; shift -= 4) text += kDigits[(number >> shift) & 15];
  return text;
}

}  // namespace tacit::server
