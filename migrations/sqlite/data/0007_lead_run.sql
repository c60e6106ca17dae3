-- Tags of imported leads on their way into the tag tables (docs/adr/0005): a slice appends one sorted run,
-- and a pass merges many runs in tag order, so that a page of an index is touched once a pass.
-- Lock: none that matters, the tables are new. Irreversible.

-- A slice's tags. Behind `lead_stage.floor_row` they are in no tag table yet.
CREATE TABLE lead_run (
    tenant_no  INTEGER NOT NULL,
    first_row  INTEGER NOT NULL,               -- row_id of its first lead
    last_row   INTEGER NOT NULL,               -- row_id of its last lead; runs do not overlap
    generation INTEGER NOT NULL,               -- the stage's when the run last changed
    bytes      BLOB    NOT NULL,               -- tag rows of 23 bytes, ascending
    PRIMARY KEY (tenant_no, first_row)
) STRICT;
CREATE INDEX lead_run_by_generation ON lead_run (tenant_no, generation);

-- Where the merging of a tenant's runs is.
CREATE TABLE lead_stage (
    tenant_no   INTEGER NOT NULL PRIMARY KEY,
    generation  INTEGER NOT NULL,              -- one more with every change of the tenant's runs or this row
    last_row    INTEGER NOT NULL,              -- last lead row of any run there was; no later lead gets one up to it
    floor_row   INTEGER NOT NULL,              -- runs up to this lead row are merged, and only wait to be deleted
    through_row INTEGER NOT NULL,              -- the pass under way takes runs up to this lead row; 0 = none
    cursor      BLOB,                          -- tag row the pass has come to; NULL = its beginning
    staged      INTEGER NOT NULL               -- tag rows of runs behind floor_row
) STRICT;
CREATE INDEX lead_stage_by_last_row ON lead_stage (last_row);
