//! How many leads are left, by the log alone: those stored minus those erased (crypto.md 5.5).
//!
//! An export has the leads stored before the entry that allowed it, but for those erased before it was finished.
//! A lead that came and went in between counts in neither: its erasure is told by the reference that both entries
//! name. The log tells all this exactly only where every import had come to its end, and no entry may count a lead
//! twice. Elsewhere there is no answer rather than a wrong one.

use std::collections::BTreeSet;

use leadvault_ledger::LogSource;
use leadvault_ledger::tile::{TILE_WIDTH, bundle_path, decode_bundle};
use serde_json::Value;

/// What the entries so far come to.
#[derive(Debug, Default)]
struct Count {
    stored: u64,
    erased: u64,
    /// Imports that have begun to store and not ended.
    open_imports: BTreeSet<String>,
    /// Erasures of imports and datasets that were asked for and not completed.
    open_erasures: BTreeSet<String>,
    single_erasures: bool,
    undone: bool,
    /// The entry that allowed the export was seen: what is stored from here on is not in it.
    begun: bool,
    late_leads: BTreeSet<String>,
    late_imports: BTreeSet<String>,
    unclear: bool,
}

/// The leads of an export, by the entries before `begun` and the erasures before `end`; `None` where the log
/// does not tell.
pub(super) fn live_leads(files: &impl LogSource, size: u64, begun: u64, end: u64) -> Option<u64> {
    if begun >= end || end > size {
        return None;
    }
    let mut count = Count::default();
    let mut index = 0;
    for bundle in 0..end.div_ceil(TILE_WIDTH as u64) {
        let first = bundle * TILE_WIDTH as u64;
        let width = usize::try_from((size - first).min(TILE_WIDTH as u64)).ok()?;
        let bytes = files.read(&bundle_path(bundle, width)).ok()??;
        for entry in decode_bundle(&bytes)? {
            if index == begun {
                count.begin();
            }
            if index < end {
                count.add(&serde_json::from_slice(entry).ok()?);
            }
            index += 1;
        }
    }
    let twice = count.undone && count.single_erasures;
    let clear = !count.unclear && !twice && count.open_erasures.is_empty();
    clear.then(|| count.stored.checked_sub(count.erased)).flatten()
}

impl Count {
    fn begin(&mut self) {
        self.begun = true;
        // How many of an import's leads were stored by now stands in no entry.
        self.unclear = self.unclear || !self.open_imports.is_empty();
    }

