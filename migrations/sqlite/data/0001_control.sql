-- Tenants of the cell and the small rows every commit is checked against.
-- Lock: none that matters, the tables are new. Irreversible.

-- Numbers that are given out once and never again.
CREATE TABLE cell_counter (
    name  TEXT    NOT NULL PRIMARY KEY,  -- what is counted
    value INTEGER NOT NULL               -- the last number given out
) STRICT, WITHOUT ROWID;
INSERT INTO cell_counter (name, value) VALUES ('tenant_no', 0), ('probe', 0);

CREATE TABLE tenant (
    tenant_no       INTEGER NOT NULL PRIMARY KEY,  -- cell-local number, from 1
    uuid            BLOB    NOT NULL UNIQUE CHECK (length(uuid) = 16),
    region          TEXT    NOT NULL,              -- where the tenant lives
    state           TEXT    NOT NULL,              -- active, restricted, closing, closed
    key_state       TEXT    NOT NULL,              -- active, disabled, unreachable, destroyed
    created_at      INTEGER NOT NULL,              -- microseconds since 1970
    facts           TEXT    NOT NULL,              -- what policy needs before a key: places, agreement; no personal data
    meta_leaf       INTEGER,                       -- system leaf the sealed texts grow from
    meta_revision   INTEGER NOT NULL,
    meta            BLOB,                          -- sealed: name and other texts of the tenant
    last_dataset_no INTEGER NOT NULL               -- the last dataset number given out
) STRICT;

-- Changes only when control changes: not a hot row. Number 0 is the operator's log.
CREATE TABLE tenant_control (
    tenant_no INTEGER NOT NULL PRIMARY KEY,
    state_gen INTEGER NOT NULL,                    -- asserted by every decision
    dir_gen   INTEGER NOT NULL,                    -- asserted by writes besides
    key_epoch INTEGER NOT NULL,                    -- carried in receipts
    state     TEXT    NOT NULL                     -- as in tenant
) STRICT;
INSERT INTO tenant_control (tenant_no, state_gen, dir_gen, key_epoch, state) VALUES (0, 1, 1, 0, 'active');
