// SPDX-License-Identifier: Apache-2.0
// The ledger on SQLite.
#pragma once

#include <memory>

#include "server/state/ledger.h"

namespace tacit::server {

class Database;

std::unique_ptr<Ledger> make_sqlite_ledger(std::shared_ptr<Database> database);

}  // namespace tacit::server
