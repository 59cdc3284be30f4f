// SPDX-License-Identifier: Apache-2.0
// Bearer tokens: exactly those that were given out, and have not ended, are taken; scopes and tenants' names.
//
// Input: which token is sent, what is changed of it, then the text that is sent otherwise.
#include <array>

#include "server/state/state.h"
#include "server/temporary_folder.h"
#include "server/token.h"
#include "support/ckks_fixture.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

using namespace server;

constexpr Time kNow = 1'000'000;

struct Book {
  Book() {
    const TemporaryFolder folder;
    const auto state = test::unwrap(State::open(folder.path() / "state"));
    given = {make_token("anna", kScopeInfer, "good", 1, {}), make_token("bert", kAllScopes, "over", 1, kNow),
             make_token("carl", kAllScopes, "soon", 1, kNow + 1),
             make_token("dora", kAllScopes, "revoked", 1, {})};
    given[3].token.revoked = 5;
    for (const NewToken& one : given) require(state->ledger().add_token(one.token).ok(), "a token is kept");
    require(book.load(state->ledger()).ok() && !book.empty(), "tokens are read");
  }
  std::array<NewToken, 4> given;
  TokenBook book;
};

TACIT_FUZZ_TARGET(token) {
  static const Book kBook;
  Input in(input);
  const std::size_t which = in.below(8);
  const std::size_t at = in.byte();
  const std::uint8_t change = in.byte();
  std::string text(as_text(in.rest()));
  if (which < 4) {
    text = kBook.given[which].text + text;
    text[at % text.size()] = static_cast<char>(text[at % text.size()] ^ change);
  }
  const auto identity = kBook.book.identify(text, kNow);
  const bool valid = text == kBook.given[0].text || text == kBook.given[2].text;
  require(accepted(identity) == valid, "a token is taken if it was given out and has not ended");
  if (valid)
    require(identity->tenant == (text == kBook.given[0].text ? "anna" : "carl"), "it is its tenant's");

  if (const auto scopes = scopes_from(text); accepted(scopes)) {
    require(*scopes != 0 && (*scopes & ~kAllScopes) == 0, "scopes are those that there are");
    const auto again = scopes_from(to_text(*scopes));
    require(again.ok() && *again == *scopes, "scopes that were written can be read");
  }
  if (is_tenant_name(text))
    require(text.size() <= 64 && text.find('/') == std::string::npos && text.front() != '.',
            "a tenant can be a folder");
}

}  // namespace
}  // namespace tacit::fuzz
