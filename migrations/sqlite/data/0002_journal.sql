-- The journal: a batch is one row, and its primary key is the lock. Insert-only but for pruning.
-- Lock: none that matters, the tables are new. Irreversible.

CREATE TABLE log_chunk (
    tenant_no   INTEGER NOT NULL,
    first_index INTEGER NOT NULL CHECK (first_index >= 0),
    n           INTEGER NOT NULL CHECK (n BETWEEN 1 AND 256),
    state_gen   INTEGER NOT NULL,                  -- generation at the commit
    key_epoch   INTEGER NOT NULL,                  -- epoch at the commit
    t_min       INTEGER NOT NULL,                  -- earliest time an entry says, microseconds
    t_max       INTEGER NOT NULL,                  -- latest time an entry says
    bytes       BLOB    NOT NULL,                  -- entries, each behind its length in 16 bits, big-endian
    PRIMARY KEY (tenant_no, first_index)
) STRICT;

-- The tile builder's; never in the acknowledging path.
CREATE TABLE log_tree (
    tenant_no  INTEGER NOT NULL PRIMARY KEY,
    built      INTEGER NOT NULL,                   -- entries that lie in files
    frontier   BLOB    NOT NULL,                   -- right edge of the tree of that size
    checkpoint TEXT                                -- the last signed one
) STRICT;
