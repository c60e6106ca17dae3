//! The second wall of PostgreSQL, as `psql` sees it: whoever connects as the application, with whatever statement,
//! gets rows of the tenants named in `lv.tenants` and of no other (R-001, protocols.md 5).

use leadvault_store::{DataStore, KeyStore, PostgresOptions, StoreError};
use leadvault_test_postgres::{APP, Databases, OWNER, psql, try_psql};

use crate::kit::migrate;

const FEW: PostgresOptions = PostgresOptions { readers: 1, writers: 1 };

/// The two databases; the column that names the tenant, and how `lv.tenants` names tenant 1 and tenant 2.
struct Wall {
    url: fn(&Databases, &str) -> String,
    tenants: [&'static str; 2],
}

const DATA: Wall = Wall { url: Databases::data_url, tenants: ["1", "2"] };
const KEYS: Wall = Wall {
    url: Databases::keys_url,
    tenants: ["01010101010101010101010101010101", "02020202020202020202020202020202"],
};

/// Tables that hold no rows of tenants.
const OF_NO_TENANT: &[&str] = &["_sqlx_migrations", "cell_counter", "cell_secret"];

fn fresh() -> Databases {
    Databases::fresh(migrate)
}

/// Puts a row of tenant 1 and one of tenant 2 into every table: numbers, texts and bytes of the right length.
const FILL: &str = "
DO $$
DECLARE relation name; t int; columns text; cells text;
BEGIN
    FOR relation IN SELECT c.relname FROM pg_class c WHERE c.relkind = 'r' AND c.relrowsecurity LOOP
        FOR t IN 1..2 LOOP
            SELECT string_agg(quote_ident(a.attname), ', '), string_agg(CASE format_type(a.atttypid, -1)
                WHEN 'text' THEN quote_literal('text of ' || t)
                WHEN 'bytea' THEN format('decode(repeat(''0%s'', %s), ''hex'')', t, COALESCE(
                    (SELECT substring(pg_get_constraintdef(k.oid) FROM '= (\\d+)') FROM pg_constraint k
                     WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum]), '16'))
                ELSE t::text END, ', ')
            INTO columns, cells FROM pg_attribute a
            WHERE a.attrelid = relation::regclass AND a.attnum > 0 AND NOT a.attisdropped;
            EXECUTE format('INSERT INTO %I (%s) VALUES (%s)', relation, columns, cells);
        END LOOP;
    END LOOP;
END $$";

/// Every table with rows of tenants.
fn guarded(url: &str) -> Vec<String> {
    let all = psql(
        url,
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    );
    all.lines().filter(|table| !OF_NO_TENANT.contains(table)).map(ToOwned::to_owned).collect()
}

/// Rows the application sees of a table in a transaction that begins with `begin`.
fn seen(url: &str, begin: &str, table: &str) -> usize {
    let statements = format!("BEGIN; {begin}; SELECT 'row' FROM {table}; COMMIT");
    let said = try_psql(url, &statements).unwrap_or_default();
    said.lines().filter(|line| *line == "row").count()
}

fn holds(databases: &Databases, wall: &Wall) {
    let (owner, app) = ((wall.url)(databases, OWNER), (wall.url)(databases, APP));
    psql(&owner, FILL);
    let tables = guarded(&owner);
    assert!(tables.len() >= 8, "{tables:?}");
    let [own, other] =
        wall.tenants.map(|t| format!("SELECT set_config('lv.tenants', '{t}', true)"));
    for table in &tables {
        // Control: a superuser sees what is there (and the operator's row), the tenant its own.
        assert!(seen(&owner, "SELECT 1", table) >= 2, "{table}: there is something to see");
        assert_eq!(seen(&app, &own, table), 1, "{table}: its own row");
        assert_eq!(seen(&app, &other, table), 1, "{table}: the other's own row");
        assert_eq!(seen(&app, "SELECT 1", table), 0, "{table}: no tenant is named");
        let nobody = "SELECT set_config('lv.tenants', '', true)";
        assert_eq!(seen(&app, nobody, table), 0, "{table}: the empty list");
        let row = psql(&owner, &format!("SELECT count(*) FROM {table}"));
        let write = format!("BEGIN; {own}; DELETE FROM {table}; ROLLBACK");
        // Who may delete deletes its own row alone; who may not is refused.
        let _ = try_psql(&app, &write);
        assert_eq!(psql(&owner, &format!("SELECT count(*) FROM {table}")), row, "{table}");
    }
}

