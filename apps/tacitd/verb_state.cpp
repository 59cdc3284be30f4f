// SPDX-License-Identifier: Apache-2.0
// Checking and copying a state folder.
#include <cstdio>
#include <memory>

#include "server/audit_file.h"
#include "server/state/state.h"
#include "verbs.h"

namespace tacit {
namespace {

struct StateOptions {
  std::string state, copy;
};

Status check_state(const StateOptions& options) {
  const std::string& folder = options.state;
  TACIT_CHECK(server::require_state(folder));
  TACIT_TRY(const std::unique_ptr<server::State> state, server::State::open(folder));
  TACIT_TRY(std::vector<std::string> troubles, state->check());
  TACIT_TRY(const std::vector<std::string> of_audit,
            server::check_audit(std::filesystem::path(folder) / "audit"));
  troubles.insert(troubles.end(), of_audit.begin(), of_audit.end());
  for (const std::string& trouble : troubles) std::printf("%s\n", trouble.c_str());
  if (troubles.empty()) {
    say(folder + " is whole");
    return {};
  }
  return Error{ErrorCode::kStateCorrupt,
               folder + ": " + std::to_string(troubles.size()) +
                   " troubles; clients upload again what is missing, and a backup has the rest"};
}

Status copy_state(const StateOptions& options) {
  TACIT_CHECK(server::back_up_state(options.state, options.copy));
  say("copied to " + options.copy);
  return {};
}

}  // namespace

void add_state_verbs(CLI::App& app, Action& action) {
  const auto options = std::make_shared<StateOptions>();
  add_state_verb(app, action, options, "check",
                 "Checks a state folder that no server is using, every byte of it", check_state);
  add_state_verb(app, action, options, "backup", "Copies a state folder, while the server works too",
                 copy_state)
      ->add_option("--to", options->copy, "A new folder")
      ->required();
}

}  // namespace tacit
