// SPDX-License-Identifier: Apache-2.0
// What tacitd does beside serving: one file for each verb.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "base/result.h"
#include "server/audit_file.h"

namespace tacit {

// What is to be done, once the command line has been read; a verb sets it.
using Action = std::function<Status()>;

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
