// SPDX-License-Identifier: Apache-2.0
// The SQLite file behind ledger and queue: one connection, one user at a time. Private to this folder: what includes it is tied
// to SQLite.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>

#include "base/digest.h"
#include "base/result.h"

namespace tacit::server {

// A statement of the cache, reset and unbound when it goes out of scope.
class Query {
 public:
  explicit Query(SQLite::Statement& statement) : statement_(statement) {}
  ~Query() {
    statement_.tryReset();
    statement_.clearBindings();
  }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  // Binds the next value.
  Query& with(std::int64_t value) { return bind(value); }
  Query& with(std::string_view text) { return bind(std::string(text)); }
  Query& with(ByteView bytes) {
    statement_.bind(next_++, bytes.data(), static_cast<int>(bytes.size()));
    return *this;
  }
  Query& with(const Digest& digest) { return with(ByteView(digest)); }
  template <class T>
  Query& with(const std::optional<T>& value) {
    if (value) return with(*value);
    statement_.bind(next_++);
    return *this;
  }

  // Whether there is a row (more).
  bool next() { return statement_.executeStep(); }
  // For what answers no rows: how many it has changed.
  int run() { return statement_.exec(); }

  std::int64_t number(int column) { return statement_.getColumn(column).getInt64(); }
  std::string text(int column) { return statement_.getColumn(column).getString(); }
  Bytes bytes(int column);
  Digest digest(int column);
  bool is_null(int column) { return statement_.isColumnNull(column); }

 private:
  template <class T>
  Query& bind(const T& value) {
    statement_.bind(next_++, value);
    return *this;
  }
  SQLite::Statement& statement_;
  int next_ = 1;
};

class Database {
 public:
  // Makes the file where there is none, and brings an older schema to the present one. kStateCorrupt where it is no such file
  // or damaged, kStateVersion where a newer release has written it, kStateFailed.
  static Result<std::unique_ptr<Database>> open(const std::filesystem::path& file);

  // Runs `work` alone and as one transaction, and answers what it does: a Result, whose error undoes everything. What SQLite
  // throws becomes kDiskFull or kStateFailed. Durable when it returns.
  template <class F>
  std::invoke_result_t<F> transact(const F& work);

  // Only within transact. The text must be a literal.
  Query query(const char* sql);

  // Whether another connection has committed since the last call.
  Result<bool> changed_elsewhere();
  // Everything that SQLite's own check finds wrong; empty where nothing is.
  Result<std::vector<std::string>> check();
  // A copy of the file as it stands at one moment. kDiskFull, kStateFailed.
  Status copy_to(const std::filesystem::path& file);

 private:
  explicit Database(const std::filesystem::path& file);
  Status prepare();
  // Undoes what an earlier transact() could not undo, for want of memory: everything after it would be refused.
  void end_stale_transaction();
  static Error error_of(const SQLite::Exception& exception);

  std::mutex mutex_;
  SQLite::Database connection_;
  std::int64_t data_version_ = 0;
  std::map<const char*, std::unique_ptr<SQLite::Statement>> statements_;
};

template <class F>
std::invoke_result_t<F> Database::transact(const F& work) {
  const std::lock_guard lock(mutex_);
  try {
    end_stale_transaction();
    SQLite::Transaction transaction(connection_, SQLite::TransactionBehavior::IMMEDIATE);
    auto result = work();
    if (result.ok()) transaction.commit();
    return result;
  } catch (const SQLite::Exception& exception) { return error_of(exception); }
}

}  // namespace tacit::server
