//! A whole export: leads in, package out, opened with the reference implementation of age; and what erasures,
//! changes and time do to one.

use leadvault_crypto::{minisign, sha256};
use leadvault_domain::LeadId;
use leadvault_vault::{Fault, Span, export, leads, log};
use serde_json::{Value, json};

use crate::export_kit::{decrypt, member};
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_opens_with_age_and_its_hashes_and_signature_hold() {
    let world = World::new().await;
    let first = world.lead("ada@sentinel.example", "=cmd()").await;
    world.lead("bob@sentinel.example", "Two, \"Inc\"").await;
    let id = world.export("one", false).await;
    let view = export::find(&world.cell, &world.call, id).await.unwrap().value;
    assert_eq!((view.state, view.leads, view.encrypted), ("ready", Some(2), true));
    let sealed = world.download(id, Span::Whole).await.unwrap();
    assert_eq!(view.bytes, Some(sealed.len() as u64));
    assert_eq!(view.sha256, Some(hex::encode(sha256(&[&sealed]))));
    let zip = decrypt(&sealed, &world.identity);
    let lines = String::from_utf8(member(&zip, "data/leads-0001.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines[0]["id"], first.to_string());
    assert_eq!(lines[0]["fields"]["company"], "=cmd()");
    assert_eq!(lines[0]["tags"], json!(["vip"]));
    let rows = String::from_utf8(member(&zip, "data/leads-0001.csv")).unwrap();
    assert!(rows.contains(",'=cmd(),") && rows.contains("\"Two, \"\"Inc\"\"\""), "{rows}");
    let tags = member(&zip, "/tagmanifest-sha256.txt");
    let signature = String::from_utf8(member(&zip, ".minisig")).unwrap();
    assert_eq!(minisign::verify(&world.log_key.verifying_key(), &tags, &signature), Ok(()));
    for manifest in ["/tagmanifest-sha256.txt", "/manifest-sha256.txt"] {
        for line in String::from_utf8(member(&zip, manifest)).unwrap().lines() {
            let (digest, path) = line.split_once("  ").unwrap();
            assert_eq!(digest, hex::encode(sha256(&[&member(&zip, path)])), "{path}");
        }
    }
    // A span is cut from the same bytes.
    let span = world.download(id, Span::From(10, Some(19))).await.unwrap();
    assert_eq!(span, sealed[10..20]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_readable_lies_on_disk_and_an_erasure_makes_the_package_stale() {
    let world = World::new().await;
    let lead = world.lead("ada@sentinel.example", "Sentinel-Works").await;
    let id = world.export("one", true).await;
    let zip = world.download(id, Span::Whole).await.unwrap();
    // The control: the plain package does hold what is looked for on the disk.
    let rows = member(&zip, "data/leads-0001.csv");
    assert!(rows.windows(14).any(|w| w == b"Sentinel-Works"));
    for (entry, bytes) in contents(world.dir.path()) {
        let found = bytes.windows(14).any(|w| w == b"Sentinel-Works")
            || bytes.windows(4).any(|w| w == b"PK\x03\x04");
        assert!(!found, "{}", entry.display());
    }
    let receipt = world.erase(lead).await;
    assert_eq!(receipt["exports"], json!([id]));
    assert_eq!(world.download(id, Span::Whole).await, Err(Fault::ExportStale));
    let view = export::find(&world.cell, &world.call, id).await.unwrap().value;
    assert_eq!(view.state, "stale");
    let next = world.export("two", true).await;
    let view = export::find(&world.cell, &world.call, next).await.unwrap().value;
    assert_eq!((view.state, view.leads), ("ready", Some(0)));
}

/// Entries of a page of leads, by dataset.
async fn pages_of(world: &World, dataset: &str) -> usize {
    let entries = log::entries(&world.cell, &world.call, 0, None).await.unwrap().value;
    let entries: Vec<Value> = entries.iter().map(|e| serde_json::from_slice(e).unwrap()).collect();
    let of = |entry: &&Value| {
        entry["operation"] == "export"
            && entry["resource"]["dataset"] == dataset
            && entry["resource"]["refs_sha256"].is_string()
    };
    entries.iter().filter(of).count()
}

fn ids(lines: &[Value]) -> Vec<String> {
    let mut ids: Vec<String> =
        lines.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

fn sorted(leads: &[LeadId]) -> Vec<String> {
    let mut ids: Vec<String> = leads.iter().map(ToString::to_string).collect();
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lead_erased_while_an_export_is_made_is_not_in_it_and_only_its_part_is_rendered_again() {
    let world = World::new().await;
    let second = world.dataset("Second").await;
    let gone = world.lead("ada@sentinel.example", "One").await;
    let stays = world.lead("bob@sentinel.example", "Two").await;
    let other = world.lead_in(second, "eve@sentinel.example", "Three").await;
    // Both parts are rendered; the package is assembled.
    let held = world.hold("export.assembled");
    let operation = world.start("one", true).await;
    let go = held.reached().await;
    world.erase(gone).await;
    go.send(()).unwrap();
    let id = world.ended(operation).await;
    assert_eq!(ids(&world.lines(id).await), sorted(&[stays, other]));
    assert_eq!(pages_of(&world, &world.dataset.to_string()).await, 2);
    assert_eq!(pages_of(&world, &second.to_string()).await, 1);
    // It was ready only then, so the erasure does not make it stale.
    assert_eq!(export::find(&world.cell, &world.call, id).await.unwrap().value.state, "ready");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lead_made_while_an_export_is_made_is_not_in_it_and_a_changed_one_is_as_changed() {
    let world = World::new().await;
    let before = world.lead("ada@sentinel.example", "Before").await;
    let held = world.hold("export.part");
    let operation = world.start("one", true).await;
    let go = held.reached().await;
    let later = world.lead("bob@sentinel.example", "Later").await;
    let change = serde_json::from_slice(br#"{"fields":{"company":"After"}}"#).unwrap();
    leads::change::change(&world.cell, &world.call, before, 1, &change).await.unwrap();
    go.send(()).unwrap();
    let id = world.ended(operation).await;
    let lines = world.lines(id).await;
    assert_eq!(ids(&lines), sorted(&[before]));
    assert_eq!(lines[0]["fields"]["company"], "After");
    // The lead that is not in it does not make it stale; one that is does.
    world.erase(later).await;
    assert!(world.download(id, Span::Whole).await.is_ok());
    world.erase(before).await;
    assert_eq!(world.download(id, Span::Whole).await, Err(Fault::ExportStale));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_comes_again_is_told_the_operation_it_started() {
    let world = World::new().await;
    // Equal in everything but the key.
    let call = |key: &str| {
        let mut call = world.exit("same");
        call.idempotency_key = Some(key.to_owned().into());
        call
    };
    let mut begun = Vec::new();
    for key in ["one", "two", "one", "two"] {
        let started = export::start(&world.cell, &call(key), None, true).await.unwrap().value;
        world.ended(started).await;
        begun.push(started);
    }
    assert_ne!(begun[0], begun[1]);
    assert_eq!(begun[..2], begun[2..]);
}

/// Waits until `files/` holds so many objects: parts go right after an export is ready.
async fn objects(world: &World, count: usize) -> Vec<std::path::PathBuf> {
    for _ in 0..600 {
        let found = walk(&world.dir.path().join("files"));
        if found.len() == count {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("there are never {count} objects")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_gone_after_seven_days() {
    let world = World::new().await;
    world.lead("ada@sentinel.example", "One").await;
    let first = world.export("one", true).await;
    let seven_days = 7 * 24 * 3600;
    world.clock.forward(seven_days - 60);
    assert!(world.download(first, Span::Whole).await.is_ok());
    world.clock.forward(61);
    let view = export::find(&world.cell, &world.call, first).await.unwrap().value;
    assert_eq!(view.state, "expired");
    assert_eq!(world.download(first, Span::Whole).await, Err(Fault::ExportExpired));
    let file = objects(&world, 1).await;
    // The next export looks for what is over.
    world.export("two", true).await;
    assert_ne!(objects(&world, 1).await, file, "that of the second is there instead");
    assert_eq!(world.download(first, Span::Whole).await, Err(Fault::ExportExpired));
}

/// Every file with its bytes; begun anew where one got another name meanwhile, as a checkpoint of the log does.
fn contents(dir: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    loop {
        let read = |path: std::path::PathBuf| std::fs::read(&path).map(|bytes| (path, bytes));
        let all: Result<Vec<_>, std::io::Error> = walk(dir).into_iter().map(read).collect();
        match all {
            Ok(all) => return all,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
        }
    }
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}
