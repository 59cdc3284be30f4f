// SPDX-License-Identifier: Apache-2.0
#include "server/state/tenant.h"

#include <algorithm>

namespace tacit::server {

bool is_tenant_name(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= 64 && letter(text.front()) &&
         std::ranges::all_of(text, [&](char c) { return letter(c) || c == '.' || c == '_' || c == '-'; });
}

}  // namespace tacit::server
