-- Exports that resume: what each covers, a leaf for every part, and what came too late for it.
-- Lock: the columns have constant defaults, so no row is rewritten; the tables are new. Irreversible.

-- Leads stored before this entry of the log are in the export, later ones are not.
ALTER TABLE export ADD COLUMN begun_index INTEGER;
-- System leaf of the assembled file; `object` is its name from the moment it is begun.
ALTER TABLE export ADD COLUMN file_leaf INTEGER;
UPDATE export SET file_leaf = leaf WHERE object IS NOT NULL;
-- What an earlier program had begun knows no parts that could be resumed.
UPDATE export SET state = 'stale' WHERE state = 'running';

-- System leaf of the part; NULL once its file is gone.
ALTER TABLE export_part ADD COLUMN leaf INTEGER;
-- open, rendered, dirty (to be rendered again), dropped (its file is gone)
ALTER TABLE export_part ADD COLUMN state TEXT NOT NULL DEFAULT 'dropped';
-- Live leads of the range that stay out: quarantined, or not covered.
ALTER TABLE export_part ADD COLUMN withheld INTEGER NOT NULL DEFAULT 0;
-- Rows of the range when it was rendered, and the sum of their versions: tells that one of them changed.
ALTER TABLE export_part ADD COLUMN row_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE export_part ADD COLUMN versions INTEGER NOT NULL DEFAULT 0;

-- The leaves that were in use when an export began. Rows go when it is stale or expired.
CREATE TABLE export_extent (
    tenant_no  INTEGER NOT NULL,
    dataset_no INTEGER NOT NULL,
    tree       INTEGER NOT NULL,
    export     BLOB    NOT NULL CHECK (length(export) = 16),
    end_leaf   INTEGER NOT NULL,             -- one past the largest
    PRIMARY KEY (tenant_no, dataset_no, tree, export)
) STRICT, WITHOUT ROWID;

-- Leads stored since, with leaves below the end of an extent: they are not in the export.
CREATE TABLE export_late (
    tenant_no  INTEGER NOT NULL,
    export     BLOB    NOT NULL CHECK (length(export) = 16),
    dataset_no INTEGER NOT NULL,
    tree       INTEGER NOT NULL,
    first_leaf INTEGER NOT NULL,
    end_leaf   INTEGER NOT NULL,
    PRIMARY KEY (tenant_no, export, dataset_no, tree, first_leaf)
) STRICT, WITHOUT ROWID;
