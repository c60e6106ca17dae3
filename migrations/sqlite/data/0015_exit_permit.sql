-- The built-in permits of the tenant's own exits: one for each export, erasure and shred that names no instruction.
-- Lock: none that matters, the table is new. Irreversible.
--
-- Apart from `instruction_version`, because the register of instructions is read whole at each change of the
-- control state, and these grow with every erasure, are one call's alone, and never change.
CREATE TABLE exit_permit (
    tenant_no     INTEGER NOT NULL,
    uuid          BLOB    NOT NULL CHECK (length(uuid) = 16),
    hash          BLOB    NOT NULL CHECK (length(hash) = 32),
    created_at    INTEGER NOT NULL,
    body_leaf     INTEGER,                      -- NULL = issued while the tenant's key was away
    body_revision INTEGER NOT NULL,
    body          BLOB,                         -- sealed: the whole instruction
    PRIMARY KEY (tenant_no, uuid)
) STRICT;