    fn add(&mut self, entry: &Value) {
        let resource = &entry["resource"];
        let id = resource["id"].as_str().unwrap_or_default();
        let allowed = entry["decision"]["code"].as_str().is_some_and(|c| c.starts_with("ALLOW"));
        if !allowed || entry["outcome"] == "error" {
            return;
        }
        let refs: Vec<&str> =
            resource["refs"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let n = resource["n"].as_u64();
        let leads = n.unwrap_or(refs.len() as u64);
        let kind = resource["type"].as_str().unwrap_or_default();
        match (entry["operation"].as_str().unwrap_or_default(), kind) {
            ("store", "record") if self.begun => {
                self.late_leads.extend(refs.into_iter().map(str::to_owned));
            }
            ("store", "record") => self.stored += leads,
            ("store", "import") if self.begun => {
                self.late_imports.insert(id.to_owned());
            }
            // A slice; how many of its rows were stored stands in the import's last entry.
            ("store", "import") if resource["refs_sha256"].is_string() => {
                self.open_imports.insert(id.to_owned());
            }
            ("store", "import") => {
                if let Some(n) = n {
                    self.open_imports.remove(id);
                    self.stored += n;
                }
            }
            // A file by itself: its leads stay.
            ("erase.requested" | "erase.completed", "file") => {}
            ("erase.requested", "record") => self.erase(&refs, leads),
            ("erase.requested" | "dataset.shred", _) => {
                self.open_erasures.insert(id.to_owned());
            }
            ("erase.completed", "import" | "dataset") => {
                self.open_erasures.remove(id);
                self.erase_all(kind, id, n.unwrap_or(0));
            }
            ("restore" | "tenant.shred", _) => self.unclear = true,
            _ => {}
        }
    }

    /// Single leads.
    fn erase(&mut self, refs: &[&str], leads: u64) {
        self.single_erasures = true;
        let late = refs.iter().filter(|r| self.late_leads.contains(**r)).count() as u64;
        // A lead of a later import is named in no entry of its own.
        let unnamed = refs.is_empty() && !self.late_leads.is_empty();
        self.unclear = self.unclear || unnamed || !self.late_imports.is_empty();
        self.erased += leads.saturating_sub(late);
    }

    /// What an import brought, or all of a dataset.
    fn erase_all(&mut self, kind: &str, id: &str, leads: u64) {
        let mixed =
            kind == "dataset" && !(self.late_leads.is_empty() && self.late_imports.is_empty());
        self.unclear = self.unclear || mixed;
        if kind == "import" {
            self.undone = true;
            if self.late_imports.contains(id) {
                return;
            }
        }
        self.erased += leads;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use leadvault_ledger::tile::encode_bundle;
    use serde_json::json;

    use super::*;

    fn entry(operation: &str, resource: Value) -> Vec<u8> {
        let entry = json!({ "operation": operation, "decision": { "code": "ALLOW" },
                            "resource": resource });
        serde_json::to_vec(&entry).unwrap()
    }

    fn live(entries: &[Vec<u8>]) -> Option<u64> {
        let begun = entries.iter().position(|e| e.windows(8).any(|w| w == b"\"export\"")).unwrap();
        let bytes = encode_bundle(entries.iter().map(Vec::as_slice)).unwrap();
        let files: BTreeMap<String, Vec<u8>> = [(bundle_path(0, entries.len()), bytes)].into();
        let size = entries.len() as u64;
        live_leads(&files, size, begun as u64, size)
    }

    fn single(reference: &str) -> Vec<u8> {
        entry("store", json!({ "type": "record", "refs": [reference] }))
    }

    fn erased(reference: &str) -> Vec<u8> {
        entry("erase.requested", json!({ "type": "record", "n": 1, "refs": [reference] }))
    }

    fn import(id: &str, n: u64) -> [Vec<u8>; 2] {
        let slice = json!({ "type": "import", "id": id, "n": n + 1, "refs_sha256": "ab" });
        [entry("store", slice), entry("store", json!({ "type": "import", "id": id, "n": n }))]
    }

    fn export() -> Vec<u8> {
        entry("export", json!({ "type": "export", "id": "exp_1" }))
    }

    #[test]
    fn stored_minus_erased_is_what_is_left() {
        let [slice, last] = import("imp_1", 8);
        let all = [slice.clone(), last, single("00"), erased("01"), export()];
        assert_eq!(live(&all), Some(8));
        // An import that has not ended: no answer.
        assert_eq!(live(&[slice, export()]), None);
    }

    #[test]
    fn a_file_that_is_erased_takes_no_lead_along() {
        let file = |word| entry(word, json!({ "type": "file", "id": "file_1", "n": 1 }));
        let all = [single("00"), file("erase.requested"), file("erase.completed"), export()];
        assert_eq!(live(&all), Some(1));
        // Asked for and not completed yet: no lead waits for that.
        assert_eq!(live(&[single("00"), file("erase.requested"), export()]), Some(1));
    }

    #[test]
    fn what_comes_while_an_export_is_made_is_not_in_it_and_what_goes_neither() {
        let before = [single("00"), single("01"), export()];
        assert_eq!(live(&[&before[..], &[single("02")]].concat()), Some(2));
        assert_eq!(live(&[&before[..], &[erased("01")]].concat()), Some(1));
        // It came and went.
        assert_eq!(live(&[&before[..], &[single("02"), erased("02")]].concat()), Some(2));
        let late = import("imp_2", 5);
        assert_eq!(live(&[&before[..], &late].concat()), Some(2));
        let undone = entry("erase.completed", json!({ "type": "import", "id": "imp_2", "n": 5 }));
        assert_eq!(live(&[&before[..], &late, &[undone]].concat()), Some(2));
        // Whether it was one of the later import's is not told.
        assert_eq!(live(&[&before[..], &late, &[erased("03")]].concat()), None);
    }

    #[test]
    fn an_import_that_was_running_when_the_export_began_gives_no_answer() {
        let [slice, last] = import("imp_1", 8);
        assert_eq!(live(&[slice, export(), last]), None);
    }
}
