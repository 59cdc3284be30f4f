// SPDX-License-Identifier: Apache-2.0
#include "server/state/sqlite_ledger.h"

#include <algorithm>
#include <chrono>

#include "server/state/database.h"

namespace tacit::server {

namespace {

class SqliteLedger final : public Ledger {
 public:
  explicit SqliteLedger(std::shared_ptr<Database> database) : database_(std::move(database)) {}

  Status add_token(const Token& token) override {
    return database_->transact([&]() -> Status {
      database_
          ->query(
              "INSERT INTO token (id, tenant, secret, scopes, label, created, expires, revoked) "
              "VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
          .with(token.id)
          .with(token.tenant)
          .with(token.secret)
          .with(std::int64_t{token.scopes})
          .with(token.label)
          .with(token.created)
          .with(token.expires)
          .with(token.revoked)
          .run();
      return {};
    });
  }

  Result<std::vector<Token>> tokens() override {
    return database_->transact([&]() -> Result<std::vector<Token>> {
      Query rows = database_->query(
          "SELECT id, tenant, secret, scopes, label, created, expires, revoked FROM token ORDER BY created, "
          "id");
      std::vector<Token> tokens;
      while (rows.next()) {
        Token token{rows.text(0),
                    rows.text(1),
                    rows.digest(2),
                    static_cast<Scopes>(rows.number(3)),
                    rows.text(4),
                    rows.number(5),
                    {},
                    {}};
        if (!rows.is_null(6)) token.expires = rows.number(6);
        if (!rows.is_null(7)) token.revoked = rows.number(7);
        tokens.push_back(std::move(token));
      }
      return tokens;
    });
  }

  Result<bool> changed_elsewhere() override { return database_->changed_elsewhere(); }

  Result<bool> revoke_token(std::string_view id, Time now) override {
    return database_->transact([&]() -> Result<bool> {
      return database_->query("UPDATE token SET revoked = ? WHERE id = ? AND revoked IS NULL")
                 .with(now)
                 .with(id)
                 .run() > 0;
    });
  }

  Result<bool> add_piece(std::string_view tenant, const Digest& digest, ByteView header, std::uint64_t bytes,
                         Time now) override {
    return database_->transact([&]() -> Result<bool> {
      database_->query("DELETE FROM part WHERE tenant = ? AND piece = ?").with(tenant).with(digest).run();
      return database_
                 ->query(
                     "INSERT INTO piece (tenant, digest, header, bytes, created) VALUES (?, ?, ?, ?, ?) "
                     "ON CONFLICT DO NOTHING")
                 .with(tenant)
                 .with(digest)
                 .with(header)
                 .with(static_cast<std::int64_t>(bytes))
                 .with(now)
                 .run() > 0;
    });
  }

  Result<std::optional<Piece>> find_piece(std::string_view tenant, const Digest& digest) override {
    return database_->transact([&]() -> Result<std::optional<Piece>> {
      Query row = database_->query("SELECT digest, header, bytes FROM piece WHERE tenant = ? AND digest = ?");
      if (!row.with(tenant).with(digest).next()) return std::optional<Piece>();
      TACIT_TRY(Piece piece, read_piece(row));
      return std::optional(std::move(piece));
    });
  }

  Result<std::vector<Digest>> missing(std::string_view tenant, std::span<const Digest> pieces) override {
    return database_->transact([&]() -> Result<std::vector<Digest>> {
      std::vector<Digest> absent;
      for (const Digest& digest : pieces)
        if (!has_piece(tenant, digest)) absent.push_back(digest);
      return absent;
    });
  }

  Status forget_piece(std::string_view tenant, const Digest& digest) override {
    return database_->transact([&]() -> Status {
      database_
          ->query(
              "DELETE FROM key_set WHERE tenant = ?1 AND id IN "
              "(SELECT id FROM key_set_piece WHERE tenant = ?1 AND digest = ?2)")
          .with(tenant)
          .with(digest)
          .run();
      database_->query("DELETE FROM piece WHERE tenant = ? AND digest = ?").with(tenant).with(digest).run();
      return {};
    });
  }

  Result<bool> add_set(std::string_view tenant, const KeySet& set) override {
    return database_->transact([&]() -> Result<bool> {
      for (const Piece& piece : set.pieces)
        if (!has_piece(tenant, piece.digest))
          return Error{ErrorCode::kKeyMissing, "the piece " + to_hex(piece.digest) + " is not stored"};
      const bool added = database_
                             ->query(
                                 "INSERT INTO key_set (tenant, id, tag, log_degree, bytes, created, used) "
                                 "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
                             .with(tenant)
                             .with(set.id)
                             .with(ByteView(set.tag))
                             .with(std::int64_t{set.log_degree})
                             .with(static_cast<std::int64_t>(set.bytes))
                             .with(set.created)
                             .with(set.created)
                             .run() > 0;
      if (!added) return false;
      for (const Piece& piece : set.pieces)
        database_->query("INSERT INTO key_set_piece (tenant, id, digest) VALUES (?, ?, ?)")
            .with(tenant)
            .with(set.id)
            .with(piece.digest)
            .run();
      return true;
    });
  }

  Result<KeySet> find_set(std::string_view tenant, const Digest& id) override {
    return database_->transact([&]() -> Result<KeySet> {
      Query row = database_->query(
          "SELECT id, tag, log_degree, bytes, created, used FROM key_set WHERE tenant = ? AND id = ?");
      if (!row.with(tenant).with(id).next()) return unknown(id);
      return read_set(tenant, row);
    });
  }

  Result<std::vector<KeySet>> sets(std::string_view tenant) override {
    return database_->transact([&]() -> Result<std::vector<KeySet>> {
      Query rows = database_->query(
          "SELECT id, tag, log_degree, bytes, created, used FROM key_set WHERE tenant = ? ORDER BY used "
          "DESC, id");
      rows.with(tenant);
      std::vector<KeySet> sets;
      while (rows.next()) {
        TACIT_TRY(KeySet set, read_set(tenant, rows));
        sets.push_back(std::move(set));
      }
      return sets;
    });
  }

  Result<std::vector<Digest>> remove_set(std::string_view tenant, const Digest& id) override {
    return database_->transact([&]() -> Result<std::vector<Digest>> {
      std::vector<Digest> freed;
      {
        Query alone = database_->query(
            "SELECT digest FROM key_set_piece AS mine WHERE tenant = ?1 AND id = ?2 AND NOT EXISTS "
            "(SELECT 1 FROM key_set_piece WHERE tenant = ?1 AND digest = mine.digest AND id <> ?2)");
        alone.with(tenant).with(id);
        while (alone.next()) freed.push_back(alone.digest(0));
      }
      if (database_->query("DELETE FROM key_set WHERE tenant = ? AND id = ?").with(tenant).with(id).run() ==
          0)
        return unknown(id);
      for (const Digest& digest : freed)
        database_->query("DELETE FROM piece WHERE tenant = ? AND digest = ?").with(tenant).with(digest).run();
      return freed;
    });
  }

  Status touch_set(std::string_view tenant, const Digest& id, Time now) override {
    return database_->transact([&]() -> Status {
      database_->query("UPDATE key_set SET used = ?3 WHERE tenant = ?1 AND id = ?2 AND used < ?3")
          .with(tenant)
          .with(id)
          .with(now)
          .run();
      return {};
    });
  }

  Result<Usage> usage(std::string_view tenant) override {
    return database_->transact([&]() -> Result<Usage> {
      Query row = database_->query(
          "SELECT (SELECT coalesce(sum(bytes), 0) FROM piece WHERE tenant = ?1) + "
          "(SELECT coalesce(sum(bytes), 0) FROM part WHERE tenant = ?1), "
          "(SELECT count(*) FROM key_set WHERE tenant = ?1)");
      row.with(tenant).next();
      return Usage{static_cast<std::uint64_t>(row.number(0)), static_cast<std::uint64_t>(row.number(1))};
    });
  }

  Result<std::vector<std::string>> tenants() override {
    return database_->transact([&]() -> Result<std::vector<std::string>> {
      Query rows = database_->query(
          "SELECT tenant FROM token UNION SELECT tenant FROM key_set UNION SELECT tenant FROM piece UNION "
          "SELECT tenant FROM part ORDER BY tenant");
      std::vector<std::string> names;
      while (rows.next()) names.push_back(rows.text(0));
      return names;
    });
  }

  Status forget_tenant(std::string_view tenant) override {
    return database_->transact([&]() -> Status {
      for (const char* rows : {"DELETE FROM key_set WHERE tenant = ?", "DELETE FROM piece WHERE tenant = ?",
                               "DELETE FROM part WHERE tenant = ?", "DELETE FROM inference WHERE tenant = ?"})
        database_->query(rows).with(tenant).run();
      return {};
    });
  }

  Result<std::optional<Time>> count_inferences(std::string_view tenant, std::uint64_t count,
                                               std::uint64_t limit, Time now) override {
    return database_->transact([&]() -> Result<std::optional<Time>> {
      // The first slice of which some part is less than a day ago.
      const Time first = (now - kDay) / kInferenceSlice;
      database_->query("DELETE FROM inference WHERE tenant = ? AND slice < ?").with(tenant).with(first).run();
      std::uint64_t used = 0;
      {
        Query sum = database_->query("SELECT coalesce(sum(count), 0) FROM inference WHERE tenant = ?");
        sum.with(tenant).next();
        used = static_cast<std::uint64_t>(sum.number(0));
      }
      if (used + count > limit) return time_for(tenant, used + count - limit);
      database_
          ->query(
              "INSERT INTO inference (tenant, slice, count) VALUES (?, ?, ?) "
              "ON CONFLICT DO UPDATE SET count = count + excluded.count")
          .with(tenant)
          .with(now / kInferenceSlice)
          .with(static_cast<std::int64_t>(count))
          .run();
      return std::optional<Time>();
    });
  }

  Status return_inferences(std::string_view tenant, std::uint64_t count, Time counted) override {
    return database_->transact([&]() -> Status {
      database_->query("UPDATE inference SET count = max(count - ?, 0) WHERE tenant = ? AND slice = ?")
          .with(static_cast<std::int64_t>(count))
          .with(tenant)
          .with(counted / kInferenceSlice)
          .run();
      return {};
    });
  }

  Result<std::vector<Owned>> idle_sets(Time before) override {
    return database_->transact([&]() -> Result<std::vector<Owned>> {
      Query rows = database_->query("SELECT tenant, id FROM key_set WHERE used < ? ORDER BY used");
      return owned(rows.with(before));
    });
  }

  Result<std::vector<Owned>> loose_pieces(Time before) override {
    return database_->transact([&]() -> Result<std::vector<Owned>> {
      Query rows = database_->query(
          "SELECT tenant, digest FROM piece WHERE created < ? AND NOT EXISTS "
          "(SELECT 1 FROM key_set_piece WHERE tenant = piece.tenant AND digest = piece.digest)");
      return owned(rows.with(before));
    });
  }

  Result<bool> remove_loose(std::string_view tenant, const Digest& piece) override {
    return database_->transact([&]() -> Result<bool> {
      return database_
                 ->query(
                     "DELETE FROM piece WHERE tenant = ? AND digest = ? AND NOT EXISTS "
                     "(SELECT 1 FROM key_set_piece WHERE tenant = piece.tenant AND digest = piece.digest)")
                 .with(tenant)
                 .with(piece)
                 .run() > 0;
    });
  }

  Status put_part(std::string_view tenant, const Part& part, Time now) override {
    return database_->transact([&]() -> Status {
      Query other =
          database_->query("SELECT 1 FROM part WHERE tenant = ? AND piece = ? AND piece_bytes <> ?");
      if (other.with(tenant).with(part.piece).with(static_cast<std::int64_t>(part.piece_bytes)).next())
        return Error{
            ErrorCode::kUploadMismatch,
            "earlier parts of this piece were sent for a piece of another length; DELETE its parts and "
            "begin anew"};
      database_
          ->query(
              "INSERT OR REPLACE INTO part (tenant, piece, number, digest, bytes, piece_bytes, created) "
              "VALUES (?, ?, ?, ?, ?, ?, ?)")
          .with(tenant)
          .with(part.piece)
          .with(std::int64_t{part.number})
          .with(part.digest)
          .with(static_cast<std::int64_t>(part.bytes))
          .with(static_cast<std::int64_t>(part.piece_bytes))
          .with(now)
          .run();
      return {};
    });
  }

  Result<std::vector<Part>> parts(std::string_view tenant, const Digest& piece) override {
    return database_->transact([&]() -> Result<std::vector<Part>> {
      Query rows = database_->query(
          "SELECT number, digest, bytes, piece_bytes FROM part WHERE tenant = ? AND piece = ? ORDER BY "
          "number");
      rows.with(tenant).with(piece);
      std::vector<Part> parts;
      while (rows.next())
        parts.push_back({piece, static_cast<std::uint32_t>(rows.number(0)), rows.digest(1),
                         static_cast<std::uint64_t>(rows.number(2)),
                         static_cast<std::uint64_t>(rows.number(3))});
      return parts;
    });
  }

  Status forget_parts(std::string_view tenant, const Digest& piece) override {
    return database_->transact([&]() -> Status {
      database_->query("DELETE FROM part WHERE tenant = ? AND piece = ?").with(tenant).with(piece).run();
      return {};
    });
  }

  Result<std::vector<Owned>> abandoned_parts(Time before) override {
    return database_->transact([&]() -> Result<std::vector<Owned>> {
      Query rows =
          database_->query("SELECT tenant, piece FROM part GROUP BY tenant, piece HAVING max(created) < ?");
      return owned(rows.with(before));
    });
  }

  Result<std::vector<Owned>> unfinished() override {
    return database_->transact([&]() -> Result<std::vector<Owned>> {
      Query rows = database_->query("SELECT DISTINCT tenant, piece FROM part");
      return owned(rows);
    });
  }

  Result<std::vector<Owned>> pieces() override {
    return database_->transact([&]() -> Result<std::vector<Owned>> {
      Query rows = database_->query("SELECT tenant, digest FROM piece ORDER BY tenant, digest");
      return owned(rows);
    });
  }

 private:
  // When so many of the tenant's predictions will be forgotten.
  std::optional<Time> time_for(std::string_view tenant, std::uint64_t count) {
    Query slices = database_->query("SELECT slice, count FROM inference WHERE tenant = ? ORDER BY slice");
    slices.with(tenant);
    Time slice = 0;
    for (std::uint64_t freed = 0; freed < count && slices.next();) {
      slice = slices.number(0);
      freed += static_cast<std::uint64_t>(slices.number(1));
    }
    return (slice + 1) * kInferenceSlice + kDay;
  }

  static Error unknown(const Digest& id) {
    return Error{ErrorCode::kKeyUnknown,
                 "no evaluation keys are stored under " + to_hex(id) + "; POST /v2/keys first"};
  }

  bool has_piece(std::string_view tenant, const Digest& digest) {
    return database_->query("SELECT 1 FROM piece WHERE tenant = ? AND digest = ?")
        .with(tenant)
        .with(digest)
        .next();
  }

  // Columns: digest, header, bytes.
  static Result<Piece> read_piece(Query& row) {
    const auto header = ckks::read_key_header(row.bytes(1));
    if (!header.ok())
      return Error{ErrorCode::kStateCorrupt, "the state's database: the row of the piece " +
                                                 to_hex(row.digest(0)) + " is damaged; run tacitd check"};
    return Piece{row.digest(0), *header, static_cast<std::uint64_t>(row.number(2))};
  }

  // Columns: id, tag, log_degree, bytes, created, used.
  Result<KeySet> read_set(std::string_view tenant, Query& row) {
    KeySet set;
    set.id = row.digest(0);
    const Bytes tag = row.bytes(1);
    std::copy_n(tag.begin(), std::min(tag.size(), set.tag.size()), set.tag.begin());
    set.log_degree = static_cast<int>(row.number(2));
    set.bytes = static_cast<std::uint64_t>(row.number(3));
    set.created = row.number(4);
    set.used = row.number(5);
    Query pieces = database_->query(
        "SELECT piece.digest, piece.header, piece.bytes FROM key_set_piece "
        "JOIN piece ON piece.tenant = key_set_piece.tenant AND piece.digest = key_set_piece.digest "
        "WHERE key_set_piece.tenant = ? AND key_set_piece.id = ? ORDER BY piece.digest");
    pieces.with(tenant).with(set.id);
    while (pieces.next()) {
      TACIT_TRY(Piece piece, read_piece(pieces));
      set.pieces.push_back(std::move(piece));
    }
    return set;
  }

  static std::vector<Owned> owned(Query& rows) {
    std::vector<Owned> all;
    while (rows.next()) all.push_back({rows.text(0), rows.digest(1)});
    return all;
  }

  const std::shared_ptr<Database> database_;
};

}  // namespace

std::unique_ptr<Ledger> make_sqlite_ledger(std::shared_ptr<Database> database) {
  return std::make_unique<SqliteLedger>(std::move(database));
}

}  // namespace tacit::server
