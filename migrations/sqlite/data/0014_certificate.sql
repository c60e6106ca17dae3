-- Certificates of deletion: what a shred was asked to take away, and what of it is certified (deletion.md 5.3).
-- Lock: none that matters, the table is new. Irreversible.
--
-- In clear, because a certificate outlives the keys it speaks of: ids, counts, hashes and instants, no
-- personal data. It does not go with the tenant's rows.
CREATE TABLE certificate (
    tenant_no       INTEGER NOT NULL,
    operation       BLOB    NOT NULL CHECK (length(operation) = 16),
    requested_index INTEGER NOT NULL,           -- of the entry that asked for it
    rows            INTEGER NOT NULL,           -- leads when it was asked for
    begun_at        INTEGER NOT NULL,
    completed_index INTEGER,                    -- of the entry that says it is done
    body            TEXT,                       -- the signed certificate; NULL until everything is gone
    PRIMARY KEY (tenant_no, operation)
) STRICT;
