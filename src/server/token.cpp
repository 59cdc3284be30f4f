// SPDX-License-Identifier: Apache-2.0
#include "server/token.h"

#include <sodium.h>

#include <algorithm>
#include <array>

namespace tacit::server {

namespace {

constexpr std::string_view kPrefix = "tacit_";
constexpr std::size_t kIdDigits = 16, kSecretBytes = 32, kSecretCharacters = 43;

constexpr std::array<std::pair<Scope, std::string_view>, 4> kScopes = {
    {{kScopeInfer, "infer"}, {kScopeKeys, "keys"}, {kScopeModels, "models"}, {kScopeMetrics, "metrics"}}};

Error refused() {
  return Error{
      ErrorCode::kAuthentication,
      "send a token that is valid in the field Authorization: Bearer ...; the server's operator gives them"};
}

}  // namespace

NewToken make_token(std::string tenant, Scopes scopes, std::string label, Time now,
                    std::optional<Time> expires) {
  std::array<std::uint8_t, kIdDigits / 2> id{};
  std::array<std::uint8_t, kSecretBytes> secret{};
  randombytes_buf(id.data(), id.size());
  randombytes_buf(secret.data(), secret.size());
  std::array<char, sodium_base64_ENCODED_LEN(kSecretBytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING)> text{};
  sodium_bin2base64(text.data(), text.size(), secret.data(), secret.size(),
                    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  NewToken made;
  made.token = {to_hex(ByteView(id)),
                std::move(tenant),
                blake2b(as_bytes(text.data())),
                scopes,
                std::move(label),
                now,
                expires,
                {}};
  made.text = std::string(kPrefix) + made.token.id + "_" + text.data();
  sodium_memzero(secret.data(), secret.size());
  sodium_memzero(text.data(), text.size());
  return made;
}

Result<Scopes> scopes_from(std::string_view text) {
  if (text == "all") return kAllScopes;
  Scopes scopes = 0;
  while (!text.empty()) {
    const std::string_view name = text.substr(0, text.find(','));
    const auto found = std::ranges::find(kScopes, name, [](const auto& entry) { return entry.second; });
    if (found == kScopes.end())
      return Error{ErrorCode::kInvalidArgument,
                   "scopes are infer, keys, models and metrics, separated by commas, or all"};
    scopes |= found->first;
    text.remove_prefix(std::min(text.size(), name.size() + 1));
  }
  if (scopes == 0) return Error{ErrorCode::kInvalidArgument, "a token needs a scope; all gives it every one"};
  return scopes;
}

std::string to_text(Scopes scopes) {
  std::string text;
  for (const auto& [scope, name] : kScopes)
    if ((scopes & scope) != 0) text.append(text.empty() ? "" : ",").append(name);
  return text;
}

Status TokenBook::load(Ledger& ledger) {
  TACIT_TRY(std::vector<Token> rows, ledger.tokens());
  auto tokens = std::make_shared<Tokens>();
  for (Token& token : rows) {
    std::string id = token.id;
    tokens->emplace(std::move(id), std::move(token));
  }
  const std::lock_guard lock(mutex_);
  tokens_ = std::move(tokens);
  return {};
}

std::shared_ptr<const TokenBook::Tokens> TokenBook::tokens() const {
  const std::lock_guard lock(mutex_);
  return tokens_;
}

bool TokenBook::empty() const { return tokens()->empty(); }

Result<Identity> TokenBook::identify(std::string_view text, Time now) const {
  if (text.size() != kPrefix.size() + kIdDigits + 1 + kSecretCharacters || !text.starts_with(kPrefix) ||
      text[kPrefix.size() + kIdDigits] != '_')
    return refused();
  const std::string_view id = text.substr(kPrefix.size(), kIdDigits);
  const Digest digest = blake2b(as_bytes(text.substr(kPrefix.size() + kIdDigits + 1)));
  const auto all = tokens();
  const auto found = all->find(id);
  // A token that is not there is compared as well.
  static constexpr Digest kNobody{};
  const Digest& expected = found == all->end() ? kNobody : found->second.secret;
  const bool right = sodium_memcmp(digest.data(), expected.data(), digest.size()) == 0;
  if (!right || found == all->end()) return refused();
  const Token& token = found->second;
  if (token.revoked || (token.expires && *token.expires <= now)) return refused();
  return Identity{token.tenant, token.scopes, token.id};
}

}  // namespace tacit::server
