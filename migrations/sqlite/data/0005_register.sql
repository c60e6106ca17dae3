-- What a decision goes by: instructions, keys, principals; and what the tenant is told.
-- Lock: none that matters, the tables are new. Irreversible.

CREATE TABLE instruction_version (
    tenant_no     INTEGER NOT NULL,
    uuid          BLOB    NOT NULL CHECK (length(uuid) = 16),  -- the same for all versions
    version       INTEGER NOT NULL,             -- from 1
    status        TEXT    NOT NULL,             -- draft, active, suspended, challenged, revoked, expired, superseded
    hash          BLOB    NOT NULL CHECK (length(hash) = 32),
    created_at    INTEGER NOT NULL,
    activated_at  INTEGER,                      -- NULL = never
    body_leaf     INTEGER,
    body_revision INTEGER NOT NULL,
    body          BLOB,                         -- sealed: the whole object
    PRIMARY KEY (tenant_no, uuid, version)
) STRICT;

CREATE TABLE api_key (
    tenant_no           INTEGER NOT NULL,
    uuid                BLOB    NOT NULL CHECK (length(uuid) = 16),
    secret_hash         BLOB    NOT NULL CHECK (length(secret_hash) = 32),
    role                TEXT    NOT NULL,
    principal           BLOB    NOT NULL CHECK (length(principal) = 16),
    employer            TEXT    NOT NULL,       -- tenant, operator, recipient
    recipient           BLOB,                   -- id of the recipient that employs
    country             TEXT    NOT NULL,
    default_instruction BLOB,
    default_purpose     TEXT,
    datasets            BLOB,                   -- ids, 16 bytes each; NULL = all
    created_at          INTEGER NOT NULL,
    expires_at          INTEGER,
    revoked_at          INTEGER,
    meta_leaf           INTEGER,
    meta_revision       INTEGER NOT NULL,
    meta                BLOB,                   -- sealed: its name
    PRIMARY KEY (tenant_no, uuid)
) STRICT;

-- Entries name principals by random ids; this table resolves them and expires.
CREATE TABLE principal (
    tenant_no     INTEGER NOT NULL,
    uuid          BLOB    NOT NULL CHECK (length(uuid) = 16),
    handle        BLOB    NOT NULL CHECK (length(handle) = 32),  -- HMAC of the name the tenant uses
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER,
    name_leaf     INTEGER,
    name_revision INTEGER NOT NULL,
    name          BLOB,                         -- sealed
    PRIMARY KEY (tenant_no, uuid),
    UNIQUE (tenant_no, handle)
) STRICT;

CREATE TABLE notice (
    tenant_no INTEGER NOT NULL,
    uuid      BLOB    NOT NULL CHECK (length(uuid) = 16),
    kind      TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    state     TEXT    NOT NULL,                 -- new, acknowledged
    log_index INTEGER,                          -- the entry it speaks of
    PRIMARY KEY (tenant_no, uuid)
) STRICT;

-- Just enough to honour an objection or an erasure at the next import.
CREATE TABLE suppression (
    tenant_no  INTEGER NOT NULL,
    tag        BLOB    NOT NULL CHECK (length(tag) = 16),  -- HMAC under the tenant's suppression key
    month      INTEGER NOT NULL,                -- year * 12 + month - 1
    reason     TEXT    NOT NULL,                -- a code
    expires_at INTEGER,
    PRIMARY KEY (tenant_no, tag)
) STRICT, WITHOUT ROWID;
