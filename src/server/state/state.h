// SPDX-License-Identifier: Apache-2.0
// A server's state folder: the database, the blobs, and the promise that no other process has it (docs/service.md).
#pragma once

#include <chrono>
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

// Where a state folder has its database and its blobs.
std::filesystem::path database_file(const std::filesystem::path& folder);
std::filesystem::path blobs_folder(const std::filesystem::path& folder);
// Whether there is one in this folder.
bool is_state(const std::filesystem::path& folder);
// kFileNotFound where there is none: for whatever must not make one.
Status require_state(const std::filesystem::path& folder);

// The ledger alone, beside a server that has the folder: for tokens. kFileNotFound; errors of Database.
Result<std::unique_ptr<Ledger>> open_ledger(const std::filesystem::path& folder);
// The same; makes the state where there is none.
Result<std::unique_ptr<Ledger>> open_or_make_ledger(const std::filesystem::path& folder);

// What one tenant has.
struct TenantUse {
  std::string name;
  std::size_t tokens = 0;  // that are valid
  std::size_t key_sets = 0, jobs = 0;
  std::uint64_t key_bytes = 0;
};
// By name, beside a server. kFileNotFound; errors of Database.
Result<std::vector<TenantUse>> tenants_of_state(const std::filesystem::path& folder, Time now);
// Revokes all tokens of a tenant, then takes out its jobs, results, keys and counts, durably; answers what there was. Beside a server too, after
// `wait`, in which it learns of the tokens: a request that was let in before and ends after that may leave something, which a
// second call takes out. kFileNotFound, also where nobody has this name; errors of Database and FolderBlobs.
Result<TenantUse> delete_tenant(const std::filesystem::path& folder, std::string_view tenant, Time now,
                                std::chrono::milliseconds wait);

// Copies a state folder to `copy`, which must not be there, beside a server that works: whatever was acknowledged before the
// call, and not deleted since, is in the copy, and the copy is whole. Errors of Database and FolderBlobs.
Status back_up_state(const std::filesystem::path& folder, const std::filesystem::path& copy);

}  // namespace tacit::server
