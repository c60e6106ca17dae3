//! Where a leak would lie: every file of a vault, names of files, what it printed, what it answered.

use std::path::Path;

use aho_corasick::AhoCorasick;
use leadvault_test_postgres::Store;
use leadvault_tests::kit::{Collector, Stores, Vault};

use super::forms::{FORMS, TEXT_BYTES_MIN, form};

/// Bytes of a form that are looked for; longer ones are found by their beginning. In every form this is eight
/// bytes of the text or more.
const FORM_BYTES_MAX: usize = 16;

/// What is looked for: one automaton for each form.
pub(super) struct Needles(Vec<AhoCorasick>);

impl Needles {
    /// Texts shorter than [`TEXT_BYTES_MIN`] are not looked for.
    pub(super) fn new(texts: &[String]) -> Self {
        let texts: Vec<_> = texts.iter().filter(|t| t.len() >= TEXT_BYTES_MIN).collect();
        let automata = (0..FORMS).map(|no| {
            let forms = texts.iter().map(|text| {
                let mut form = form(text, no);
                form.truncate(FORM_BYTES_MAX);
                form
            });
            AhoCorasick::new(forms).expect("an automaton")
        });
        Self(automata.collect())
    }
}

/// Places by name, and what stands there.
#[derive(Default)]
pub(super) struct Haystack(pub(super) Vec<(String, Vec<u8>)>);

impl Haystack {
    /// Every file under a directory.
    pub(super) fn read(&mut self, dir: &Path) {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                self.read(&path);
                continue;
            }
            // A file may be gone by now: a running server removes some.
            let Ok(bytes) = std::fs::read(&path) else { continue };
            // The ballast beside each database is sixty-four MiB of one byte.
            let first = bytes.first().copied().unwrap_or(0);
            if path.to_string_lossy().contains("ballast") {
                assert!(bytes.iter().all(|b| *b == first), "the ballast holds something");
            } else {
                self.0.push((path.display().to_string(), bytes));
            }
        }
    }

    /// Everything that a vault keeps: its data directory, and the files of its databases where it has some, as
    /// they lie on the disk.
    pub(super) fn read_vault(&mut self, vault: &Vault) {
        self.read(&vault.data());
        if let Stores::Databases(pair) = vault.stores() {
            for store in [Store::Data, Store::Keys] {
                self.read(&pair.files(store));
            }
        }
    }

    /// Everything that a collector received, as it came: protobuf keeps texts as they are.
    pub(super) fn read_collector(&mut self, collector: &Collector) {
        for post in collector.posted() {
            self.0.push((format!("posted {}", post.path), post.body));
            self.add("the head of a post", &post.head);
        }
    }

    pub(super) fn add(&mut self, place: &str, text: &str) {
        self.0.push((place.to_owned(), text.as_bytes().to_vec()));
    }

    /// Places that hold one of the texts in one of the forms, with the form.
    pub(super) fn find(&self, needles: &Needles) -> Vec<String> {
        let mut hits = Vec::new();
        for (no, form) in needles.0.iter().enumerate() {
            for (place, bytes) in &self.0 {
                for inside in [bytes.as_slice(), place.as_bytes()] {
                    if let Some(hit) = form.find(inside) {
                        let text = hit.pattern().as_usize();
                        hits.push(format!("{place}: text {text} in form {no}"));
                    }
                }
            }
        }
        hits
    }
}
