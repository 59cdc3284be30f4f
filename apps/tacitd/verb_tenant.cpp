// SPDX-License-Identifier: Apache-2.0
// Tenants: what each of them has here, and the end of one.
#include <cstdio>
#include <memory>

#include "server/state/state.h"
#include "verbs.h"

namespace tacit {
namespace {

// A running server looks for changed tokens twice a second.
constexpr std::chrono::milliseconds kWait{1500};

struct TenantOptions {
  std::string state, tenant;
  bool yes = false;
};

Status list_tenants(const TenantOptions& options) {
  TACIT_TRY(const std::vector<server::TenantUse> tenants,
            server::tenants_of_state(options.state, server::now()));
  for (const server::TenantUse& use : tenants)
    std::printf("%-20s  %3zu valid tokens  %4zu key sets  %12llu bytes of keys  %4zu jobs\n",
                use.name.c_str(), use.tokens, use.key_sets, static_cast<unsigned long long>(use.key_bytes),
                use.jobs);
  if (tenants.empty()) say("nobody has a token, keys or jobs here");
  return {};
}

Status end_tenant(const TenantOptions& options) {
  if (!options.yes)
    return Error{ErrorCode::kInvalidArgument,
                 "this deletes all keys, jobs and results of " + options.tenant + "; add --yes to do it"};
  const server::Time now = server::now();
  TACIT_TRY(const server::TenantUse use, server::delete_tenant(options.state, options.tenant, now, kWait));
  server::Json line = server::audit_event("tenant.deleted");
  line["tenant"] = options.tenant;
  line["key_sets"] = use.key_sets;
  line["jobs"] = use.jobs;
  TACIT_CHECK(note(options.state, std::move(line)));
  say("deleted of " + options.tenant + ": " + std::to_string(use.key_sets) + " key sets with " +
      std::to_string(use.key_bytes) + " bytes, " + std::to_string(use.jobs) + " jobs; revoked " +
      std::to_string(use.tokens) + " tokens");
  return {};
}

}  // namespace

void add_tenant_verb(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("tenant", "Lists tenants, or deletes all that there is of one");
  verb->require_subcommand(1);
  const auto options = std::make_shared<TenantOptions>();
  add_state_verb(*verb, action, options, "list", "Lists tenants with what they have, on standard output",
                 list_tenants);
  CLI::App* end =
      add_state_verb(*verb, action, options, "delete",
                     "Revokes a tenant's tokens and deletes its keys, jobs and results", end_tenant);
  end->add_option("TENANT", options->tenant, "Its name, as tacitd tenant list has it")->required();
  end->add_flag("--yes", options->yes, "Do it");
}

}  // namespace tacit
