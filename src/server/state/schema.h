// SPDX-License-Identifier: Apache-2.0
// The tables. A released migration never changes: a new release adds one.
#pragma once

#include <array>

namespace tacit::server {

// kMigrations[i] brings schema i (PRAGMA user_version) to i + 1.
inline constexpr std::array<const char*, 4> kMigrations = {R"sql(
CREATE TABLE token (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  secret BLOB NOT NULL,
  scopes INTEGER NOT NULL,
  label TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER,
  revoked INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE piece (
  tenant TEXT NOT NULL,
  digest BLOB NOT NULL,
  header BLOB NOT NULL,
  bytes INTEGER NOT NULL,
  created INTEGER NOT NULL,
  PRIMARY KEY (tenant, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE key_set (
  tenant TEXT NOT NULL,
  id BLOB NOT NULL,
  tag BLOB NOT NULL,
  log_degree INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  created INTEGER NOT NULL,
  used INTEGER NOT NULL,
  PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX key_set_used ON key_set (used);

CREATE TABLE key_set_piece (
  tenant TEXT NOT NULL,
  id BLOB NOT NULL,
  digest BLOB NOT NULL,
  PRIMARY KEY (tenant, id, digest),
  FOREIGN KEY (tenant, id) REFERENCES key_set (tenant, id) ON DELETE CASCADE,
  FOREIGN KEY (tenant, digest) REFERENCES piece (tenant, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX key_set_piece_digest ON key_set_piece (tenant, digest);

CREATE TABLE job (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  tenant TEXT NOT NULL,
  model TEXT NOT NULL,
  stage INTEGER NOT NULL,
  key_id BLOB NOT NULL,
  input BLOB NOT NULL,
  request_id TEXT NOT NULL,
  client_id TEXT,
  timings INTEGER NOT NULL,
  state INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  result BLOB,
  error_code TEXT,
  error_text TEXT,
  created INTEGER NOT NULL,
  started INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  expires INTEGER NOT NULL
) STRICT;
CREATE INDEX job_state ON job (state, number);
CREATE INDEX job_tenant ON job (tenant, number);

CREATE TABLE idempotency (
  tenant TEXT NOT NULL,
  key TEXT NOT NULL,
  request BLOB NOT NULL,
  job TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  expires INTEGER NOT NULL,
  PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
)sql",
                                                           R"sql(
CREATE TABLE inference (
  tenant TEXT NOT NULL,
  slice INTEGER NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (tenant, slice)
) STRICT, WITHOUT ROWID;
)sql",
                                                           R"sql(
CREATE TABLE part (
  tenant TEXT NOT NULL,
  piece BLOB NOT NULL,
  number INTEGER NOT NULL,
  digest BLOB NOT NULL,
  bytes INTEGER NOT NULL,
  piece_bytes INTEGER NOT NULL,
  created INTEGER NOT NULL,
  PRIMARY KEY (tenant, piece, number)
) STRICT, WITHOUT ROWID;
)sql",
                                                           R"sql(
ALTER TABLE idempotency DROP COLUMN expires;
DROP INDEX job_state;
CREATE INDEX job_turn ON job (state, tenant, number);
)sql"};

}  // namespace tacit::server
