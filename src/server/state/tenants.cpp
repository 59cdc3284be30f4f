// SPDX-License-Identifier: Apache-2.0
// All that a state folder has of one tenant.
#include <algorithm>
#include <thread>

#include "server/state/database.h"
#include "server/state/folder_blobs.h"
#include "server/state/sqlite_ledger.h"
#include "server/state/sqlite_queue.h"
#include "server/state/state.h"

namespace tacit::server {
namespace {

struct Rows {
  std::unique_ptr<Ledger> ledger;
  std::unique_ptr<Queue> queue;
};

Result<Rows> open_rows(const std::filesystem::path& folder) {
  TACIT_CHECK(require_state(folder));
  TACIT_TRY(std::shared_ptr<Database> database, Database::open(database_file(folder)));
  return Rows{make_sqlite_ledger(database), make_sqlite_queue(database)};
}

Result<TenantUse> use_of(const Rows& rows, const std::vector<Token>& tokens, const std::string& name,
                         Time now) {
  TACIT_TRY(const Usage usage, rows.ledger->usage(name));
  TACIT_TRY(const QueueCounts jobs, rows.queue->counts(name));
  const auto valid = [&](const Token& token) {
    return token.tenant == name && !token.revoked && (!token.expires || *token.expires > now);
  };
  return TenantUse{name, static_cast<std::size_t>(std::ranges::count_if(tokens, valid)), usage.key_sets,
                   jobs.unfinished() + jobs.kept, usage.key_bytes};
}

}  // namespace

Result<std::vector<TenantUse>> tenants_of_state(const std::filesystem::path& folder, Time now) {
  TACIT_TRY(const Rows rows, open_rows(folder));
  TACIT_TRY(const std::vector<Token> tokens, rows.ledger->tokens());
  TACIT_TRY(std::vector<std::string> names, rows.ledger->tenants());
  TACIT_TRY(const std::vector<Job> jobs, rows.queue->jobs());
  for (const Job& job : jobs) names.push_back(job.tenant);
  std::ranges::sort(names);
  const auto repeated = std::ranges::unique(names);
  names.erase(repeated.begin(), repeated.end());
  std::vector<TenantUse> uses;
  for (const std::string& name : names) { TACIT_TRY(uses.emplace_back(), use_of(rows, tokens, name, now)); }
  return uses;
}

Result<TenantUse> delete_tenant(const std::filesystem::path& folder, std::string_view tenant, Time now,
                                std::chrono::milliseconds wait) {
  TACIT_TRY(const Rows rows, open_rows(folder));
  TACIT_TRY(const std::vector<Token> tokens, rows.ledger->tokens());
  TACIT_TRY(const TenantUse use, use_of(rows, tokens, std::string(tenant), now));
  const bool has_rows = use.key_sets + use.key_bytes + use.jobs > 0;
  if (!has_rows && std::ranges::find(tokens, tenant, &Token::tenant) == tokens.end())
    return Error{ErrorCode::kFileNotFound,
                 "there is no tenant " + std::string(tenant) + "; tacitd tenant list shows all of them"};
  for (const Token& token : tokens)
    if (token.tenant == tenant) TACIT_CHECK(rows.ledger->revoke_token(token.id, now));
  if (use.tokens > 0) std::this_thread::sleep_for(wait);

  TACIT_TRY(const std::vector<Job> jobs, rows.queue->jobs());
  for (const Job& job : jobs) {
    if (job.tenant != tenant) continue;
    TACIT_CHECK(rows.queue->cancel(tenant, job.id, now, now));
    // A server beside may have taken it out by itself.
    const auto removed = rows.queue->remove(tenant, job.id);
    if (!removed.ok() && removed.error().code != ErrorCode::kJobUnknown) return removed.error();
  }
  TACIT_CHECK(rows.ledger->forget_tenant(tenant));
  TACIT_TRY(const std::unique_ptr<FolderBlobs> blobs, FolderBlobs::open_beside(blobs_folder(folder)));
  TACIT_TRY(const std::vector<BlobName> names, blobs->list());
  for (const BlobName& name : names)
    if (name.tenant == tenant) TACIT_CHECK(blobs->remove(name));
  return use;
}

}  // namespace tacit::server
