//! Imports against a whole cell whose clock the test sets: persons under 18 on a given day, and what waits in
//! quarantine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures::TryStreamExt as _;
use leadvault_domain::{FieldNo, ImportId, LeadId};
use leadvault_vault::import::job::{self, ImportView, NewImport, Part};
use leadvault_vault::import::quarantine;
use leadvault_vault::{Fault, datasets, leads};
use serde_json::{Value, json};

use crate::world::{ATTESTATION, World};

/// The day the sample of people was made for.
const DAY: &str = "2026-11-23T12:00:00Z";
/// Seconds of a day.
const DAY_SECONDS: i64 = 24 * 3600;

fn attestation() -> Value {
    serde_json::from_str(ATTESTATION).unwrap()
}

impl World {
    async fn import(&self, file: &[u8], attested: bool) -> ImportView {
        let attestation = attested.then(attestation);
        let new = json!({ "dataset": self.dataset, "attestation": attestation });
        let new: NewImport = serde_json::from_slice(new.to_string().as_bytes()).unwrap();
        let id = job::open(&self.cell, &self.call, new).await.unwrap().value.id;
        // As a network would cut it.
        let pieces: Vec<Result<bytes::Bytes, std::io::Error>> =
            file.chunks(1_000).map(|piece| Ok(bytes::Bytes::copy_from_slice(piece))).collect();
        let body = futures::stream::iter(pieces);
        job::content(&self.cell, &self.call, id, Part::default(), body).await.unwrap().value
    }

    async fn failures(&self, id: ImportId) -> Vec<(u64, Option<u32>, String)> {
        let pages = job::failures(&self.cell, &self.call, id).await.unwrap().value;
        let pages: Vec<_> = pages.try_collect().await.unwrap();
        pages.into_iter().flatten().map(|f| (f.row, f.column, f.code)).collect()
    }

    async fn leads(&self) -> Vec<LeadId> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let dataset = Some(self.dataset);
            let page =
                leads::list::list(&self.cell, &self.call, dataset, 200, cursor.as_deref()).await;
            let page = page.unwrap().value;
            all.extend(page.data.iter().map(|lead| lead.id));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return all;
            }
        }
    }

    /// Row number and cells of every lead.
    async fn rows(&self) -> BTreeMap<u64, Vec<(String, String)>> {
        let mut rows = BTreeMap::new();
        for id in self.leads().await {
            let fields = [FieldNo::ORIGINAL];
            let lead = leads::reveal::reveal(&self.cell, &self.call, id, Some(&fields)).await;
            let lead = lead.unwrap().value;
            rows.insert(lead.row.unwrap(), lead.original.unwrap());
        }
        rows
    }

    fn later(&self, days: i64) {
        self.clock.forward(days * DAY_SECONDS);
    }

    /// Whether a text lies anywhere in the data directory, as it is or in hex.
    fn lies_on_disk(&self, text: &str) -> bool {
        let forms = [text.as_bytes().to_vec(), hex::encode(text).into_bytes()];
        walk(self.dir.path()).iter().any(|file| {
            let bytes = std::fs::read(file).unwrap();
            forms.iter().any(|form| bytes.windows(form.len()).any(|w| w == form))
        })
    }
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// A list of the sample's layout: who has an odd number divisible by seven is under 18.
fn generated_people() -> (String, Vec<u64>) {
    let mut file =
        "Index,User Id,First Name,Last Name,Sex,Email,Phone,Date of birth,Job Title\r\n".to_owned();
    let mut young = Vec::new();
    for n in 1..=100_u64 {
        let minor = n % 7 == 0 && n % 2 == 1;
        let born = if minor { "2008-11-24" } else { "2008-11-23" };
        if minor {
            young.push(n);
        }
        file.push_str(&format!(
            "{n},id{n},First{n},Sentinel{n}x,Male,person{n}@sentinel.example,{n}555-2671,{born},\"Job, {n}\"\r\n"
        ));
    }
    (file, young)
}

