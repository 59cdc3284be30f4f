// SPDX-License-Identifier: Apache-2.0
#include "server/state/database.h"

#include <SQLiteCpp/Backup.h>
#include <sqlite3.h>

#include <algorithm>
#include <utility>

#include "server/state/schema.h"

namespace tacit::server {

namespace {

constexpr int kBusyMilliseconds = 5'000;  // a backup or another tool may hold the file for a moment

bool is_damage(int code) { return code == SQLITE_CORRUPT || code == SQLITE_NOTADB; }

}  // namespace

Bytes Query::bytes(int column) {
  const SQLite::Column value = statement_.getColumn(column);
  const auto* data = static_cast<const std::uint8_t*>(value.getBlob());
  return Bytes(data, data + value.getBytes());
}

Digest Query::digest(int column) {
  const Bytes raw = bytes(column);
  Digest digest{};
  std::copy_n(raw.begin(), std::min(raw.size(), digest.size()), digest.begin());
  return digest;
}

Database::Database(const std::filesystem::path& file)
    : connection_(file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE | SQLite::OPEN_FULLMUTEX,
                  kBusyMilliseconds) {}

Error Database::error_of(const SQLite::Exception& exception) {
  const int code = exception.getErrorCode();
  const std::string what = std::string("the state's database: ") + exception.what();
  if (code == SQLITE_FULL) return Error{ErrorCode::kDiskFull, what + "; free some space"};
  if (code == SQLITE_NOMEM) return Error{ErrorCode::kOutOfMemory, what};
  if (is_damage(code)) return Error{ErrorCode::kStateCorrupt, what + "; run tacitd check"};
  return Error{ErrorCode::kStateFailed, what};
}

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& file) {
  try {
    std::unique_ptr<Database> database(new Database(file));
    TACIT_CHECK(database->prepare());
    return database;
  } catch (const SQLite::Exception& exception) { return error_of(exception).within(file.string()); }
}

// TRUNCATE: the write-ahead log of SQLite before 3.51.3 can damage a file whose connections checkpoint at one time, and a
// few hundred commits a second do not need it. FULL: what is committed survives a power cut.
Status Database::prepare() {
  connection_.exec("PRAGMA journal_mode = TRUNCATE");
  connection_.exec("PRAGMA synchronous = FULL");
  connection_.exec("PRAGMA foreign_keys = ON");
  connection_.exec("PRAGMA trusted_schema = OFF");
  connection_.exec("PRAGMA cell_size_check = ON");
  SQLite::Transaction transaction(connection_, SQLite::TransactionBehavior::IMMEDIATE);
  const int version = connection_.execAndGet("PRAGMA user_version").getInt();
  if (version < 0 || version > static_cast<int>(kMigrations.size()))
    return Error{ErrorCode::kStateVersion, "the state folder was written by a newer release (schema " +
                                               std::to_string(version) + ", this one knows " +
                                               std::to_string(kMigrations.size()) +
                                               "); start that release, or another state folder"};
  for (std::size_t i = static_cast<std::size_t>(version); i < kMigrations.size(); ++i)
    connection_.exec(kMigrations[i]);
  connection_.exec("PRAGMA user_version = " + std::to_string(kMigrations.size()));
  transaction.commit();
  data_version_ = connection_.execAndGet("PRAGMA data_version").getInt64();
  return {};
}

void Database::end_stale_transaction() {
  if (sqlite3_get_autocommit(connection_.getHandle()) == 0) connection_.exec("ROLLBACK");
}

Query Database::query(const char* sql) {
  std::unique_ptr<SQLite::Statement>& statement = statements_[sql];
  if (!statement) statement = std::make_unique<SQLite::Statement>(connection_, sql);
  return Query(*statement);
}

Result<bool> Database::changed_elsewhere() {
  const std::lock_guard lock(mutex_);
  try {
    const std::int64_t version = connection_.execAndGet("PRAGMA data_version").getInt64();
    return std::exchange(data_version_, version) != version;
  } catch (const SQLite::Exception& exception) { return error_of(exception); }
}

Result<std::vector<std::string>> Database::check() {
  return transact([&]() -> Result<std::vector<std::string>> {
    std::vector<std::string> troubles;
    Query integrity = query("PRAGMA integrity_check");
    while (integrity.next())
      if (integrity.text(0) != "ok") troubles.push_back(integrity.text(0));
    Query foreign = query("PRAGMA foreign_key_check");
    while (foreign.next()) troubles.push_back("a row of " + foreign.text(0) + " names one that is not there");
    return troubles;
  });
}

Status Database::copy_to(const std::filesystem::path& file) {
  const std::lock_guard lock(mutex_);
  try {
    SQLite::Database copy(file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    SQLite::Backup backup(copy, connection_);
    backup.executeStep(-1);
    return {};
  } catch (const SQLite::Exception& exception) { return error_of(exception).within(file.string()); }
}

}  // namespace tacit::server
