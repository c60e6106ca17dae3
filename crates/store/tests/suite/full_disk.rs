//! Where nothing can be written: refused, nothing half done, and fine again when there is room.

use leadvault_ledger::{AppendChunks as _, Batch, OpResult};
use leadvault_store::{DataStore, StoreError, StoreOptions};

use crate::kit::{SMALL, append, read, tenant, texts};

/// Room for the schema and a few hundred entries.
const PAGES: u32 = 160;

#[tokio::test]
async fn a_full_database_refuses_and_keeps_what_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.db");
    let full = StoreOptions { pages_max: Some(PAGES), ballast_bytes: 4_096, ..SMALL };
    let data = DataStore::open(&path, full).await.unwrap();
    let scope = tenant(&data).await;
    assert!(data.has_ballast());

    let long = "x".repeat(4_000);
    let mut acknowledged = vec!["tenant.create".to_owned()];
    loop {
        let text = format!("{} {long}", acknowledged.len());
        match data.append(Batch(vec![read(scope, &text)])).await {
            Ok(done) => {
                assert!(matches!(done.results[..], [OpResult::Committed { .. }]));
                acknowledged.push(text);
            }
            Err(_) => break,
        }
        assert!(acknowledged.len() < 10_000, "the limit does not hold");
    }
    assert!(!data.has_ballast(), "it was given up for one more attempt");
    let write = data.apply(scope, leadvault_store::BumpState).await;
    // A change of a page that is there needs no space; only growth is refused.
    assert!(matches!(write, Ok(_) | Err(StoreError::Unwritable)));
    assert_eq!(texts(&data, scope).await, acknowledged, "reads go on");
    data.close().await;

    let data = DataStore::open(&path, SMALL).await.unwrap();
    assert_eq!(texts(&data, scope).await, acknowledged, "nothing of the refused one");
    let done = append(&data, vec![read(scope, "room again")]).await;
    let index = u64::try_from(acknowledged.len()).unwrap();
    assert!(matches!(done.results[..], [OpResult::Committed { index: i, .. }] if i == index));
}

/// A limit on file size (EFBIG) is an I/O error to SQLite. The child runs under it.
#[test]
fn a_failing_write_is_unwritable_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let child = std::process::Command::new("sh")
        .arg("-c")
        // Blocks of 512 bytes: 2 MiB, more than the schema takes. Without the trap the signal would end the process.
        .arg("trap '' XFSZ; ulimit -f 4000; exec \"$0\" --exact full_disk::child_fills --nocapture")
        .arg(std::env::current_exe().unwrap())
        .env("LEADVAULT_STORE_FULL_DIRECTORY", dir.path())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&child.stdout).into_owned();
    let shown = shown + &String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{shown}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let data = DataStore::open(&dir.path().join("data.db"), SMALL).await.unwrap();
        let told: usize =
            std::fs::read_to_string(dir.path().join("acknowledged")).unwrap().parse().unwrap();
        let scope = leadvault_store::TenantScope(leadvault_domain::TenantNo(1));
        assert!(texts(&data, scope).await.len() >= told);
        append(&data, vec![read(scope, "room again")]).await;
    });
}

#[tokio::test]
async fn child_fills() {
    let Ok(directory) = std::env::var("LEADVAULT_STORE_FULL_DIRECTORY") else { return };
    let directory = std::path::Path::new(&directory);
    let data = DataStore::open(&directory.join("data.db"), SMALL).await.unwrap();
    let scope = tenant(&data).await;
    let long = "x".repeat(4_000);
    let mut acknowledged = 1_u32;
    while data.append(Batch(vec![read(scope, &long)])).await.is_ok() {
        acknowledged += 1;
        assert!(acknowledged < 10_000, "the limit does not hold");
    }
    assert!(
        data.probe().await.is_err() || data.append(Batch(vec![read(scope, &long)])).await.is_err()
    );
    std::fs::write(directory.join("acknowledged"), acknowledged.to_string()).unwrap();
}
