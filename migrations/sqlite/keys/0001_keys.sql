-- The key store: ciphertext and numbers, no secret. Replicated, never restored.
-- Lock: none that matters, the tables are new. Irreversible.

-- The row whose change is the decision.
CREATE TABLE key_head (
    tenant          BLOB    NOT NULL PRIMARY KEY CHECK (length(tenant) = 16),
    epoch           INTEGER NOT NULL,           -- in force
    directory       BLOB    NOT NULL,           -- in force
    forgotten_epoch INTEGER NOT NULL,           -- the slot has forgotten every key before this epoch
    slot            BLOB    NOT NULL            -- which slot this history belongs to
) STRICT, WITHOUT ROWID;

CREATE TABLE key_directory (
    tenant    BLOB    NOT NULL,
    directory BLOB    NOT NULL,
    epoch     INTEGER NOT NULL,
    blob      BLOB    NOT NULL,                 -- LV1 kind 13
    PRIMARY KEY (tenant, directory)
) STRICT;

CREATE TABLE key_page (
    tenant      BLOB    NOT NULL,
    page        BLOB    NOT NULL,
    blob        BLOB    NOT NULL,               -- LV1 kind 12
    named_epoch INTEGER,                        -- first epoch whose directory names it; NULL = none yet
    inserted_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, page)
) STRICT;

CREATE TABLE key_hop (
    tenant    BLOB    NOT NULL,
    epoch     INTEGER NOT NULL,                 -- the one it leads to
    directory BLOB    NOT NULL,
    blob      BLOB    NOT NULL,                 -- LV1 kind 14
    PRIMARY KEY (tenant, epoch)
) STRICT;

CREATE TABLE key_kek (
    tenant     BLOB    NOT NULL,
    generation INTEGER NOT NULL,
    wrapped    BLOB    NOT NULL,
    state      TEXT    NOT NULL,                -- active, destroyed
    PRIMARY KEY (tenant, generation)
) STRICT;

CREATE TABLE leaf_hwm (
    tenant     BLOB    NOT NULL,
    dataset_no INTEGER NOT NULL,
    tree       INTEGER NOT NULL,
    next_leaf  INTEGER NOT NULL,                -- first leaf never issued
    PRIMARY KEY (tenant, dataset_no, tree)
) STRICT, WITHOUT ROWID;

CREATE TABLE node_epoch (
    tenant  BLOB    NOT NULL,
    node    BLOB    NOT NULL,
    epoch   INTEGER NOT NULL,                   -- it holds no older key
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, node)
) STRICT, WITHOUT ROWID;

-- Secrets of the cell, wrapped by the root provider: the log's signing key.
CREATE TABLE cell_secret (
    name       TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    wrapped    BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (name, generation)
) STRICT;

-- Size and root of the last published checkpoint, where a restored data store cannot reach it.
CREATE TABLE log_head (
    log  BLOB    NOT NULL PRIMARY KEY,          -- tenant id; all zero = the operator's log
    size INTEGER NOT NULL,
    root BLOB    NOT NULL CHECK (length(root) = 32)
) STRICT, WITHOUT ROWID;
