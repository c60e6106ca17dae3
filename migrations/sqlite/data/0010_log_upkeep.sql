-- Where the entry of a replayed request stands, so that the answer can say it again; and when a log last had
-- its daily entries.
-- Lock: none that matters: a column without a default is added to the schema only, the table is new.
-- Back: both may be ignored.

ALTER TABLE replay ADD COLUMN log_index INTEGER;  -- index of the entry beside the write; NULL = made no entry

CREATE TABLE log_upkeep (
    tenant_no INTEGER NOT NULL PRIMARY KEY,
    said_at   INTEGER NOT NULL,                   -- when heartbeat and stats were last written, microseconds
    said_to   INTEGER NOT NULL,                   -- first index that the next stats are about
    active_at INTEGER NOT NULL                    -- when the log was last found to have other entries
) STRICT;
