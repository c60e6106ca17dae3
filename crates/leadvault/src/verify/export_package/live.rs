//! How many leads are left, by the log alone: those stored minus those erased (crypto.md 5.5).
//!
//! The log tells it exactly only where nothing was stored while the package was made, every import came to its
//! end, and no entry may count a lead twice. Elsewhere there is no answer rather than a wrong one.

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
    /// An entry of this export was seen.
    begun: bool,
    unclear: bool,
}

/// The leads that are live when the export begins; `None` where the log does not tell.
pub(super) fn live_leads(files: &impl LogSource, size: u64, export: &str) -> Option<u64> {
    let mut count = Count::default();
    for bundle in 0..size.div_ceil(TILE_WIDTH as u64) {
        let first = bundle * TILE_WIDTH as u64;
        let width = usize::try_from((size - first).min(TILE_WIDTH as u64)).ok()?;
        let bytes = files.read(&bundle_path(bundle, width)).ok()??;
        for entry in decode_bundle(&bytes)? {
            count.add(&serde_json::from_slice(entry).ok()?, export);
        }
    }
    let twice = count.undone && count.single_erasures;
    let open = !count.open_imports.is_empty() || !count.open_erasures.is_empty();
    let clear = count.begun && !count.unclear && !twice && !open;
    clear.then(|| count.stored.checked_sub(count.erased)).flatten()
}

impl Count {
    fn add(&mut self, entry: &Value, export: &str) {
        let resource = &entry["resource"];
        let id = resource["id"].as_str().unwrap_or_default();
        let allowed = entry["decision"]["code"].as_str().is_some_and(|c| c.starts_with("ALLOW"));
        if !allowed || entry["outcome"] == "error" {
            return;
        }
        self.begun = self.begun || id == export;
        let named = resource["refs"].as_array().map_or(0, Vec::len) as u64;
        let n = resource["n"].as_u64();
        let kind = resource["type"].as_str().unwrap_or_default();
        match (entry["operation"].as_str().unwrap_or_default(), kind) {
            ("store", _) if self.begun => self.unclear = true,
            ("store", "record") => self.stored += n.unwrap_or(named),
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
            ("erase.requested", "record") => {
                self.erased += n.unwrap_or(named);
                self.single_erasures = true;
            }
            ("erase.requested" | "dataset.shred", _) => {
                self.open_erasures.insert(id.to_owned());
            }
            ("erase.completed", "import" | "dataset") => {
                self.undone = self.undone || kind == "import";
                self.open_erasures.remove(id);
                self.erased += n.unwrap_or(0);
            }
            ("restore" | "tenant.shred", _) => self.unclear = true,
            _ => {}
        }
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
        let bytes = encode_bundle(entries.iter().map(Vec::as_slice)).unwrap();
        let files: BTreeMap<String, Vec<u8>> = [(bundle_path(0, entries.len()), bytes)].into();
        live_leads(&files, entries.len() as u64, "exp_1")
    }

    #[test]
    fn stored_minus_erased_is_what_is_left() {
        let slice =
            entry("store", json!({ "type": "import", "id": "imp_1", "n": 9, "refs_sha256": "ab" }));
        let last = entry("store", json!({ "type": "import", "id": "imp_1", "n": 8 }));
        let single = entry("store", json!({ "type": "record", "refs": ["00"] }));
        let erased = entry("erase.requested", json!({ "type": "record", "n": 1 }));
        let export = entry("export", json!({ "type": "export", "id": "exp_1" }));
        let all = [slice.clone(), last, single.clone(), erased, export.clone()];
        assert_eq!(live(&all), Some(8));
        // An import that has not ended, and a lead that came meanwhile: no answer.
        assert_eq!(live(&[slice, export.clone()]), None);
        assert_eq!(live(&[export, single]), None);
    }
}
