-- Datasets of a tenant. Lock: none that matters, the table is new. Irreversible.

CREATE TABLE dataset (
    tenant_no        INTEGER NOT NULL,
    dataset_no       INTEGER NOT NULL,          -- cell-local, from 1, never given out again
    uuid             BLOB    NOT NULL CHECK (length(uuid) = 16),
    tree             INTEGER NOT NULL,          -- tree new leads take their leaves from
    state            TEXT    NOT NULL,          -- active, shredding, shredded
    created_at       INTEGER NOT NULL,
    meta_leaf        INTEGER,
    meta_revision    INTEGER NOT NULL,
    meta             BLOB,                      -- sealed: name, region for phones, origin
    columns_leaf     INTEGER,
    columns_revision INTEGER NOT NULL,
    columns          BLOB,                      -- sealed: headers and categories of unmapped columns
    PRIMARY KEY (tenant_no, dataset_no),
    UNIQUE (tenant_no, uuid)
) STRICT;
