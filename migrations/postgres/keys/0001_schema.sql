-- The key store: ciphertext and numbers, no secret. Replicated, never restored.
-- Lock: none that matters, the tables are new. Irreversible.

-- Who may do what: as in the data store, whose login may be another one.
DO $$
DECLARE role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['lv_app', 'lv_cell'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', role);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database was first
            END;
        END IF;
    END LOOP;
    IF NOT pg_has_role('lv_app', 'lv_cell', 'MEMBER') THEN
        GRANT lv_cell TO lv_app;
    END IF;
END $$;

-- The row whose change is the decision.
CREATE TABLE key_head (
    tenant          bytea  NOT NULL PRIMARY KEY CHECK (length(tenant) = 16),
    epoch           bigint NOT NULL,            -- in force
    directory       bytea  NOT NULL,            -- in force
    forgotten_epoch bigint NOT NULL,            -- the slot has forgotten every key before this epoch
    slot            bytea  NOT NULL             -- which slot this history belongs to
);

CREATE TABLE key_directory (
    tenant    bytea  NOT NULL,
    directory bytea  NOT NULL,
    epoch     bigint NOT NULL,
    blob      bytea  NOT NULL,                  -- LV1 kind 13
    PRIMARY KEY (tenant, directory)
);

CREATE TABLE key_page (
    tenant      bytea  NOT NULL,
    page        bytea  NOT NULL,
    blob        bytea  NOT NULL,                -- LV1 kind 12
    named_epoch bigint,                         -- first epoch whose directory names it; NULL = none yet
    inserted_at bigint NOT NULL,
    PRIMARY KEY (tenant, page)
);

CREATE TABLE key_hop (
    tenant    bytea  NOT NULL,
    epoch     bigint NOT NULL,                  -- the one it leads to
    directory bytea  NOT NULL,
    blob      bytea  NOT NULL,                  -- LV1 kind 14
    PRIMARY KEY (tenant, epoch)
);

CREATE TABLE key_kek (
    tenant     bytea  NOT NULL,
    generation bigint NOT NULL,
    wrapped    bytea  NOT NULL,
    state      text   NOT NULL,                 -- active, destroyed
    PRIMARY KEY (tenant, generation)
);

CREATE TABLE leaf_hwm (
    tenant     bytea  NOT NULL,
    dataset_no bigint NOT NULL,
    tree       bigint NOT NULL,
    next_leaf  bigint NOT NULL,                 -- first leaf never issued
    PRIMARY KEY (tenant, dataset_no, tree)
);

CREATE TABLE node_epoch (
    tenant  bytea  NOT NULL,
    node    bytea  NOT NULL,
    epoch   bigint NOT NULL,                    -- it holds no older key
    seen_at bigint NOT NULL,
    PRIMARY KEY (tenant, node)
);

-- Size and root of the last published checkpoint, where a restored data store cannot reach it.
-- tenant = the log's; all zero = the operator's.
CREATE TABLE log_head (
    log  bytea  NOT NULL PRIMARY KEY CHECK (length(log) = 16),
    size bigint NOT NULL,
    root bytea  NOT NULL CHECK (length(root) = 32)
);

-- Secrets of the cell, wrapped by the root provider: the log's signing key. Of no tenant.
CREATE TABLE cell_secret (
    name       text   NOT NULL,
    generation bigint NOT NULL,
    wrapped    bytea  NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (name, generation)
);

-- The second wall: a transaction sees and changes rows of the tenants it names in lv.tenants, here by their ids
-- in hexadecimal; where it names none, no row of any.
DO $$
DECLARE relation name; tenant name;
BEGIN
    FOR relation, tenant IN SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND (column_name = 'tenant' OR (table_name, column_name) = ('log_head', 'log'))
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', relation);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', relation);
        EXECUTE format('CREATE POLICY by_tenant ON %I TO lv_app USING (%I = ANY ((SELECT array_agg(decode(id, ''hex'')) '
            'FROM unnest(string_to_array(current_setting(''lv.tenants'', true), '','')) id)::bytea[]))', relation, tenant);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO lv_app', relation);
    END LOOP;
END $$;
GRANT SELECT, INSERT, DELETE ON cell_secret TO lv_app;
GRANT SELECT ON _sqlx_migrations TO lv_app;

-- A start looks at the head of every tenant.
CREATE POLICY by_cell ON key_head FOR SELECT TO lv_cell USING (true);
GRANT SELECT ON key_head TO lv_cell;
