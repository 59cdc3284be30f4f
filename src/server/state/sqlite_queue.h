// SPDX-License-Identifier: Apache-2.0
// The queue on SQLite.
#pragma once

#include <memory>

#include "server/state/queue.h"

namespace tacit::server {

class Database;

std::unique_ptr<Queue> make_sqlite_queue(std::shared_ptr<Database> database);

}  // namespace tacit::server
