// SPDX-License-Identifier: Apache-2.0
// Moments as text, for pages, the log and the audit log.
#pragma once

#include <string>

#include "server/state/ledger.h"

namespace tacit::server {

// RFC 3339 in UTC with milliseconds: "2026-01-01T00:00:00.000Z".
std::string time_text(Time time);

}  // namespace tacit::server
