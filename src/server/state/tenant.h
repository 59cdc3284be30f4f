// SPDX-License-Identifier: Apache-2.0
// Who a request belongs to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tacit::server {

// The tenant of a server without tokens.
inline constexpr std::string_view kOpenTenant = "local";

// 1 to 64 characters of a-z, 0-9, '.', '_' and '-', the first a letter or digit: fit for a folder's name.
bool is_tenant_name(std::string_view text);

// What a token lets its bearer do.
enum Scope : std::uint32_t {
  kScopeInfer = 1,    // run models, read own jobs and results
  kScopeKeys = 2,     // upload, list and delete evaluation keys
  kScopeModels = 4,   // load and unload models
  kScopeMetrics = 8,  // read metrics
};
using Scopes = std::uint32_t;
inline constexpr Scopes kAllScopes = kScopeInfer | kScopeKeys | kScopeModels | kScopeMetrics;

}  // namespace tacit::server
