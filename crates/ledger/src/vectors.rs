//! The known answers of the log: section `log` of the vectors file.
//!
//! Member names carry their parameters: `root_<n>`, `inclusion_<m>_in_<n>`, `consistency_<m>_<n>`.

use leadvault_crypto::{SecretKey, SigningKey};
use leadvault_domain::Timestamp;
use serde_json::Value;

use crate::Hash;
use crate::checkpoint::Checkpoint;
use crate::log_keys::LogKeys;
use crate::note::Note;
use crate::tree::{consistency, inclusion, leaf_hash, root, verify_consistency, verify_inclusion};
use crate::vkey::Vkey;

/// What the section is computed from.
struct Given {
    origin: String,
    seed: [u8; 32],
    leaves: Vec<Hash>,
}

/// Computes every member of the section anew. Returns how many were checked and the names of those that
/// differ, as `log.<member>`; a member that is not known differs.
pub fn check_log_section(section: &Value) -> (usize, Vec<String>) {
    let Some(members) = section.as_object() else { return (1, vec!["log".to_owned()]) };
    let Some(given) = Given::read(section) else {
        return (members.len(), vec!["log.entries".to_owned()]);
    };
    let failed = members
        .iter()
        .filter(|(name, value)| !given.holds(name, value).unwrap_or(false))
        .map(|(name, _)| format!("log.{name}"))
        .collect();
    (members.len(), failed)
}

impl Given {
    fn read(section: &Value) -> Option<Self> {
        let entries = section.get("entries")?.as_array()?;
        let leaves = entries.iter().map(|e| e.as_str().map(|e| leaf_hash(e.as_bytes())));
        Some(Self {
            origin: section.get("origin")?.as_str()?.to_owned(),
            seed: hash(section.get("ed25519_seed")?)?,
            leaves: leaves.collect::<Option<_>>()?,
        })
    }

    /// Whether a member is what it must be; `None` where it is not even of the right form.
    fn holds(&self, name: &str, value: &Value) -> Option<bool> {
        match name {
            // Inputs: what they lead to is checked under the other names.
            "origin" | "ed25519_seed" | "entries" => Some(true),
            "vkey" => Some(self.vkey()?.to_string() == value.as_str()?),
            "leaf_hashes" => Some(self.leaves == hashes(value)?),
            "checkpoint" => self.checkpoint(value.as_str()?),
            other => self.proof(other, value),
        }
    }

    fn key(&self) -> SigningKey {
        SigningKey::from_seed(&SecretKey::from_bytes(self.seed))
    }

    fn vkey(&self) -> Option<Vkey> {
        Vkey::new(&self.origin, self.key().verifying_key()).ok()
    }

    /// The checkpoint over all entries: same bytes, and it opens under the key.
    fn checkpoint(&self, text: &str) -> Option<bool> {
        let size = u64::try_from(self.leaves.len()).ok()?;
        let expected = Checkpoint { origin: self.origin.clone(), size, root: root(&self.leaves) };
        let host = self.origin.split('/').next()?;
        let keys = LogKeys::new(host, self.key()).ok()?;
        let note =
            keys.sign_note(&self.origin, &expected.to_string(), Timestamp::default()).ok()?;
        let opened = Checkpoint::open(text.as_bytes(), &[self.vkey()?]).ok()?;
        Some(note == text && opened == expected && Note::parse(text.as_bytes()).is_ok())
    }

    fn proof(&self, name: &str, value: &Value) -> Option<bool> {
        if let Some(n) = name.strip_prefix("root_") {
            return Some(root(self.first(n.parse().ok()?)?) == hash(value)?);
        }
        if let Some((m, n)) = name.strip_prefix("inclusion_").and_then(|r| r.split_once("_in_")) {
            let (m, leaves) = (m.parse::<u64>().ok()?, self.first(n.parse().ok()?)?);
            let (path, n) = (hashes(value)?, u64::try_from(leaves.len()).ok()?);
            let leaf = leaves.get(usize::try_from(m).ok()?)?;
            let verifies = verify_inclusion(m, n, leaf, &path, &root(leaves));
            return Some(verifies && inclusion(m, leaves)? == path);
        }
        let (m, n) = name.strip_prefix("consistency_")?.split_once('_')?;
        let (old, new) = (self.first(m.parse().ok()?)?, self.first(n.parse().ok()?)?);
        let (m, n) = (u64::try_from(old.len()).ok()?, u64::try_from(new.len()).ok()?);
        let path = hashes(value)?;
        let verifies = verify_consistency(m, n, &root(old), &root(new), &path);
        Some(verifies && consistency(m, new)? == path)
    }

    fn first(&self, n: usize) -> Option<&[Hash]> {
        self.leaves.get(..n)
    }
}

fn hash(value: &Value) -> Option<Hash> {
    hex::decode(value.as_str()?).ok()?.try_into().ok()
}

fn hashes(value: &Value) -> Option<Vec<Hash>> {
    value.as_array()?.iter().map(hash).collect()
}
