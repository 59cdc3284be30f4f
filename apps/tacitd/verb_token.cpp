// SPDX-License-Identifier: Apache-2.0
// Tokens of tenants. They are written to the state folder; a running server sees them within a second.
#include <cstdio>
#include <ctime>
#include <memory>

#include "server/audit_file.h"
#include "server/state/state.h"
#include "server/time_text.h"
#include "server/token.h"
#include "verbs.h"

namespace tacit {
namespace {

struct TokenOptions {
  std::string state, tenant, scopes = "infer,keys", label, id;
  double days = 365;
};

std::string date_text(server::Time time) {
  const std::time_t seconds = time / 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

// The token goes to standard output, alone, so that a script can take it.
Status create_token(const TokenOptions& options) {
  if (!server::is_tenant_name(options.tenant))
    return Error{
        ErrorCode::kInvalidArgument,
        "--tenant must have 1 to 64 characters of a-z, 0-9, '.', '_' and '-', the first a letter or digit"};
  TACIT_TRY(const server::Scopes scopes, server::scopes_from(options.scopes));
  if (!(options.days >= 0 && options.days <= 36'500))
    return Error{ErrorCode::kInvalidArgument, "--days must be between 0 (never expires) and 36500"};
  const server::Time now = server::now();
  std::optional<server::Time> expires;
  if (options.days > 0)
    expires = now + static_cast<server::Time>(options.days * static_cast<double>(server::kDay));
  if (!server::is_state(options.state)) say("a new state is made in " + options.state);
  TACIT_TRY(const std::unique_ptr<server::Ledger> ledger, server::open_or_make_ledger(options.state));
  const server::NewToken made = server::make_token(options.tenant, scopes, options.label, now, expires);
  TACIT_CHECK(ledger->add_token(made.token));
  server::Json line = server::audit_event("token.created");
  line["tenant"] = options.tenant;
  line["token"] = made.token.id;
  line["scopes"] = server::to_text(scopes);
  if (expires) line["expires"] = server::time_text(*expires);
  if (const Status noted = note(options.state, std::move(line)); !noted.ok()) {
    // What nobody can look up later must not be in use.
    TACIT_CHECK(ledger->revoke_token(made.token.id, now));
    return noted;
  }
  say("token " + made.token.id + " of " + options.tenant + " for " + server::to_text(scopes) + ", " +
      (expires ? "valid until " + date_text(*expires) : "valid for ever") +
      "; it is shown once and stored nowhere");
  std::printf("%s\n", made.text.c_str());
  return {};
}

Status list_tokens(const TokenOptions& options) {
  TACIT_TRY(const std::unique_ptr<server::Ledger> ledger, server::open_ledger(options.state));
  TACIT_TRY(const std::vector<server::Token> tokens, ledger->tokens());
  const server::Time now = server::now();
  for (const server::Token& token : tokens) {
    const std::string state = token.revoked ? "revoked " + date_text(*token.revoked)
                              : token.expires && *token.expires <= now
                                  ? "expired " + date_text(*token.expires)
                              : token.expires ? "until " + date_text(*token.expires)
                                              : "valid";
    std::printf("%s  %-20s  %-26s  %-28s  %s\n", token.id.c_str(), token.tenant.c_str(),
                server::to_text(token.scopes).c_str(), state.c_str(), token.label.c_str());
  }
  if (tokens.empty())
    say("there are no tokens: the server takes requests from this machine only, without any");
  return {};
}

Status revoke_token(const TokenOptions& options) {
  TACIT_TRY(const std::unique_ptr<server::Ledger> ledger, server::open_ledger(options.state));
  TACIT_TRY(const bool revoked, ledger->revoke_token(options.id, server::now()));
  if (!revoked)
    return Error{ErrorCode::kInvalidArgument,
                 "there is no token " + options.id + " that could be revoked; tacitd token list shows them"};
  server::Json line = server::audit_event("token.revoked");
  line["token"] = options.id;
  TACIT_CHECK(note(options.state, std::move(line)));
  say("revoked " + options.id);
  return {};
}

}  // namespace

Status note(const std::string& state, server::Json event) {
  TACIT_TRY(const auto audit, server::AuditFile::open(std::filesystem::path(state) / "audit", {}));
  return audit->append({&event, 1});
}

void add_token_verb(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("token", "Makes, lists and revokes tokens of tenants");
  verb->require_subcommand(1);
  const auto options = std::make_shared<TokenOptions>();
  CLI::App* make = add_state_verb(*verb, action, options, "create",
                                  "Makes a token and prints it on standard output", create_token);
  make->add_option("--tenant", options->tenant, "Whose keys and jobs its bearer sees")->required();
  make->add_option("--scopes", options->scopes, "infer, keys, models, metrics, separated by commas, or all")
      ->capture_default_str();
  make->add_option("--label", options->label, "A note for people");
  make->add_option("--days", options->days, "How long it is valid; 0: for ever")->capture_default_str();
  add_state_verb(*verb, action, options, "list", "Lists tokens, on standard output", list_tokens);
  add_state_verb(*verb, action, options, "revoke", "Makes a token invalid, within a second", revoke_token)
      ->add_option("ID", options->id, "Its identifier, the 16 digits after \"tacit_\"")
      ->required();
}

}  // namespace tacit
