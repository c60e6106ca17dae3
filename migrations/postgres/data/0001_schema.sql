-- The data store, as migrations 0001 to 0017 of SQLite made it. What differs: the tags of a lead are columns of
-- its row with an index each, and there is no stage (docs/adr/0005 is about pages of one file).
-- Lock: none that matters, the tables are new. Irreversible.
--
-- Every primary key and unique index begins with the tenant, and no statement joins two tenants: the schema
-- distributes by tenant_no as it is (docs/SCALING.md).

-- Who may do what. The application's login is a member of lv_app and of nothing else.
DO $$
DECLARE role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['lv_app', 'lv_cell', 'lv_journal', 'lv_pruner'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', role);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database was first
            END;
        END IF;
    END LOOP;
    -- lv_app becomes one of the others for a transaction (SET LOCAL ROLE); it inherits nothing of them.
    FOREACH role IN ARRAY ARRAY['lv_cell', 'lv_journal', 'lv_pruner'] LOOP
        IF NOT pg_has_role('lv_app', role, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO lv_app', role);
        END IF;
    END LOOP;
END $$;

-- Numbers that are given out once and never again.
CREATE TABLE cell_counter (
    name  text   NOT NULL PRIMARY KEY,   -- what is counted
    value bigint NOT NULL                -- the last number given out
);
INSERT INTO cell_counter (name, value) VALUES ('tenant_no', 0), ('probe', 0);

CREATE TABLE tenant (
    tenant_no       integer NOT NULL PRIMARY KEY,  -- cell-local number, from 1
    uuid            bytea   NOT NULL UNIQUE CHECK (length(uuid) = 16),
    region          text    NOT NULL,              -- where the tenant lives
    state           text    NOT NULL,              -- active, restricted, closing, closed
    key_state       text    NOT NULL,              -- active, disabled, unreachable, destroyed
    created_at      bigint  NOT NULL,              -- microseconds since 1970
    facts           text    NOT NULL,              -- what policy needs before a key: places, agreement; no personal data
    meta_leaf       bigint,                        -- system leaf the sealed texts grow from
    meta_revision   bigint  NOT NULL,
    meta            bytea,                         -- sealed: name and other texts of the tenant
    last_dataset_no integer NOT NULL               -- the last dataset number given out
);

-- Changes only when control changes: not a hot row. Number 0 is the operator's log.
CREATE TABLE tenant_control (
    tenant_no integer NOT NULL PRIMARY KEY,
    state_gen bigint  NOT NULL,                    -- asserted by every decision
    dir_gen   bigint  NOT NULL,                    -- asserted by writes besides
    key_epoch bigint  NOT NULL,                    -- carried in receipts
    state     text    NOT NULL                     -- as in tenant
);
INSERT INTO tenant_control (tenant_no, state_gen, dir_gen, key_epoch, state) VALUES (0, 1, 1, 0, 'active');

-- The journal: a batch is one row, and its primary key is the lock. Insert-only but for pruning.
CREATE TABLE log_chunk (
    tenant_no   integer NOT NULL,
    first_index bigint  NOT NULL CHECK (first_index >= 0),
    n           integer NOT NULL CHECK (n BETWEEN 1 AND 256),
    state_gen   bigint  NOT NULL,                  -- generation at the commit
    key_epoch   bigint  NOT NULL,                  -- epoch at the commit
    t_min       bigint  NOT NULL,                  -- earliest time an entry says, microseconds
    t_max       bigint  NOT NULL,                  -- latest time an entry says
    bytes       bytea   NOT NULL,                  -- entries, each behind its length in 16 bits, big-endian
    PRIMARY KEY (tenant_no, first_index)
);
ALTER TABLE log_chunk ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- The tile builder's; never in the acknowledging path.
CREATE TABLE log_tree (
    tenant_no  integer NOT NULL PRIMARY KEY,
    built      bigint  NOT NULL,                   -- entries that lie in files
    frontier   bytea   NOT NULL,                   -- right edge of the tree of that size
    checkpoint text                                -- the last signed one
);

CREATE TABLE log_upkeep (
    tenant_no integer NOT NULL PRIMARY KEY,
    said_at   bigint  NOT NULL,                    -- when heartbeat and stats were last written, microseconds
    said_to   bigint  NOT NULL,                    -- first index that the next stats are about
    active_at bigint  NOT NULL                     -- when the log was last found to have other entries
);

-- The number of a lead's row: its leaf address in one number, so that the order of rows is the order of leaves
-- and one index serves both. 2^19 datasets, 4,096 trees each, 2^32 leaves each; the store refuses more.
CREATE FUNCTION lead_row(dataset_no bigint, tree bigint, leaf bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (dataset_no * 4096 + tree) * 4294967296 + leaf;

-- Leads: sealed compartments, the labels policy reads before a key, and the tags searches go by.
-- Wide columns first: none is padded.
CREATE TABLE lead (
    row_id      bigint   NOT NULL,                 -- lead_row(dataset_no, tree, leaf)
    leaf        bigint   NOT NULL,                 -- leaf address: written once, never recomputed
    labels      bigint   NOT NULL,                 -- 64 flags, categories and regimes
    email_tag   bigint,                            -- first e-mail; NULL = none, or erased
    phone_tag   bigint,
    domain_tag  bigint,
    dup_no      bigint   NOT NULL,                 -- 0, or the leaf where duplicates are allowed
    batch       bigint,                            -- number of the import
    row_no      bigint,                            -- data record of the file, from 1
    created_min bigint   NOT NULL,                 -- cut to the minute
    updated_min bigint   NOT NULL,
    tenant_no   integer  NOT NULL,
    dataset_no  integer  NOT NULL,
    tree        integer  NOT NULL,
    version     integer  NOT NULL,                 -- ETag; every change adds one
    index_epoch integer  NOT NULL,                 -- of the tag key the tags were made with
    contact_revision integer NOT NULL,
    profile_revision integer NOT NULL,
    contact_schema integer NOT NULL,
    profile_schema integer NOT NULL,
    parts       smallint NOT NULL,                 -- rows in lead_part
    tombstone   smallint NOT NULL,                 -- 1 = erasure requested: nothing is found any more
    lead        bytea    NOT NULL CHECK (length(lead) = 16),  -- UUID
    contact     bytea,                             -- sealed compartment 1
    profile     bytea,                             -- sealed compartment 2
    PRIMARY KEY (tenant_no, row_id)
);
-- Ciphertext does not compress.
ALTER TABLE lead ALTER COLUMN contact SET STORAGE EXTERNAL, ALTER COLUMN profile SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX lead_by_id ON lead (tenant_no, lead);
-- Its key is what refuses duplicates.
CREATE UNIQUE INDEX lead_by_email ON lead (tenant_no, dataset_no, email_tag, dup_no) WHERE email_tag IS NOT NULL;
CREATE INDEX lead_by_phone ON lead (tenant_no, dataset_no, phone_tag) WHERE phone_tag IS NOT NULL;
CREATE INDEX lead_by_domain ON lead (tenant_no, dataset_no, domain_tag) WHERE domain_tag IS NOT NULL;
CREATE INDEX lead_tombstone ON lead (tenant_no, dataset_no) WHERE tombstone = 1;

-- Compartments other than contact and profile: notes and parts, one row each.
CREATE TABLE lead_part (
    tenant_no   integer NOT NULL,
    row_id      bigint  NOT NULL,
    compartment integer NOT NULL,
    schema      integer NOT NULL,
    revision    bigint  NOT NULL,
    blob        bytea   NOT NULL,
    PRIMARY KEY (tenant_no, row_id, compartment)
);
ALTER TABLE lead_part ALTER COLUMN blob SET STORAGE EXTERNAL;

-- Further values, and the client's own id.
CREATE TABLE lead_tag (
    tenant_no integer NOT NULL, dataset_no integer NOT NULL, kind integer NOT NULL, tag bigint NOT NULL,
    row_id bigint NOT NULL,
    PRIMARY KEY (tenant_no, dataset_no, kind, tag, row_id)
);
CREATE INDEX lead_tag_by_row ON lead_tag (tenant_no, row_id);

-- Datasets of a tenant.
CREATE TABLE dataset (
    tenant_no        integer NOT NULL,
    dataset_no       integer NOT NULL,          -- cell-local, from 1, never given out again
    uuid             bytea   NOT NULL CHECK (length(uuid) = 16),
    tree             bigint  NOT NULL,          -- tree new leads take their leaves from
    state            text    NOT NULL,          -- active, shredding, shredded
    created_at       bigint  NOT NULL,
    meta_leaf        bigint,
    meta_revision    bigint  NOT NULL,
    meta             bytea,                     -- sealed: name, region for phones, origin
    columns_leaf     bigint,
    columns_revision bigint  NOT NULL,
    columns          bytea,                     -- sealed: headers and categories of unmapped columns
    PRIMARY KEY (tenant_no, dataset_no),
    UNIQUE (tenant_no, uuid)
);

-- What a decision goes by: instructions, keys, principals; and what the tenant is told.
CREATE TABLE instruction_version (
    tenant_no     integer NOT NULL,
    uuid          bytea   NOT NULL CHECK (length(uuid) = 16),  -- the same for all versions
    version       bigint  NOT NULL,             -- from 1
    status        text    NOT NULL,             -- draft, active, suspended, challenged, revoked, expired, superseded
    hash          bytea   NOT NULL CHECK (length(hash) = 32),
    created_at    bigint  NOT NULL,
    activated_at  bigint,                       -- NULL = never
    body_leaf     bigint,
    body_revision bigint  NOT NULL,
    body          bytea,                        -- sealed: the whole object
    PRIMARY KEY (tenant_no, uuid, version)
);

-- The built-in permits of the tenant's own exits: one for each export, erasure and shred that names no instruction.
CREATE TABLE exit_permit (
    tenant_no     integer NOT NULL,
    uuid          bytea   NOT NULL CHECK (length(uuid) = 16),
    hash          bytea   NOT NULL CHECK (length(hash) = 32),
    created_at    bigint  NOT NULL,
    body_leaf     bigint,                       -- NULL = issued while the tenant's key was away
    body_revision bigint  NOT NULL,
    body          bytea,                        -- sealed: the whole instruction
    PRIMARY KEY (tenant_no, uuid)
);
CREATE INDEX exit_permit_by_leaf ON exit_permit (tenant_no, body_leaf);

CREATE TABLE api_key (
    tenant_no           integer NOT NULL,
    uuid                bytea   NOT NULL CHECK (length(uuid) = 16),
    secret_hash         bytea   NOT NULL CHECK (length(secret_hash) = 32),
    role                text    NOT NULL,
    principal           bytea   NOT NULL CHECK (length(principal) = 16),
    employer            text    NOT NULL,       -- tenant, operator, recipient
    recipient           bytea,                  -- id of the recipient that employs
    country             text    NOT NULL,
    default_instruction bytea,
    default_purpose     text,
    datasets            bytea,                  -- ids, 16 bytes each; NULL = all
    created_at          bigint  NOT NULL,
    expires_at          bigint,
    revoked_at          bigint,
    meta_leaf           bigint,
    meta_revision       bigint  NOT NULL,
    meta                bytea,                  -- sealed: its name
    PRIMARY KEY (tenant_no, uuid)
);

-- Entries name principals by random ids; this table resolves them and expires.
CREATE TABLE principal (
    tenant_no     integer NOT NULL,
    uuid          bytea   NOT NULL CHECK (length(uuid) = 16),
    handle        bytea   NOT NULL CHECK (length(handle) = 32),  -- HMAC of the name the tenant uses
    created_at    bigint  NOT NULL,
    expires_at    bigint,
    name_leaf     bigint,
    name_revision bigint  NOT NULL,
    name          bytea,                        -- sealed
    PRIMARY KEY (tenant_no, uuid),
    UNIQUE (tenant_no, handle)
);

CREATE TABLE notice (
    tenant_no integer NOT NULL,
    uuid      bytea   NOT NULL CHECK (length(uuid) = 16),
    kind      text    NOT NULL,
    at        bigint  NOT NULL,
    state     text    NOT NULL,                 -- new, acknowledged
    log_index bigint,                           -- the entry it speaks of
    PRIMARY KEY (tenant_no, uuid)
);

-- Just enough to honour an objection or an erasure at the next import.
CREATE TABLE suppression (
    tenant_no  integer NOT NULL,
    tag        bytea   NOT NULL CHECK (length(tag) = 16),  -- HMAC under the tenant's suppression key
    month      bigint  NOT NULL,                -- year * 12 + month - 1
    reason     text    NOT NULL,                -- a code
    expires_at bigint,
    PRIMARY KEY (tenant_no, tag)
);

-- A job is a leased row. What it works on is sealed and goes when it is done.
CREATE TABLE operation (
    tenant_no        integer NOT NULL,
    uuid             bytea   NOT NULL CHECK (length(uuid) = 16),
    kind             text    NOT NULL,
    subject          bytea,                     -- id of the import, export or dataset it is about
    state            text    NOT NULL,          -- running, done, failed
    error            text,                      -- a code
    done             bigint  NOT NULL,
    total            bigint,
    attempts         bigint  NOT NULL,
    created_at       bigint  NOT NULL,
    run_at           bigint  NOT NULL,          -- not before
    lease_node       bytea,
    lease_until      bigint  NOT NULL,          -- 0 = free
    payload_leaf     bigint,
    payload_revision bigint  NOT NULL,
    payload          bytea,
    result_leaf      bigint,
    result_revision  bigint  NOT NULL,
    result           bytea,
    PRIMARY KEY (tenant_no, uuid)
);
CREATE INDEX operation_due ON operation (run_at, tenant_no, uuid) WHERE state = 'running';
CREATE INDEX operation_by_payload ON operation (tenant_no, payload_leaf) WHERE payload_leaf IS NOT NULL;
CREATE INDEX operation_by_result ON operation (tenant_no, result_leaf) WHERE result_leaf IS NOT NULL;

CREATE TABLE import_batch (
    tenant_no     integer NOT NULL,
    batch_no      bigint  NOT NULL,             -- as leads carry it
    uuid          bytea   NOT NULL CHECK (length(uuid) = 16),
    dataset_no    integer NOT NULL,
    state         text    NOT NULL,             -- open, running, quarantined, done, failed, undone
    created_at    bigint  NOT NULL,
    expires_at    bigint,                       -- end of a quarantine
    next_byte     bigint  NOT NULL,             -- where the client goes on
    next_row      bigint  NOT NULL,             -- data record that begins there, from 1
    rows_read     bigint  NOT NULL,
    rows_stored   bigint  NOT NULL,
    rows_updated  bigint  NOT NULL,
    rows_skipped  bigint  NOT NULL,
    rows_rejected bigint  NOT NULL,
    lease_node    bytea,                        -- one bulk load per dataset at a time
    lease_until   bigint  NOT NULL,
    meta_leaf     bigint,
    meta_revision bigint  NOT NULL,
    meta          bytea,                        -- sealed: mapping, attestation, what was detected
    cursor_leaf     bigint,
    cursor_revision bigint NOT NULL,
    cursor        bytea,                        -- sealed: digest of the bytes before next_byte
    PRIMARY KEY (tenant_no, batch_no),
    UNIQUE (tenant_no, uuid)
);

-- The leaves of a batch: undo and retention work on ranges.
CREATE TABLE import_range (
    tenant_no integer NOT NULL, batch_no bigint NOT NULL, dataset_no integer NOT NULL,
    tree bigint NOT NULL, first_leaf bigint NOT NULL, end_leaf bigint NOT NULL,
    PRIMARY KEY (tenant_no, batch_no, tree, first_leaf)
);

-- Numbers and codes, no values.
CREATE TABLE import_failure (
    tenant_no integer NOT NULL, batch_no bigint NOT NULL, row_no bigint NOT NULL,
    column_no bigint NOT NULL,                  -- from 0; -1 = the row as a whole
    code text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_no, batch_no, row_no, column_no, code)
);

CREATE TABLE export (
    tenant_no     integer NOT NULL,
    uuid          bytea   NOT NULL CHECK (length(uuid) = 16),
    operation     bytea   NOT NULL,
    dataset_no    integer,                      -- NULL = all
    state         text    NOT NULL,             -- running, ready, stale, expired
    encrypted     bigint  NOT NULL,
    delivered     bigint  NOT NULL,             -- downloads begun
    created_at    bigint  NOT NULL,
    expires_at    bigint  NOT NULL,
    leaf          bigint  NOT NULL,             -- its chunks grow from this system leaf
    object        bytea,                        -- name of the finished file in files/
    sha256        bytea,
    bytes         bigint,
    leads         bigint,
    log_index     bigint,                       -- of export.ready
    meta_leaf     bigint,
    meta_revision bigint  NOT NULL,
    meta          bytea,                        -- sealed: what it was asked for
    begun_index   bigint,                       -- leads stored before this entry of the log are in it
    file_leaf     bigint,                       -- system leaf of the assembled file
    PRIMARY KEY (tenant_no, uuid)
);

-- Rendered parts: which leads are in them, and the file in files/ that holds the chunks.
CREATE TABLE export_part (
    tenant_no  integer NOT NULL,
    export     bytea   NOT NULL,
    part_no    bigint  NOT NULL,
    dataset_no integer NOT NULL,
    tree       bigint  NOT NULL,
    first_leaf bigint  NOT NULL,
    end_leaf   bigint  NOT NULL,
    object     bytea   NOT NULL,
    chunks     bigint  NOT NULL,
    bytes      bigint  NOT NULL,
    leads      bigint  NOT NULL,
    leaf       bigint,                          -- system leaf of the part; NULL once its file is gone
    state      text    NOT NULL,                -- open, rendered, dirty (to be rendered again), dropped
    withheld   bigint  NOT NULL DEFAULT 0,      -- live leads of the range that stay out: quarantined, or not covered
    row_count  bigint  NOT NULL DEFAULT 0,      -- rows of the range when it was rendered
    versions   bigint  NOT NULL DEFAULT 0,      -- sum of their versions: tells that one of them changed
    PRIMARY KEY (tenant_no, export, part_no)
);

-- The leaves that were in use when an export began. Rows go when it is stale or expired.
CREATE TABLE export_extent (
    tenant_no  integer NOT NULL,
    dataset_no integer NOT NULL,
    tree       bigint  NOT NULL,
    export     bytea   NOT NULL CHECK (length(export) = 16),
    end_leaf   bigint  NOT NULL,                -- one past the largest
    PRIMARY KEY (tenant_no, dataset_no, tree, export)
);

-- Leads stored since, with leaves below the end of an extent: they are not in the export.
CREATE TABLE export_late (
    tenant_no  integer NOT NULL,
    export     bytea   NOT NULL CHECK (length(export) = 16),
    dataset_no integer NOT NULL,
    tree       bigint  NOT NULL,
    first_leaf bigint  NOT NULL,
    end_leaf   bigint  NOT NULL,
    PRIMARY KEY (tenant_no, export, dataset_no, tree, first_leaf)
);

-- Idempotency: no value of a request, only HMACs and sealed ids.
CREATE TABLE replay (
    tenant_no       integer NOT NULL,
    key_hmac        bytea   NOT NULL CHECK (length(key_hmac) = 32),
    body_hmac       bytea   NOT NULL CHECK (length(body_hmac) = 32),
    status          bigint  NOT NULL,           -- of the first answer
    created_at      bigint  NOT NULL,
    expires_at      bigint  NOT NULL,
    answer_leaf     bigint,
    answer_revision bigint  NOT NULL,
    answer          bytea,                      -- sealed: ids and revision
    log_index       bigint,                     -- index of the entry beside the write; NULL = made no entry
    PRIMARY KEY (tenant_no, key_hmac)
);
CREATE INDEX replay_by_expiry ON replay (tenant_no, expires_at);
CREATE INDEX replay_by_leaf ON replay (tenant_no, answer_leaf) WHERE answer_leaf IS NOT NULL;

-- From erase.requested to erase.completed.
CREATE TABLE erase_request (
    tenant_no       integer NOT NULL,
    lead            bytea   NOT NULL CHECK (length(lead) = 16),
    dataset_no      integer NOT NULL,
    tree            bigint  NOT NULL,
    leaf            bigint  NOT NULL,
    reference       bytea,                      -- as in the log; NULL once the leaf is punctured and logged
    requested_index bigint  NOT NULL,
    requested_at    bigint  NOT NULL,
    operation       bytea,
    state           text    NOT NULL,           -- requested, punctured, completed
    epoch           bigint,
    completed_index bigint,
    receipt_leaf     bigint,
    receipt_revision bigint NOT NULL,
    receipt         bytea,                      -- sealed
    PRIMARY KEY (tenant_no, lead)
);
CREATE INDEX erase_open ON erase_request (tenant_no, requested_index) WHERE state <> 'completed';
CREATE INDEX erase_by_request ON erase_request (tenant_no, requested_index);
CREATE INDEX erase_by_receipt ON erase_request (tenant_no, receipt_leaf) WHERE receipt_leaf IS NOT NULL;

-- The change feed is the log; this says which leads an entry of it changed.
CREATE TABLE change (
    tenant_no      integer NOT NULL,
    log_index      bigint  NOT NULL,            -- the entry beside it
    leads_leaf     bigint  NOT NULL,
    leads_revision bigint  NOT NULL,
    leads          bytea   NOT NULL,            -- sealed: ids, or the leaves of an import's slice
    PRIMARY KEY (tenant_no, log_index)
);
CREATE INDEX change_by_leaf ON change (tenant_no, leads_leaf);

-- Certificates of deletion: what a shred was asked to take away, and what of it is certified (deletion.md 5.3).
-- In clear, because a certificate outlives the keys it speaks of: ids, counts, hashes and instants, no personal
-- data. It does not go with the tenant's rows.
CREATE TABLE certificate (
    tenant_no       integer NOT NULL,
    operation       bytea   NOT NULL CHECK (length(operation) = 16),
    requested_index bigint  NOT NULL,           -- of the entry that asked for it
    rows            bigint  NOT NULL,           -- leads when it was asked for
    begun_at        bigint  NOT NULL,
    completed_index bigint,                     -- of the entry that says it is done
    body            text,                       -- the signed certificate; NULL until everything is gone
    PRIMARY KEY (tenant_no, operation)
);

-- The second wall. A transaction sees and changes rows of the tenants it names in lv.tenants; where it names none,
-- no row of any. The owner of the tables is held to it as well.
DO $$
DECLARE relation name;
BEGIN
    FOR relation IN SELECT table_name FROM information_schema.columns
        WHERE table_schema = 'public' AND column_name = 'tenant_no'
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', relation);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', relation);
        EXECUTE format('CREATE POLICY by_tenant ON %I TO lv_app, lv_journal, lv_pruner USING (tenant_no = ANY '
            '((SELECT string_to_array(current_setting(''lv.tenants'', true), '',''))::int[]))', relation);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO lv_app', relation);
    END LOOP;
END $$;
GRANT SELECT, UPDATE ON cell_counter TO lv_app;
GRANT SELECT ON _sqlx_migrations TO lv_app;

-- Nobody changes an entry, and only the pruner takes one away.
REVOKE UPDATE, DELETE ON log_chunk FROM lv_app;
GRANT SELECT, INSERT ON log_chunk TO lv_journal;
GRANT SELECT ON tenant_control TO lv_journal;
GRANT SELECT, DELETE ON log_chunk TO lv_pruner;

-- What a node may know of all tenants: that they are there, and which jobs are due.
CREATE POLICY by_cell ON tenant FOR SELECT TO lv_cell USING (true);
CREATE POLICY by_cell ON operation FOR SELECT TO lv_cell USING (true);
GRANT SELECT (tenant_no) ON tenant TO lv_cell;
GRANT SELECT (tenant_no, uuid, kind, state, run_at, lease_until) ON operation TO lv_cell;
