-- The change feed is the log; this says which leads an entry of it changed.
-- Lock: none that matters, the table is new; the index reads erase_request once, writes wait for that long.
-- Back: drop both, the feed then names no leads of older entries.
CREATE TABLE change (
    tenant_no      INTEGER NOT NULL,
    log_index      INTEGER NOT NULL,            -- the entry beside it
    leads_leaf     INTEGER NOT NULL,
    leads_revision INTEGER NOT NULL,
    leads          BLOB    NOT NULL,            -- sealed: ids, or the leaves of an import's slice
    PRIMARY KEY (tenant_no, log_index)
) STRICT, WITHOUT ROWID;

CREATE INDEX erase_by_request ON erase_request (tenant_no, requested_index);
