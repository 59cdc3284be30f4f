// SPDX-License-Identifier: Apache-2.0
// A server's state folder: the database, the blobs, and the promise that no other process has it (docs/service.md).
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "server/state/blobs.h"
#include "server/state/ledger.h"
#include "server/state/queue.h"

namespace tacit::server {

class State {
 public:
  // Makes the folder where there is none. kStateInUse where another process has it; errors of Database and FolderBlobs.
  static Result<std::unique_ptr<State>> open(const std::filesystem::path& folder);
  virtual ~State() = default;

  virtual Ledger& ledger() = 0;
  virtual Queue& queue() = 0;
  virtual Blobs& blobs() = 0;

  // Removes bytes without a row, which a crash between bytes and row leaves behind; answers how many. Only while nobody writes.
  virtual Result<std::size_t> sweep() = 0;
  // What is wrong with the folder: damage to the database, rows whose bytes are missing or altered, bytes without a row.
  // Reads everything.
  virtual Result<std::vector<std::string>> check() = 0;
};

// The ledger alone, beside a server that has the folder: for tokens. Errors of Database.
Result<std::unique_ptr<Ledger>> open_ledger(const std::filesystem::path& folder);

// Copies a state folder to `copy`, which must not be there, beside a server that works: whatever was acknowledged before the
// call, and not deleted since, is in the copy, and the copy is whole. Errors of Database and FolderBlobs.
Status back_up_state(const std::filesystem::path& folder, const std::filesystem::path& copy);

}  // namespace tacit::server
