-- Files attached to leads (R-014): what is known of each, the leads it belongs to, and where its sealed chunks lie.
-- Lock: none that matters, the tables are new. Irreversible.
CREATE TABLE file (
    tenant_no     integer NOT NULL,
    uuid          bytea   NOT NULL CHECK (length(uuid) = 16),
    dataset_no    integer NOT NULL,
    state         text    NOT NULL,             -- open (being uploaded), complete, erasing
    erase_with    text    NOT NULL,             -- goes with the last of its leads, or with any
    size          bigint  NOT NULL,             -- bytes that were announced
    next_byte     bigint  NOT NULL,             -- where an upload goes on
    created_at    bigint  NOT NULL,
    touched_at    bigint  NOT NULL,             -- when bytes came last
    leaf          bigint  NOT NULL,             -- system leaf of chunks and meta: the file's own
    meta_revision bigint  NOT NULL,
    meta          bytea   NOT NULL,             -- sealed: name, type, digest
    PRIMARY KEY (tenant_no, uuid)
);
CREATE INDEX file_by_leaf ON file (tenant_no, leaf);
CREATE INDEX file_unfinished ON file (tenant_no, state, touched_at) WHERE state <> 'complete';

-- By the place of the lead, so that an undo or a shred finds its files by ranges of leaves.
CREATE TABLE file_lead (
    tenant_no  integer NOT NULL,
    dataset_no integer NOT NULL,
    tree       bigint  NOT NULL,
    leaf       bigint  NOT NULL,
    file       bytea   NOT NULL CHECK (length(file) = 16),
    lead       bytea   NOT NULL CHECK (length(lead) = 16),
    PRIMARY KEY (tenant_no, dataset_no, tree, leaf, file)
);
CREATE INDEX file_lead_by_file ON file_lead (tenant_no, file);

-- Objects are never changed: a part is written whole under a random name, then named here.
CREATE TABLE file_part (
    tenant_no   integer NOT NULL,
    file        bytea   NOT NULL CHECK (length(file) = 16),
    first_chunk bigint  NOT NULL,
    chunks      bigint  NOT NULL,
    object      bytea   NOT NULL CHECK (length(object) = 16),
    PRIMARY KEY (tenant_no, file, first_chunk)
);
CREATE INDEX file_part_by_object ON file_part (tenant_no, object);

-- System leaves that are given to files of one dataset alone: its shred takes them as ranges.
CREATE TABLE file_block (
    tenant_no  integer NOT NULL,
    dataset_no integer NOT NULL,
    first_leaf bigint  NOT NULL,
    end_leaf   bigint  NOT NULL,
    PRIMARY KEY (tenant_no, dataset_no, first_leaf)
);
CREATE INDEX file_block_by_end ON file_block (tenant_no, end_leaf);

-- What a tenant has of its limits.
CREATE TABLE file_usage (
    tenant_no integer NOT NULL PRIMARY KEY,
    files     bigint  NOT NULL,
    bytes     bigint  NOT NULL                  -- announced sizes, unfinished uploads too
);

-- As every table of rows of tenants (0001).
DO $$
DECLARE relation name;
BEGIN
    FOREACH relation IN ARRAY ARRAY['file', 'file_lead', 'file_part', 'file_block', 'file_usage'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', relation);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', relation);
        EXECUTE format('CREATE POLICY by_tenant ON %I TO lv_app, lv_journal, lv_pruner USING (tenant_no = ANY '
            '((SELECT string_to_array(current_setting(''lv.tenants'', true), '',''))::int[]))', relation);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO lv_app', relation);
    END LOOP;
END $$;
