//! Every statement of this crate, prepared on a fresh database.

use leadvault_test_postgres::{APP, Databases, OWNER, psql};
use sqlx::{AssertSqlSafe, Executor as _, Row as _, SqlSafeStr as _};

use crate::engine::{Connection, Engine, Reach, StoreOptions};
use crate::statement::{NONE, Sql};
use crate::{DataStore, KeyStore, PostgresOptions};

type Statements = &'static [(&'static str, Sql)];

const DATA: &[(&str, Statements)] = &[
    ("api_key", crate::api_key::STATEMENTS),
    ("certificate", crate::certificate::STATEMENTS),
    ("change", crate::change::STATEMENTS),
    ("control", crate::control::STATEMENTS),
    ("dataset", crate::dataset::STATEMENTS),
    ("sqlite", crate::engine::sqlite::STATEMENTS),
    ("postgres", crate::engine::postgres::STATEMENTS),
    ("erase", crate::erase::STATEMENTS),
    ("exit_permit", crate::exit_permit::STATEMENTS),
    ("export", crate::export::STATEMENTS),
    ("export_extent", crate::export_extent::STATEMENTS),
    ("export_part", crate::export_part::STATEMENTS),
    ("file", crate::file::STATEMENTS),
    ("file_link", crate::file_link::STATEMENTS),
    ("file_part", crate::file_part::STATEMENTS),
    ("import", crate::import::STATEMENTS),
    ("import_failure", crate::import_failure::STATEMENTS),
    ("instruction", crate::instruction::STATEMENTS),
    ("journal", crate::journal::STATEMENTS),
    ("lead", crate::lead::STATEMENTS),
    ("lead_bulk", crate::lead_bulk::STATEMENTS),
    ("lead_change", crate::lead_change::STATEMENTS),
    ("lead_by_tag", crate::lead_by_tag::STATEMENTS),
    ("lead_find", crate::lead_find::STATEMENTS),
    ("lead_tags", crate::lead_tags::STATEMENTS),
    ("lead_unnest", crate::lead_unnest::STATEMENTS),
    ("log_end", crate::log_end::STATEMENTS),
    ("log_tree", crate::log_tree::STATEMENTS),
    ("log_upkeep", crate::log_upkeep::STATEMENTS),
    ("move_store", crate::move_store::STATEMENTS),
    ("notice", crate::notice::STATEMENTS),
    ("operation", crate::operation::STATEMENTS),
    ("principal", crate::principal::STATEMENTS),
    ("replay", crate::replay::STATEMENTS),
    ("stage", crate::stage::STATEMENTS),
    ("stage_merge", crate::stage_merge::STATEMENTS),
    ("suppression", crate::suppression::STATEMENTS),
    ("system_leaf", crate::system_leaf::STATEMENTS),
    ("tag_row", crate::tag_row::STATEMENTS),
    ("tenant", crate::tenant::STATEMENTS),
];

const KEYS: &[(&str, Statements)] = &[
    ("cell_secret", crate::cell_secret::STATEMENTS),
    ("key_blobs", crate::key_blobs::STATEMENTS),
    ("key_rows", crate::key_rows::STATEMENTS),
    ("log_head", crate::log_head::STATEMENTS),
];

const SMALL: StoreOptions = StoreOptions { ballast_bytes: 0, readers: 2, pages_max: None };

async fn refused(engine: &Engine, inventory: &[(&str, Statements)]) -> Vec<String> {
    let mut reader = engine.reader(Reach::Nobody).await.unwrap();
    let mut refused = Vec::new();
    for (file, statements) in inventory {
        for (name, sql) in *statements {
            let prepared = match reader.connection() {
                Connection::Sqlite(c) if sql.sqlite != NONE => {
                    c.prepare(sql.sqlite.into_sql_str()).await.map(drop)
                }
                Connection::Postgres(c) if sql.postgres != NONE => {
                    c.prepare(sql.postgres.into_sql_str()).await.map(drop)
                }
                _ => Ok(()),
            };
            if let Err(error) = prepared {
                // A transaction that met an error is over.
                reader = engine.reader(Reach::Nobody).await.unwrap();
                refused.push(format!("{file}::{name}: {error}"));
            }
        }
    }
    refused
}

/// Fresh stores of one engine; what else is there keeps them.
async fn on_sqlite() -> (DataStore, KeyStore, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let data = DataStore::open(&dir.path().join("data.db"), SMALL).await.unwrap();
    let keys = KeyStore::open(&dir.path().join("keys.db"), SMALL).await.unwrap();
    (data, keys, dir)
}

async fn on_postgres() -> (DataStore, KeyStore, Databases) {
    let databases = Databases::empty();
    DataStore::migrate_postgres(&databases.data_url(OWNER)).await.unwrap();
    KeyStore::migrate_postgres(&databases.keys_url(OWNER)).await.unwrap();
    databases.make_login();
    let (files, few) = (std::path::Path::new(""), PostgresOptions { readers: 2, writers: 1 });
    let data = DataStore::open_postgres(&databases.data_url(APP), files, few).await.unwrap();
    let keys = KeyStore::open_postgres(&databases.keys_url(APP), few).await.unwrap();
    (data, keys, databases)
}

