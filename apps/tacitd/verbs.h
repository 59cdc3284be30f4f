// SPDX-License-Identifier: Apache-2.0
// What tacitd does beside serving: one file for each verb.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>

#include "base/result.h"
#include "server/audit_file.h"

namespace tacit {

// What is to be done, once the command line has been read; a verb sets it.
using Action = std::function<Status()>;

// A verb that works on the state folder, `options->state`: has `action` call `run` with the options.
template <class Options>
CLI::App* add_state_verb(CLI::App& parent, Action& action, const std::shared_ptr<Options>& options,
                         const char* name, const char* text, Status (*run)(const Options&)) {
  CLI::App* verb = parent.add_subcommand(name, text);
  verb->add_option("--state", options->state, "The server's state folder")->required();
  verb->callback([&action, options, run] { action = [options, run] { return run(*options); }; });
  return verb;
}

// tacitd token create|list|revoke
void add_token_verb(CLI::App& app, Action& action);
// tacitd tenant list|delete
void add_tenant_verb(CLI::App& app, Action& action);
// tacitd check, tacitd backup
void add_state_verbs(CLI::App& app, Action& action);

// A line of the audit log beside a running server's; durable when it returns. Errors of AuditFile.
Status note(const std::string& state, server::Json event);

// A line on standard error.
void say(const std::string& line);

}  // namespace tacit
