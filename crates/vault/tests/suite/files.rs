//! What the clock does to files: uploads that nobody goes on with, objects that nothing names; and calls that meet.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use leadvault_domain::{FileId, LeadId};
use leadvault_vault::files::{self, NewFile, Progress, Upload};
use leadvault_vault::{Fault, Refusal, Span};

use crate::world::World;

const START: &str = "2026-09-21T13:33:20Z";
/// Behind everything that the file system says of now.
const YEARS: i64 = 30 * 365 * 24 * 3600;
const DAY: i64 = 24 * 3600;
const CHUNK: usize = 65_535;

impl World {
    async fn file(&self, lead: LeadId, size: u64) -> FileId {
        let name = "a file".to_owned();
        let new = NewFile { name, size, leads: Vec::new(), goes_with_any: false };
        files::create(&self.cell, &self.call, lead, &new).await.unwrap().value
    }

    async fn put(&self, id: FileId, from: u64, bytes: Vec<u8>) -> Result<Progress, Refusal> {
        let part = Upload { from, bytes: Some(bytes.len() as u64), total: None };
        let body = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from(bytes))]);
        let done = files::upload(&self.cell, &self.call, id, part, body).await;
        done.map(|answer| answer.value)
    }

    async fn reads(&self, id: FileId) -> bool {
        files::content(&self.cell, &self.call, id, Span::Whole).await.is_ok()
    }

    /// The objects of the tenant.
    fn objects(&self) -> Vec<PathBuf> {
        let tenant = self.call.caller.tenant.uuid().to_string();
        let dir = std::fs::read_dir(self.dir.path().join("files").join(tenant)).unwrap();
        dir.map(|entry| entry.unwrap().path()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_nobody_goes_on_with_is_given_up_after_a_day() {
    let world = World::at(START).await;
    let lead = world.lead("ada@example.com", "Analytical").await;
    let (open, whole) = (world.file(lead, 2 * CHUNK as u64).await, world.file(lead, 3).await);
    world.put(open, 0, vec![1; CHUNK]).await.unwrap();
    world.put(whole, 0, vec![2; 3]).await.unwrap();
    world.clock.forward(DAY - 1);
    world.cell.keep_up().await;
    world.put(open, CHUNK as u64, vec![1; 10]).await.unwrap();
    assert_eq!(world.objects().len(), 2);
    world.clock.forward(2);
    world.cell.keep_up().await;
    let gone = files::offset(&world.cell, &world.call, open).await.unwrap_err();
    assert_eq!(gone.fault, Fault::NotFound);
    assert_eq!(world.objects().len(), 1);
    assert!(world.reads(whole).await, "what is complete stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_that_nothing_names_are_swept_and_those_in_use_stay() {
    let world = World::at(START).await;
    let lead = world.lead("ada@example.com", "Analytical").await;
    let kept = world.file(lead, 3).await;
    world.put(kept, 0, vec![2; 3]).await.unwrap();
    let beside = world.objects().pop().unwrap().with_file_name("0123456789abcdef0123456789abcdef");
    std::fs::write(&beside, b"sealed once, named never").unwrap();
    world.cell.keep_up().await;
    assert!(beside.exists(), "it may be about to be named");
    world.clock.forward(YEARS);
    world.cell.keep_up().await;
    assert!(!beside.exists());
    assert_eq!(world.objects().len(), 1);
}

/// Two clients send the same file at once: one is ahead, and what is stored is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_uploads_of_one_file_one_is_ahead() {
    let world = Arc::new(World::at(START).await);
    let lead = world.lead("ada@example.com", "Analytical").await;
    let id = world.file(lead, 10).await;
    let held = world.hold("file.object_written");
    let first = Arc::clone(&world);
    let first = tokio::spawn(async move { first.put(id, 0, vec![1; 10]).await });
    let go = held.reached().await;
    world.put(id, 0, vec![1; 10]).await.unwrap();
    go.send(()).unwrap();
    assert_eq!(first.await.unwrap().unwrap_err().fault, Fault::InProgress);
    assert_eq!(world.objects().len(), 1, "what lost is removed");
    assert!(world.reads(id).await);
}
