-- Work that outlives a request: jobs, imports, exports, replays, erasures.
-- Lock: none that matters, the tables are new. Irreversible.

-- A job is a leased row. What it works on is sealed and goes when it is done.
CREATE TABLE operation (
    tenant_no        INTEGER NOT NULL,
    uuid             BLOB    NOT NULL CHECK (length(uuid) = 16),
    kind             TEXT    NOT NULL,
    subject          BLOB,                      -- id of the import, export or dataset it is about
    state            TEXT    NOT NULL,          -- running, done, failed
    error            TEXT,                      -- a code
    done             INTEGER NOT NULL,
    total            INTEGER,
    attempts         INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    run_at           INTEGER NOT NULL,          -- not before
    lease_node       BLOB,
    lease_until      INTEGER NOT NULL,          -- 0 = free
    payload_leaf     INTEGER,
    payload_revision INTEGER NOT NULL,
    payload          BLOB,
    result_leaf      INTEGER,
    result_revision  INTEGER NOT NULL,
    result           BLOB,
    PRIMARY KEY (tenant_no, uuid)
) STRICT;
CREATE INDEX operation_due ON operation (run_at, tenant_no, uuid) WHERE state = 'running';

CREATE TABLE import_batch (
    tenant_no     INTEGER NOT NULL,
    batch_no      INTEGER NOT NULL,             -- as leads carry it
    uuid          BLOB    NOT NULL CHECK (length(uuid) = 16),
    dataset_no    INTEGER NOT NULL,
    state         TEXT    NOT NULL,             -- open, running, quarantined, done, failed, undone
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER,                      -- end of a quarantine
    next_byte     INTEGER NOT NULL,             -- where the client goes on
    next_row      INTEGER NOT NULL,             -- data record that begins there, from 1
    rows_read     INTEGER NOT NULL,
    rows_stored   INTEGER NOT NULL,
    rows_updated  INTEGER NOT NULL,
    rows_skipped  INTEGER NOT NULL,
    rows_rejected INTEGER NOT NULL,
    lease_node    BLOB,                         -- one bulk load per dataset at a time
    lease_until   INTEGER NOT NULL,
    meta_leaf     INTEGER,
    meta_revision INTEGER NOT NULL,
    meta          BLOB,                         -- sealed: mapping, attestation, what was detected
    cursor_leaf     INTEGER,
    cursor_revision INTEGER NOT NULL,
    cursor        BLOB,                         -- sealed: digest of the bytes before next_byte
    PRIMARY KEY (tenant_no, batch_no),
    UNIQUE (tenant_no, uuid)
) STRICT;

-- The leaves of a batch: undo and retention work on ranges.
CREATE TABLE import_range (
    tenant_no INTEGER NOT NULL, batch_no INTEGER NOT NULL, dataset_no INTEGER NOT NULL,
    tree INTEGER NOT NULL, first_leaf INTEGER NOT NULL, end_leaf INTEGER NOT NULL,
    PRIMARY KEY (tenant_no, batch_no, tree, first_leaf)
) STRICT, WITHOUT ROWID;

-- Numbers and codes, no values.
CREATE TABLE import_failure (
    tenant_no INTEGER NOT NULL, batch_no INTEGER NOT NULL, row_no INTEGER NOT NULL,
    column_no INTEGER NOT NULL,                 -- from 0; -1 = the row as a whole
    code TEXT NOT NULL,
    PRIMARY KEY (tenant_no, batch_no, row_no, column_no, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE export (
    tenant_no     INTEGER NOT NULL,
    uuid          BLOB    NOT NULL CHECK (length(uuid) = 16),
    operation     BLOB    NOT NULL,
    dataset_no    INTEGER,                      -- NULL = all
    state         TEXT    NOT NULL,             -- running, ready, stale, expired
    encrypted     INTEGER NOT NULL,
    delivered     INTEGER NOT NULL,             -- downloads begun
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    leaf          INTEGER NOT NULL,             -- its chunks grow from this system leaf
    object        BLOB,                         -- name of the finished file in files/
    sha256        BLOB,
    bytes         INTEGER,
    leads         INTEGER,
    log_index     INTEGER,                      -- of export.ready
    meta_leaf     INTEGER,
    meta_revision INTEGER NOT NULL,
    meta          BLOB,                         -- sealed: what it was asked for
    PRIMARY KEY (tenant_no, uuid)
) STRICT;

-- Rendered parts: which leads are in them, and the file in files/ that holds the chunks.
CREATE TABLE export_part (
    tenant_no  INTEGER NOT NULL,
    export     BLOB    NOT NULL,
    part_no    INTEGER NOT NULL,
    dataset_no INTEGER NOT NULL,
    tree       INTEGER NOT NULL,
    first_leaf INTEGER NOT NULL,
    end_leaf   INTEGER NOT NULL,
    object     BLOB    NOT NULL,
    chunks     INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    leads      INTEGER NOT NULL,
    PRIMARY KEY (tenant_no, export, part_no)
) STRICT;

-- Idempotency: no value of a request, only HMACs and sealed ids.
CREATE TABLE replay (
    tenant_no       INTEGER NOT NULL,
    key_hmac        BLOB    NOT NULL CHECK (length(key_hmac) = 32),
    body_hmac       BLOB    NOT NULL CHECK (length(body_hmac) = 32),
    status          INTEGER NOT NULL,           -- of the first answer
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    answer_leaf     INTEGER,
    answer_revision INTEGER NOT NULL,
    answer          BLOB,                       -- sealed: ids and revision
    PRIMARY KEY (tenant_no, key_hmac)
) STRICT;
CREATE INDEX replay_by_expiry ON replay (tenant_no, expires_at);

-- From erase.requested to erase.completed.
CREATE TABLE erase_request (
    tenant_no       INTEGER NOT NULL,
    lead            BLOB    NOT NULL CHECK (length(lead) = 16),
    dataset_no      INTEGER NOT NULL,
    tree            INTEGER NOT NULL,
    leaf            INTEGER NOT NULL,
    reference       BLOB,                       -- as in the log; NULL once the leaf is punctured and logged
    requested_index INTEGER NOT NULL,
    requested_at    INTEGER NOT NULL,
    operation       BLOB,
    state           TEXT    NOT NULL,           -- requested, punctured, completed
    epoch           INTEGER,
    completed_index INTEGER,
    receipt_leaf     INTEGER,
    receipt_revision INTEGER NOT NULL,
    receipt         BLOB,                       -- sealed
    PRIMARY KEY (tenant_no, lead)
) STRICT;
CREATE INDEX erase_open ON erase_request (tenant_no, requested_index) WHERE state <> 'completed';