#[test]
fn the_application_sees_rows_of_the_tenants_it_names_and_of_no_other() {
    let databases = fresh();
    holds(&databases, &DATA);
    holds(&databases, &KEYS);
}

#[test]
fn a_row_of_another_tenant_can_be_neither_written_nor_taken_away() {
    let databases = fresh();
    let (owner, app) = (databases.data_url(OWNER), databases.data_url(APP));
    psql(&owner, FILL);
    let insert = "INSERT INTO suppression (tenant_no, tag, month, reason) VALUES (2, decode(repeat('ff', 16), 'hex'), 1, 'x')";
    let refused = try_psql(
        &app,
        &format!("BEGIN; SELECT set_config('lv.tenants', '1', true); {insert}; COMMIT"),
    );
    assert!(refused.unwrap_err().contains("row-level security"), "another tenant's row");
    psql(&app, &format!("BEGIN; SELECT set_config('lv.tenants', '2', true); {insert}; COMMIT"));
    let gone = "BEGIN; SELECT set_config('lv.tenants', '1', true); DELETE FROM suppression WHERE tenant_no = 2; COMMIT";
    psql(&app, gone);
    assert_eq!(psql(&owner, "SELECT count(*) FROM suppression WHERE tenant_no = 2").trim(), "2");
}

#[test]
fn entries_are_changed_by_nobody_and_pruned_by_one_role() {
    let databases = fresh();
    let (owner, app) = (databases.data_url(OWNER), databases.data_url(APP));
    psql(&owner, FILL);
    let named = "BEGIN; SELECT set_config('lv.tenants', '1', true)";
    for change in ["UPDATE log_chunk SET n = 2", "DELETE FROM log_chunk"] {
        for role in ["SELECT 1", "SET LOCAL ROLE lv_journal"] {
            let refused = try_psql(&app, &format!("{named}; {role}; {change}; COMMIT"));
            assert!(refused.unwrap_err().contains("permission denied"), "{role}: {change}");
        }
    }
    let journal = |statement: &str| {
        try_psql(&app, &format!("{named}; SET LOCAL ROLE lv_journal; {statement}; COMMIT"))
    };
    assert!(journal("SELECT n FROM log_chunk").is_ok());
    for table in
        guarded(&owner).iter().filter(|t| !["log_chunk", "tenant_control"].contains(&t.as_str()))
    {
        assert!(
            journal(&format!("SELECT 1 FROM {table}")).is_err(),
            "{table} is not the journal's"
        );
    }
    let pruned = try_psql(
        &app,
        &format!("{named}; SET LOCAL ROLE lv_pruner; DELETE FROM log_chunk; COMMIT"),
    );
    assert!(pruned.is_ok(), "{pruned:?}");
    assert_eq!(psql(&owner, "SELECT count(*) FROM log_chunk WHERE tenant_no = 2").trim(), "1");
}

#[test]
fn a_scheduler_sees_what_is_due_and_nothing_that_is_sealed() {
    let databases = fresh();
    psql(&databases.data_url(OWNER), FILL);
    let app = databases.data_url(APP);
    let as_cell = |statement: &str| {
        try_psql(&app, &format!("BEGIN; SET LOCAL ROLE lv_cell; {statement}; COMMIT"))
    };
    let due = "SELECT tenant_no, uuid, kind, run_at, lease_until FROM operation ORDER BY tenant_no";
    assert_eq!(as_cell(due).unwrap().lines().count(), 2, "of every tenant");
    assert_eq!(as_cell("SELECT tenant_no FROM tenant").unwrap().lines().count(), 2);
    for sealed in
        ["SELECT payload FROM operation", "SELECT meta FROM tenant", "SELECT lead FROM lead"]
    {
        assert!(as_cell(sealed).unwrap_err().contains("permission denied"), "{sealed}");
    }
    assert!(as_cell("UPDATE operation SET lease_until = 0").is_err());
}

