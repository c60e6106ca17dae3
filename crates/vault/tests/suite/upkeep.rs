//! What is due by the clock: daily entries of a log, and records of requests that are over.

use leadvault_domain::FieldNo;
use leadvault_ledger::{EntryView, LogOperation};
use leadvault_vault::leads::LeadDoc;
use leadvault_vault::{datasets, leads, log, tenants};
use serde_json::json;

use crate::world::World;

/// Seconds of a day.
const DAY: i64 = 24 * 3600;
const START: &str = "2026-09-21T13:33:20Z";

impl World {
    /// Makes a dataset under an idempotency key; its id.
    async fn dataset_under(&self, key: &str) -> String {
        let mut call = self.call.clone();
        call.idempotency_key = Some(key.to_owned().into());
        let body = serde_json::from_slice(br#"{"name":"Fair"}"#).unwrap();
        datasets::create(&self.cell, &call, body).await.unwrap().value.id.to_string()
    }

    /// The operations in the tenant's log with their own numbers, from an index on.
    async fn own(&self, from: u64) -> Vec<(LogOperation, [Option<u64>; 4])> {
        let entries = log::entries(&self.cell, &self.call, from, None).await.unwrap().value;
        let views = entries.iter().map(|bytes| EntryView::parse(bytes).unwrap());
        let names = ["from_index", "to_index", "leaf_keys_released", "unwraps"];
        views.map(|view| (view.operation(), names.map(|name| view.own_number(name)))).collect()
    }

    async fn size(&self) -> u64 {
        u64::try_from(self.own(0).await.len()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_with_entries_has_a_heartbeat_and_stats_once_a_day() {
    let world = World::at(START).await;
    world.cell.keep_up().await;
    let begun = world.size().await;
    world.clock.forward(DAY - 1);
    world.cell.keep_up().await;
    assert_eq!(world.size().await, begun, "not before the day is over");
    world.clock.forward(1);
    world.cell.keep_up().await;
    world.cell.keep_up().await;
    let said = world.own(begun).await;
    let words: Vec<_> = said.iter().map(|(operation, _)| *operation).collect();
    assert_eq!(words, [LogOperation::Heartbeat, LogOperation::Stats]);
    let [from, to, released, unwraps] = said[1].1;
    assert_eq!((from, to, released), (Some(0), Some(begun), Some(0)));
    assert!(unwraps.is_some());
    // The next day's are about what came since, and the tenant need do nothing for them.
    world.clock.forward(DAY);
    world.cell.keep_up().await;
    let said = world.own(begun + 2).await;
    assert_eq!(said[1].1[..2], [Some(begun + 2), Some(begun + 2)]);
    assert_eq!(said[1].1[3], Some(0), "no key was unwrapped since");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stats_count_the_keys_of_leads_that_were_opened() {
    let world = World::at(START).await;
    let (cell, call) = (&world.cell, &world.call);
    let doc = json!({ "dataset": world.dataset, "fields": { "email": "ada@example.com" } });
    let doc: LeadDoc = serde_json::from_slice(doc.to_string().as_bytes()).unwrap();
    let lead = leads::create::create(cell, call, &doc).await.unwrap().value.id;
    cell.keep_up().await;
    for _ in 0..3 {
        leads::reveal::reveal(cell, call, lead, Some(&[FieldNo::EMAIL])).await.unwrap();
    }
    world.clock.forward(DAY);
    cell.keep_up().await;
    let said = world.own(0).await;
    let (operation, [.., released, _]) = said.last().unwrap();
    assert_eq!((*operation, *released), (LogOperation::Stats, Some(3)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_quiet_for_thirty_days_is_let_rest_until_somebody_comes() {
    let world = World::at(START).await;
    world.cell.keep_up().await;
    for _ in 0..40 {
        world.clock.forward(DAY);
        world.cell.keep_up().await;
    }
    let said = world.own(0).await;
    let beats = said.iter().filter(|(op, _)| *op == LogOperation::Heartbeat).count();
    assert!((30..=31).contains(&beats), "{beats}");
    world.dataset_under("k").await;
    world.cell.keep_up().await;
    let after = world.own(0).await;
    let now = after.iter().filter(|(op, _)| *op == LogOperation::Heartbeat).count();
    assert_eq!(now, beats + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_a_request_is_forgotten_after_a_day() {
    let world = World::at(START).await;
    let first = world.dataset_under("k").await;
    world.clock.forward(DAY - 1);
    world.cell.keep_up().await;
    assert_eq!(world.dataset_under("k").await, first, "answered again");
    let epoch = tenants::view(&world.cell, &world.call).await.unwrap().value.epoch.unwrap();
    world.clock.forward(1);
    world.cell.keep_up().await;
    let swept = tenants::view(&world.cell, &world.call).await.unwrap().value.epoch.unwrap();
    assert_eq!(swept, epoch + 1, "its leaf was punctured");
    assert_ne!(world.dataset_under("k").await, first, "the key is free again");
    // A record that nobody swept is over all the same.
    let second = world.dataset_under("k2").await;
    world.clock.forward(DAY);
    assert_ne!(world.dataset_under("k2").await, second);
}
