//! Every statement of this crate, prepared on a fresh database.

use sqlx::{AssertSqlSafe, Executor as _, Row as _, SqlSafeStr as _};

use crate::engine::{Engine, StoreOptions};
use crate::{DataStore, KeyStore};

type Statements = &'static [(&'static str, &'static str)];

const DATA: &[(&str, Statements)] = &[
    ("api_key", crate::api_key::STATEMENTS),
    ("certificate", crate::certificate::STATEMENTS),
    ("change", crate::change::STATEMENTS),
    ("control", crate::control::STATEMENTS),
    ("dataset", crate::dataset::STATEMENTS),
    ("engine", crate::engine::STATEMENTS),
    ("erase", crate::erase::STATEMENTS),
    ("exit_permit", crate::exit_permit::STATEMENTS),
    ("export", crate::export::STATEMENTS),
    ("export_extent", crate::export_extent::STATEMENTS),
    ("export_part", crate::export_part::STATEMENTS),
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
    ("log_tree", crate::log_tree::STATEMENTS),
    ("log_upkeep", crate::log_upkeep::STATEMENTS),
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

const SMALL: StoreOptions = StoreOptions { ballast_bytes: 0, readers: 1, pages_max: None };

async fn refused(engine: &Engine, inventory: &[(&str, Statements)]) -> Vec<String> {
    let mut connection = engine.reader().await.unwrap();
    let mut refused = Vec::new();
    for (file, statements) in inventory {
        for (name, sql) in *statements {
            if let Err(error) = connection.prepare(sql.into_sql_str()).await {
                refused.push(format!("{file}::{name}: {error}"));
            }
        }
    }
    refused
}

#[tokio::test]
async fn every_statement_prepares_on_a_fresh_database() {
    let dir = tempfile::tempdir().unwrap();
    let data = DataStore::open(&dir.path().join("data.db"), SMALL).await.unwrap();
    let keys = KeyStore::open(&dir.path().join("keys.db"), SMALL).await.unwrap();
    assert_eq!(refused(data.engine(), DATA).await, Vec::<String>::new());
    assert_eq!(refused(keys.engine(), KEYS).await, Vec::<String>::new());
    // The control: a statement of the other store does not prepare.
    assert!(!refused(data.engine(), KEYS).await.is_empty());
}

/// Files that use statements are in the inventory, and no statement is written where it is used.
#[test]
fn every_file_with_statements_is_in_the_inventory() {
    let listed: Vec<&str> = DATA.iter().chain(KEYS).map(|(file, _)| *file).collect();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    for entry in std::fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        if name != "statement" && text.contains("\nstatements! {") {
            assert!(listed.contains(&name.as_str()), "{name}.rs is not in the inventory");
        }
        let literal = ["query(\"", "query_scalar(\"", "query_as(\""];
        if name != "inventory" {
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
    let mut connection = engine.reader().await.unwrap();
    let mut walks = Vec::new();
    for (file, statements) in inventory {
        for (name, sql) in *statements {
            if sql.starts_with("PRAGMA") {
                continue;
            }
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            for row in sqlx::query(explain).fetch_all(&mut *connection).await.unwrap() {
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
async fn no_statement_walks_through_a_large_table() {
    let dir = tempfile::tempdir().unwrap();
    let data = DataStore::open(&dir.path().join("data.db"), SMALL).await.unwrap();
    assert_eq!(walks(data.engine(), DATA).await, Vec::<String>::new());
    let planted: &[(&str, Statements)] =
        &[("planted", &[("WALK", "SELECT lead FROM lead WHERE row_no = 1")])];
    assert_eq!(walks(data.engine(), planted).await.len(), 1);
}