#[tokio::test]
async fn a_role_that_the_wall_does_not_hold_is_refused() {
    let databases = tokio::task::spawn_blocking(fresh).await.unwrap();
    let files = std::path::Path::new("");
    let open = async |role: &str| {
        DataStore::open_postgres(&databases.data_url(role), files, FEW).await.err()
    };
    psql(
        &databases.data_url(OWNER),
        "DO $$ BEGIN CREATE ROLE stranger LOGIN; CREATE ROLE bypasser LOGIN BYPASSRLS IN ROLE lv_app; \
         EXCEPTION WHEN duplicate_object THEN NULL; END $$",
    );
    assert_eq!(open(OWNER).await, Some(StoreError::Role), "a superuser");
    assert_eq!(open("bypasser").await, Some(StoreError::Role), "a role that bypasses it");
    assert_eq!(open("stranger").await, Some(StoreError::Role), "a role of another application");
    assert_eq!(open(APP).await, None);
    let keys = KeyStore::open_postgres(&databases.keys_url(OWNER), FEW).await;
    assert_eq!(keys.err(), Some(StoreError::Role));
}

#[tokio::test]
async fn an_older_and_a_newer_schema_are_refused() {
    let databases = tokio::task::spawn_blocking(Databases::empty).await.unwrap();
    let (owner, app) = (databases.data_url(OWNER), databases.data_url(APP));
    let files = std::path::Path::new("");
    DataStore::migrate_postgres(&owner).await.unwrap();
    databases.make_login();
    assert!(DataStore::open_postgres(&app, files, FEW).await.is_ok());
    psql(
        &owner,
        "UPDATE _sqlx_migrations SET version = 9999 WHERE version = (SELECT max(version) FROM _sqlx_migrations)",
    );
    let newer = DataStore::open_postgres(&app, files, FEW).await.unwrap_err();
    assert!(matches!(newer, StoreError::SchemaNewer { found: 9999, .. }), "{newer:?}");
    let migrated = DataStore::migrate_postgres(&owner).await.unwrap_err();
    assert!(matches!(migrated, StoreError::SchemaNewer { found: 9999, .. }), "{migrated:?}");
    psql(&owner, "DELETE FROM _sqlx_migrations");
    let older = DataStore::open_postgres(&app, files, FEW).await.unwrap_err();
    assert!(matches!(older, StoreError::SchemaOlder { found: 0, .. }), "{older:?}");
}

/// What a schema must have to be distributed by tenant: each fault by name.
fn faults(url: &str) -> Vec<String> {
    let keys = psql(
        url,
        "SELECT c.relname || '.' || i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid \
         JOIN pg_class c ON c.oid = x.indrelid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0] \
         WHERE x.indisunique AND c.relnamespace = 'public'::regnamespace \
         AND a.attname NOT IN ('tenant_no', 'tenant') \
         AND (c.relname, a.attname) NOT IN (('tenant', 'uuid'), ('log_head', 'log'))",
    );
    let open = psql(
        url,
        "SELECT relname || ': no forced row security' FROM pg_class WHERE relkind = 'r' \
         AND relnamespace = 'public'::regnamespace AND NOT (relrowsecurity AND relforcerowsecurity)",
    );
    let references =
        psql(url, "SELECT conname || ': a foreign key' FROM pg_constraint WHERE contype = 'f'");
    let of_tenants = |line: &&str| !OF_NO_TENANT.iter().any(|table| line.starts_with(table));
    let all = [keys, open, references];
    all.iter().flat_map(|said| said.lines()).filter(of_tenants).map(ToOwned::to_owned).collect()
}

#[test]
fn every_key_begins_with_the_tenant_and_every_table_is_guarded() {
    let databases = fresh();
    for url in [databases.data_url(OWNER), databases.keys_url(OWNER)] {
        assert_eq!(faults(&url), Vec::<String>::new());
        psql(&url, "CREATE TABLE planted (id bigint PRIMARY KEY, tenant_no int)");
        assert_eq!(
            faults(&url).len(),
            2,
            "control: a key without the tenant, a table without a guard"
        );
    }
}