/// The sample where `LEADVAULT_SAMPLES` names its directory.
fn people() -> (String, Vec<u64>) {
    let Some(directory) = std::env::var_os("LEADVAULT_SAMPLES") else { return generated_people() };
    let file = std::fs::read_to_string(PathBuf::from(directory).join("people-100.csv")).unwrap();
    (file, vec![4, 6, 9, 26, 41, 42, 62, 66, 71, 77, 79, 83, 99, 100])
}

/// Cells of a file whose quoted cells hold no quotes and no line ends.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            c => cell.push(c),
        }
    }
    cells.push(cell);
    cells
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn persons_under_18_on_the_day_are_refused_kept_nowhere_and_the_others_lose_no_cell() {
    for (file, young) in [people(), generated_people()] {
        let world = World::at(DAY).await;
        let import = world.import(file.as_bytes(), true).await;
        assert_eq!((import.rows.read, import.rows.rejected), (100, young.len() as u64));
        assert_eq!(import.rows.stored, 100 - young.len() as u64);
        let expected: Vec<_> =
            young.iter().map(|row| (*row, Some(7), "minor".to_owned())).collect();
        assert_eq!(world.failures(import.id).await, expected);
        let mut lines = file.lines();
        let headers = cells(lines.next().unwrap());
        let written: Vec<Vec<String>> = lines.map(cells).collect();
        let rows = world.rows().await;
        for (row, cells) in (1..).zip(&written) {
            if young.contains(&row) {
                assert!(!rows.contains_key(&row));
                assert!(!world.lies_on_disk(&cells[5]), "row {row}");
                continue;
            }
            let pairs: Vec<_> = headers.iter().cloned().zip(cells.iter().cloned()).collect();
            assert_eq!(rows.get(&row), Some(&pairs), "row {row}");
        }
        // The control: planted beside the database, an address is found.
        let planted = &written[usize::try_from(young[0]).unwrap() - 1][5];
        std::fs::write(world.dir.path().join("planted"), format!("x{planted}y")).unwrap();
        assert!(world.lies_on_disk(planted));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_turns_18_on_the_day_is_taken_in() {
    let world = World::at(DAY).await;
    let file = "Email,Date of birth\na@example.com,2008-11-23\nb@example.com,2008-11-24\n";
    let import = world.import(file.as_bytes(), true).await;
    assert_eq!((import.rows.stored, import.rows.rejected), (1, 1));
    world.later(1);
    let import = world.import(file.as_bytes(), true).await;
    assert_eq!((import.rows.stored, import.rows.skipped), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_without_attestation_is_hidden_and_goes_after_14_days() {
    let world = World::at(DAY).await;
    let kept = world.import(b"Email\nkept@example.com\n", true).await;
    let waiting = world.import(b"Email\na@example.com\nb@example.com\n", false).await;
    assert_eq!((kept.state, waiting.state), ("done", "quarantined"));
    assert_eq!(waiting.rows.stored, 2);
    assert_eq!(world.leads().await.len(), 1, "what waits is not listed");
    // What waits is in nobody's way.
    let attested = world.import(b"Email\nb@example.com\n", true).await;
    assert_eq!((attested.rows.stored, attested.rows.skipped), (1, 0));
    world.later(13);
    assert_eq!(quarantine::sweep(&world.cell).await, 0);
    world.later(1);
    assert_eq!(quarantine::sweep(&world.cell).await, 1);
    assert_eq!(quarantine::sweep(&world.cell).await, 0);
    let gone = job::find(&world.cell, &world.call, waiting.id).await.unwrap().value;
    assert_eq!(gone.state, "undone");
    // Nothing is left that the same file would meet: it comes in again, and the attested lead is still there.
    let again = world.import(b"Email\na@example.com\nkept@example.com\n", true).await;
    assert_eq!((again.rows.stored, again.rows.skipped), (1, 1));
    assert_eq!(world.leads().await.len(), 3);
    let late = futures::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from_static(b"x"))]);
    let refused = job::content(&world.cell, &world.call, waiting.id, Part::default(), late).await;
    assert_eq!(refused.unwrap_err().fault, Fault::StateConflict);
}

/// The generator of messy files, shared with the black-box tests.
#[path = "../../../../tests/src/corpus/mod.rs"]
#[expect(
    unreachable_pub,
    dead_code,
    unused_imports,
    reason = "lists of leads are for other tests; included here as it is there"
)]
mod corpus;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_messy_file_becomes_what_its_generator_wrote() {
    let mut world = World::at(DAY).await;
    // The surface has no member to name an encoding with.
    let cases = corpus::messy().into_iter().filter(|case| case.named_encoding.is_none());
    // A dataset for each costs an epoch of the keys: every third, unless there is time.
    let step = if std::env::var_os("LEADVAULT_FULL").is_some() { 1 } else { 3 };
    let mut files = 0;
    for case in cases.step_by(step) {
        let dataset = serde_json::from_slice(br#"{"name":"Case","default_region":"US"}"#).unwrap();
        world.dataset = datasets::create(&world.cell, &world.call, dataset).await.unwrap().value.id;
        world.judge(&case).await;
        files += 1;
    }
    assert!(files >= 60, "{files}");
}

impl World {
    async fn judge(&self, case: &corpus::Case) {
        let mapping: serde_json::Map<String, Value> =
            case.mapping.iter().map(|(c, f)| ((*c).to_owned(), json!(f))).collect();
        let new = json!({ "dataset": self.dataset, "duplicates": { "by": ["external_id"], "action": "skip" },
            "mapping": (!mapping.is_empty()).then_some(mapping),
            "attestation": attestation() });
        let new: NewImport = serde_json::from_slice(new.to_string().as_bytes()).unwrap();
        let opened = match job::open(&self.cell, &self.call, new).await {
            Ok(opened) => opened.value,
            Err(refusal) => {
                let corpus::Expected::Refused { .. } = case.expected else {
                    panic!("{}: {:?}", case.name, refusal.fault)
                };
                return;
            }
        };
        let pieces: Vec<Result<bytes::Bytes, std::io::Error>> =
            case.bytes.chunks(997).map(|piece| Ok(bytes::Bytes::copy_from_slice(piece))).collect();
        let body = futures::stream::iter(pieces);
        let done = job::content(&self.cell, &self.call, opened.id, Part::default(), body).await;
        match (&case.expected, done) {
            (corpus::Expected::Refused { code, .. }, Err(refusal)) => {
                let expected = match refusal.fault {
                    Fault::NoHeaderRow => "no_header_row",
                    Fault::MappingNeeded(_) => "mapping_needed",
                    Fault::Invalid(_) | Fault::TooLarge => "invalid",
                    other => panic!("{}: {other:?}", case.name),
                };
                assert_eq!(*code, expected, "{}", case.name);
                assert_eq!(self.leads().await.len(), 0, "{}", case.name);
            }
            (corpus::Expected::Read { stored, rejected, .. }, Ok(done)) => {
                let rows = done.value.rows;
                assert_eq!(rows.rejected, rejected.len() as u64, "{}", case.name);
                assert_eq!(rows.stored + rows.skipped, stored.len() as u64, "{}", case.name);
                let failures: Vec<(u64, Option<usize>, String)> = self
                    .failures(opened.id)
                    .await
                    .into_iter()
                    .map(|(row, column, code)| (row, column.map(|c| c as usize), code))
                    .collect();
                let mut expected: Vec<_> = rejected
                    .iter()
                    .map(|(row, column, code)| (*row, *column, (*code).to_owned()))
                    .collect();
                expected.sort();
                assert_eq!(failures, expected, "{}", case.name);
                let golden: BTreeMap<u64, &Vec<(String, String)>> =
                    stored.iter().map(|(row, cells)| (*row, cells)).collect();
                for (row, cells) in self.rows().await {
                    assert_eq!(Some(&&cells), golden.get(&row), "{}, row {row}", case.name);
                }
            }
            (_, done) => panic!("{}: {:?}", case.name, done.map(|d| d.value.rows)),
        }
    }
}
