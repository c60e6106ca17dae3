-- A thousand rows of nobody in the tables that have several indexes, for the planner. Without any it believes an empty
-- table to be read as cheaply by whichever index begins with the tenant, and a connection keeps its plans: an import
-- into a fresh database would read the whole dataset for each of its rows. These say what is true of every vault: few
-- tenants and datasets, tags and ids that differ. They belong to tenant -1, which no transaction can name.
-- Lock: exclusive, for a moment, on four tables. Irreversible, and harmless.
DO $$
DECLARE relation name;
BEGIN
    FOREACH relation IN ARRAY ARRAY['lead', 'lead_tag', 'change', 'replay'] LOOP
        -- The owner is held to row-level security as well: for these statements alone he is not.
        EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', relation);
    END LOOP;
    INSERT INTO lead (row_id, leaf, labels, email_tag, phone_tag, domain_tag, dup_no, batch, row_no, created_min,
        updated_min, tenant_no, dataset_no, tree, version, index_epoch, contact_revision, profile_revision,
        contact_schema, profile_schema, parts, tombstone, lead)
        SELECT lead_row(1, 1, n), n, 0, n * 7919, n * 7907, n * 7901 / 5, 0, 1, n, 0, 0, -1, 1, 1, 1, 0, 1, 1, 0, 0, 0,
            0, decode(md5(n::text), 'hex') FROM generate_series(1, 1000) n;
    INSERT INTO lead_tag SELECT -1, 1, n % 2 + 1, n * 7919, lead_row(1, 1, n) FROM generate_series(1, 1000) n;
    INSERT INTO change SELECT -1, n, 1, 1, '' FROM generate_series(1, 1000) n;
    INSERT INTO replay (tenant_no, key_hmac, body_hmac, status, created_at, expires_at, answer_leaf, answer_revision)
        SELECT -1, h.bytes, h.bytes, 200, n, n, n, 1 FROM generate_series(1, 1000) n,
        LATERAL (SELECT decode(md5(n::text) || md5(n::text), 'hex') AS bytes) h;
    FOREACH relation IN ARRAY ARRAY['lead', 'lead_tag', 'change', 'replay'] LOOP
        EXECUTE format('ANALYZE %I', relation);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', relation);
    END LOOP;
END $$;
