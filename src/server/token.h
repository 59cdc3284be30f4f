// SPDX-License-Identifier: Apache-2.0
// Bearer tokens (RFC 6750): making them, and telling who has sent one.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "server/state/ledger.h"

namespace tacit::server {

// A token and the text that its bearer sends, which is stored nowhere: "tacit_", the identifier, "_" and 256 random bits in
// base64url.
struct NewToken {
  Token token;
  std::string text;
};
NewToken make_token(std::string tenant, Scopes scopes, std::string label, Time now,
                    std::optional<Time> expires);

// "infer,keys,models,metrics" or "all"; kInvalidArgument.
Result<Scopes> scopes_from(std::string_view text);
std::string to_text(Scopes scopes);

// Who asks, and what they may do.
struct Identity {
  std::string tenant;
  Scopes scopes = 0;
  std::string token;  // its identifier; empty in open mode
};

// The tokens of the ledger, in memory. All functions may be called from several threads at once.
class TokenBook {
 public:
  // Reads all tokens anew.
  Status load(Ledger& ledger);
  // kAuthentication with one and the same message for what is malformed, unknown, wrong, expired or revoked; takes the same
  // time whatever the secret part is.
  Result<Identity> identify(std::string_view text, Time now) const;
  // Whether there is any, usable or not: a server that has one is not open.
  bool empty() const;

 private:
  using Tokens = std::map<std::string, Token, std::less<>>;
  std::shared_ptr<const Tokens> tokens() const;

  mutable std::mutex mutex_;
  std::shared_ptr<const Tokens> tokens_ = std::make_shared<const Tokens>();
};

}  // namespace tacit::server
