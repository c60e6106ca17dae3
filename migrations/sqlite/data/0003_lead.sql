-- Leads: sealed compartments, the labels policy reads before a key, and the tags searches go by.
-- Lock: none that matters, the tables are new. Irreversible.
--
-- Tags live in tables of their own, ordered by tag, so that a slice of an import touches each page once.
-- They point to row_id, which no VACUUM changes because it is declared.

CREATE TABLE lead (
    row_id      INTEGER NOT NULL PRIMARY KEY,
    tenant_no   INTEGER NOT NULL,
    lead        BLOB    NOT NULL CHECK (length(lead) = 16),  -- UUID
    dataset_no  INTEGER NOT NULL,
    tree        INTEGER NOT NULL,              -- leaf address: written once, never recomputed
    leaf        INTEGER NOT NULL,
    version     INTEGER NOT NULL,              -- ETag; every change adds one
    labels      INTEGER NOT NULL,              -- 64 flags, categories and regimes
    email_tag   INTEGER,                       -- first e-mail; NULL = none, or erased
    phone_tag   INTEGER,
    domain_tag  INTEGER,
    index_epoch INTEGER NOT NULL,              -- of the tag key the tags were made with
    dup_no      INTEGER NOT NULL,              -- 0, or the leaf where duplicates are allowed
    batch       INTEGER,                       -- number of the import
    row_no      INTEGER,                       -- data record of the file, from 1
    created_min INTEGER NOT NULL,              -- cut to the minute
    updated_min INTEGER NOT NULL,
    tombstone   INTEGER NOT NULL,              -- 1 = erasure requested: nothing is found any more
    parts       INTEGER NOT NULL,              -- rows in lead_part
    contact_schema   INTEGER NOT NULL,
    contact_revision INTEGER NOT NULL,
    contact          BLOB,                     -- sealed compartment 1
    profile_schema   INTEGER NOT NULL,
    profile_revision INTEGER NOT NULL,
    profile          BLOB                      -- sealed compartment 2
) STRICT;
CREATE UNIQUE INDEX lead_by_id ON lead (tenant_no, lead);
-- The order of pages, exports, sweeps and undo: the order in which leaf keys are derived fastest.
CREATE UNIQUE INDEX lead_by_leaf ON lead (tenant_no, dataset_no, tree, leaf);

-- Compartments other than contact and profile: notes and parts, one row each.
CREATE TABLE lead_part (
    tenant_no   INTEGER NOT NULL,
    row_id      INTEGER NOT NULL,
    compartment INTEGER NOT NULL,
    schema      INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    blob        BLOB    NOT NULL,
    PRIMARY KEY (tenant_no, row_id, compartment)
) STRICT;

-- First e-mail; its key is what refuses duplicates.
CREATE TABLE lead_email (
    tenant_no INTEGER NOT NULL, dataset_no INTEGER NOT NULL, tag INTEGER NOT NULL,
    dup_no INTEGER NOT NULL, row_id INTEGER NOT NULL,
    PRIMARY KEY (tenant_no, dataset_no, tag, dup_no)
) STRICT, WITHOUT ROWID;

-- First phone.
CREATE TABLE lead_phone (
    tenant_no INTEGER NOT NULL, dataset_no INTEGER NOT NULL, tag INTEGER NOT NULL, row_id INTEGER NOT NULL,
    PRIMARY KEY (tenant_no, dataset_no, tag, row_id)
) STRICT, WITHOUT ROWID;

-- Domain.
CREATE TABLE lead_domain (
    tenant_no INTEGER NOT NULL, dataset_no INTEGER NOT NULL, tag INTEGER NOT NULL, row_id INTEGER NOT NULL,
    PRIMARY KEY (tenant_no, dataset_no, tag, row_id)
) STRICT, WITHOUT ROWID;

-- Further values, and the client's own id.
CREATE TABLE lead_tag (
    tenant_no INTEGER NOT NULL, dataset_no INTEGER NOT NULL, kind INTEGER NOT NULL, tag INTEGER NOT NULL,
    row_id INTEGER NOT NULL,
    PRIMARY KEY (tenant_no, dataset_no, kind, tag, row_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX lead_tag_by_row ON lead_tag (tenant_no, row_id);