async fn every_statement_prepares(data: &DataStore, keys: &KeyStore) {
    assert_eq!(refused(data.engine(), DATA).await, Vec::<String>::new());
    assert_eq!(refused(keys.engine(), KEYS).await, Vec::<String>::new());
    // The control: a statement of the other store does not prepare.
    assert!(!refused(data.engine(), KEYS).await.is_empty());
}

#[tokio::test]
async fn every_statement_prepares_on_a_fresh_database_of_sqlite() {
    let (data, keys, _dir) = on_sqlite().await;
    every_statement_prepares(&data, &keys).await;
}

#[tokio::test]
async fn every_statement_prepares_on_a_fresh_database_of_postgres() {
    let (data, keys, _databases) = on_postgres().await;
    every_statement_prepares(&data, &keys).await;
}

/// Files that use statements are in the inventory, and no statement is written where it is used.
#[test]
fn every_file_with_statements_is_in_the_inventory() {
    let listed: Vec<&str> = DATA.iter().chain(KEYS).map(|(file, _)| *file).collect();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let engine = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine");
    let [source, engine] = [source, engine].map(|dir| std::fs::read_dir(dir).unwrap());
    for entry in source.chain(engine) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        if name != "statement" && text.contains("\nstatements! {") {
            assert!(listed.contains(&name.as_str()), "{name}.rs is not in the inventory");
        }
        let literal = ["query(\"", "query_scalar(\"", "query_as(\""];
        if !["inventory", "query"].contains(&name.as_str()) {
            assert!(!literal.iter().any(|l| text.contains(l)), "{name}.rs holds a bare statement");
        }
    }
}

/// Tables that grow with the leads or the log: no statement may walk through one.
const LARGE: &[&str] = &[
    "lead",
    "lead_part",
    "lead_email",
    "lead_phone",
    "lead_domain",
    "lead_tag",
    "log_chunk",
    "l",
    "e",
    "t",
    "p",
];
/// Statements that walk on purpose.
const WALKS: &[&str] = &[];

/// Steps of the plans that scan a large table, or sort one by itself.
async fn walks(engine: &Engine, inventory: &[(&str, Statements)]) -> Vec<String> {
    let mut reader = engine.reader(Reach::Nobody).await.unwrap();
    let mut walks = Vec::new();
    for (file, statements) in inventory {
        for (name, Sql { sqlite: sql, .. }) in *statements {
            if *sql == NONE || sql.starts_with("PRAGMA") {
                continue;
            }
            let Connection::Sqlite(connection) = reader.connection() else { panic!("a file") };
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            for row in sqlx::query(explain).fetch_all(connection).await.unwrap() {
                let step: String = row.get("detail");
                let scanned = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
                let statement = format!("{file}::{name}");
                if scanned.is_some_and(|table| LARGE.contains(&table))
                    && !WALKS.contains(&statement.as_str())
                {
                    walks.push(format!("{statement}: {step}"));
                }
            }
        }
    }
    walks
}

#[tokio::test]
async fn no_statement_walks_through_a_large_table_of_sqlite() {
    let (data, _keys, _dir) = on_sqlite().await;
    assert_eq!(walks(data.engine(), DATA).await, Vec::<String>::new());
    assert_eq!(walks(data.engine(), PLANTED).await.len(), 1);
}

const WALK: &str = "SELECT lead FROM lead WHERE row_no = 1";
/// The control: no index leads there.
const PLANTED: &[(&str, Statements)] =
    &[("planted", &[("WALK", Sql { sqlite: WALK, postgres: WALK })])];

/// Steps of the plans of PostgreSQL that scan a large table although they would rather not: no index leads to
/// what the statement asks for.
fn sequential_scans(databases: &Databases, inventory: &[(&str, Statements)]) -> Vec<String> {
    let url = databases.data_url(OWNER);
    let mut scans = Vec::new();
    for (file, statements) in inventory {
        for (name, Sql { postgres: sql, .. }) in *statements {
            let is_planned =
                ["SELECT", "INSERT", "UPDATE", "DELETE"].iter().any(|w| sql.starts_with(w));
            if !is_planned {
                continue;
            }
            let values = (1..=30).take_while(|n| sql.contains(&format!("${n}")));
            let nulls = vec!["NULL"; values.count()].join(", ");
            let call = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
            let plan = psql(
                &url,
                &format!(
                    "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; \
                     PREPARE s AS {sql}; EXPLAIN EXECUTE s{call}"
                ),
            );
            for step in plan.lines().filter(|line| line.contains("Seq Scan on")) {
                let table = step.split("Seq Scan on ").nth(1).and_then(|t| t.split(' ').next());
                if table.is_some_and(|table| LARGE.contains(&table)) {
                    scans.push(format!("{file}::{name}: {}", step.trim()));
                }
            }
        }
    }
    scans
}

#[tokio::test]
async fn no_statement_walks_through_a_large_table_of_postgres() {
    let (_data, _keys, databases) = on_postgres().await;
    assert_eq!(sequential_scans(&databases, DATA), Vec::<String>::new());
    assert_eq!(sequential_scans(&databases, PLANTED).len(), 1);
}
