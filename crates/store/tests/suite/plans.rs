//! Plans of PostgreSQL: a fresh database is read by the right index from the first row on.

use leadvault_domain::{Labels, TagKind};
use leadvault_store::{DataStore, KeyStore, LeadSlice, LostAs, Outcome, PostgresOptions};
use leadvault_test_postgres::{APP, Databases, OWNER, psql};

use crate::kit::{DATASET, apply, email, lead, tenant};

const ROWS: u32 = 3_000;
const SLICE: u32 = 250;
/// Index rows that a lead may cost: its own tags, once or twice.
const READ_MAX: u64 = 10;
/// What a database knows of its tables before the first `ANALYZE`.
const FORGET: &str = "DELETE FROM pg_statistic WHERE starelid IN ('lead'::regclass, 'lead_tag'::regclass); \
                      UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE relname LIKE 'lead%'";
const READ: &str = "SELECT COALESCE(sum(idx_tup_read), 0) FROM pg_stat_user_indexes \
                    WHERE relname IN ('lead', 'lead_tag')";

/// Index rows that were read for each lead of an import.
async fn read_per_lead(prepare: &str) -> u64 {
    let databases = Databases::empty();
    DataStore::migrate_postgres(&databases.data_url(OWNER)).await.unwrap();
    KeyStore::migrate_postgres(&databases.keys_url(OWNER)).await.unwrap();
    databases.make_login();
    let owner = databases.data_url(OWNER);
    // Nobody else looks at the tables meanwhile.
    psql(
        &owner,
        "ALTER TABLE lead SET (autovacuum_enabled = off); \
                  ALTER TABLE lead_tag SET (autovacuum_enabled = off)",
    );
    psql(&owner, prepare);
    let (files, few) = (std::path::Path::new(""), PostgresOptions { readers: 1, writers: 1 });
    let data = DataStore::open_postgres(&databases.data_url(APP), files, few).await.unwrap();
    let scope = tenant(&data).await;
    for first in (0..ROWS).step_by(SLICE as usize) {
        let rows: Vec<_> = (first..first + SLICE)
            .map(|n| {
                let mut tags = email(i64::from(n));
                tags.more = vec![(TagKind::EXTERNAL_ID, i64::from(n))];
                lead(n, tags)
            })
            .collect();
        let tags: Vec<i64> = rows.iter().filter_map(|row| row.tags.email).collect();
        let held = data.probe_tags(scope, DATASET, TagKind::EMAIL, &tags, Labels::default()).await;
        assert_eq!(held, Ok(Vec::new()));
        let slice = LeadSlice { rows, step: None, lost_as: LostAs::Skipped };
        assert!(matches!(apply(&data, scope, slice).await, Outcome::Slice(_)));
    }
    // A connection tells what it read when it ends.
    data.close().await;
    psql(&owner, READ).trim().parse::<u64>().unwrap() / u64::from(ROWS)
}

#[tokio::test]
async fn a_fresh_database_is_read_by_the_right_index() {
    let read = read_per_lead("SELECT 1").await;
    assert!(read <= READ_MAX, "{read} index rows a lead");
    let control = read_per_lead(FORGET).await;
    assert!(control > READ_MAX, "control: without statistics a dataset is read again and again");
}
