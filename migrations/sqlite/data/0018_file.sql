-- Files attached to leads (R-014): what is known of each, the leads it belongs to, and where its sealed chunks lie.
-- Lock: none that matters, the tables are new. Irreversible.
CREATE TABLE file (
    tenant_no     INTEGER NOT NULL,
    uuid          BLOB    NOT NULL CHECK (length(uuid) = 16),
    dataset_no    INTEGER NOT NULL,
    state         TEXT    NOT NULL,             -- open (being uploaded), complete, erasing
    erase_with    TEXT    NOT NULL,             -- goes with the last of its leads, or with any
    size          INTEGER NOT NULL,             -- bytes that were announced
    next_byte     INTEGER NOT NULL,             -- where an upload goes on
    created_at    INTEGER NOT NULL,
    touched_at    INTEGER NOT NULL,             -- when bytes came last
    leaf          INTEGER NOT NULL,             -- system leaf of chunks and meta: the file's own
    meta_revision INTEGER NOT NULL,
    meta          BLOB    NOT NULL,             -- sealed: name, type, digest
    PRIMARY KEY (tenant_no, uuid)
) STRICT;
CREATE INDEX file_by_leaf ON file (tenant_no, leaf);
CREATE INDEX file_unfinished ON file (tenant_no, state, touched_at) WHERE state <> 'complete';

-- By the place of the lead, so that an undo or a shred finds its files by ranges of leaves.
CREATE TABLE file_lead (
    tenant_no  INTEGER NOT NULL,
    dataset_no INTEGER NOT NULL,
    tree       INTEGER NOT NULL,
    leaf       INTEGER NOT NULL,
    file       BLOB    NOT NULL CHECK (length(file) = 16),
    lead       BLOB    NOT NULL CHECK (length(lead) = 16),
    PRIMARY KEY (tenant_no, dataset_no, tree, leaf, file)
) STRICT, WITHOUT ROWID;
CREATE INDEX file_lead_by_file ON file_lead (tenant_no, file);

-- Objects are never changed: a part is written whole under a random name, then named here.
CREATE TABLE file_part (
    tenant_no   INTEGER NOT NULL,
    file        BLOB    NOT NULL CHECK (length(file) = 16),
    first_chunk INTEGER NOT NULL,
    chunks      INTEGER NOT NULL,
    object      BLOB    NOT NULL CHECK (length(object) = 16),
    PRIMARY KEY (tenant_no, file, first_chunk)
) STRICT, WITHOUT ROWID;
CREATE INDEX file_part_by_object ON file_part (tenant_no, object);

-- System leaves that are given to files of one dataset alone: its shred takes them as ranges.
CREATE TABLE file_block (
    tenant_no  INTEGER NOT NULL,
    dataset_no INTEGER NOT NULL,
    first_leaf INTEGER NOT NULL,
    end_leaf   INTEGER NOT NULL,
    PRIMARY KEY (tenant_no, dataset_no, first_leaf)
) STRICT, WITHOUT ROWID;
CREATE INDEX file_block_by_end ON file_block (tenant_no, end_leaf);

-- What a tenant has of its limits.
CREATE TABLE file_usage (
    tenant_no INTEGER NOT NULL PRIMARY KEY,
    files     INTEGER NOT NULL,
    bytes     INTEGER NOT NULL                  -- announced sizes, unfinished uploads too
) STRICT;
