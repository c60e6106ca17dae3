//! Databases, slots and published logs: whether each can be read, and whether they belong together. Nothing
//! is written, so it may run beside a server.

use std::collections::HashMap;
use std::path::Path;

use leadvault_domain::{TenantId, TenantState};
use leadvault_keys::{HeadRow, KeyBlobs as _, RootKey as _, Slot as _, SlotError, WrapContext};
use leadvault_kms::{FileRoot, FileSlots};
use leadvault_ledger::{DirSource, verify_log};
use leadvault_store::{DataStore, KeyStore, StoreError, TenantScope};

use crate::config::Config;
use crate::doctor::Report;
use crate::exit::Stop;
use crate::log_keys::CURRENT;
use crate::stores;
use crate::verify::beside;

/// Looks at everything that the server wrote.
pub(super) async fn look(config: &Config, report: &mut Report) {
    let [data_name, keys_name] = match config.postgres {
        None => ["data.db", "keys.db"],
        Some(_) => ["data store", "key store"],
    };
    let (data, keys) = match config.postgres {
        None => match files(config, [data_name, keys_name], report).await {
            Some(opened) => opened,
            None => return,
        },
        Some(_) => (
            database(report, data_name, stores::data(config).await),
            database(report, keys_name, stores::keys(config).await),
        ),
    };
    let keys = match keys {
        Some(keys) => sound(report, keys_name, keys.is_sound().await).then_some(keys),
        None => None,
    };
    let data = match data {
        Some(data) => sound(report, data_name, data.is_sound().await).then_some(data),
        None => None,
    };
    if let Some(keys) = &keys {
        signing_key(config, keys, report).await;
    }
    let tenants = match &data {
        None => Vec::new(),
        Some(data) => read(report, "data.db", data.list_tenants().await),
    };
    let tenants: Vec<TenantId> =
        tenants.iter().filter(|t| t.state != TenantState::Closed).map(|t| t.id).collect();
    slots(config, keys.as_ref(), &tenants, report).await;
    logs(config, data.as_ref(), report).await;
}

/// The two files, as far as they can be looked at; `None` before the first start.
async fn files(
    config: &Config,
    names: [&str; 2],
    report: &mut Report,
) -> Option<(Option<DataStore>, Option<KeyStore>)> {
    if names.iter().all(|name| !config.data.join(name).exists()) {
        report.find("not_started_yet", "databases are made at the first start", None);
        return None;
    }
    for name in names {
        if !config.data.join(name).exists() {
            report.find("database_missing", "a database is not there", Some(name.to_owned()));
        }
        if !config.data.join(format!("{name}.ballast")).exists() {
            let says = "no space is kept for a full disk; the server makes it when there is room";
            report.find("ballast_missing", says, Some(format!("{name}.ballast")));
        }
    }
    let [data, keys] = names;
    let keys = match KeyStore::look(&config.data.join(keys)).await {
        Ok(store) => Some(store),
        Err(error) => broken(report, keys, error),
    };
    let data = match DataStore::look(&config.data.join(data)).await {
        Ok(store) => Some(store),
        Err(error) => broken(report, data, error),
    };
    Some((data, keys))
}

/// A database of PostgreSQL, where it could be opened as the service opens it.
fn database<T>(report: &mut Report, name: &str, opened: Result<T, Stop>) -> Option<T> {
    let (code, says) = match opened {
        Ok(store) => return Some(store),
        Err(Stop::Refused { .. }) => {
            ("schema_newer", "a newer version of the program has been here")
        }
        Err(Stop::Usage(_)) => {
            ("database_refused", "URL, role or schema do not fit; `leadvault serve` says which")
        }
        Err(_) => ("database_unreachable", "the database does not answer"),
    };
    report.find(code, says, Some(name.to_owned()));
    None
}

/// The rows that a database gave; where it did not, that is a finding.
fn read<T>(report: &mut Report, name: &str, rows: Result<Vec<T>, StoreError>) -> Vec<T> {
    rows.unwrap_or_else(|error| {
        broken::<()>(report, name, error);
        Vec::new()
    })
}

/// What to do about a database that is lost. The key store is replicated, never restored (protocols.md 1.3): an
/// older copy of it opens nothing.
fn damaged(name: &str) -> &'static str {
    match name {
        "keys.db" => "the key store is damaged; rebuild it from its mirror: leadvault keys restore",
        _ => "the database is damaged; put a backup back: leadvault restore",
    }
}

/// Notes what the engine says of a database; whether it may be read on.
fn sound(report: &mut Report, name: &str, found: Result<bool, StoreError>) -> bool {
    let is_sound = found == Ok(true);
    if !is_sound {
        report.find("database_damaged", damaged(name), Some(name.to_owned()));
    }
    is_sound
}

fn broken<T>(report: &mut Report, name: &str, error: StoreError) -> Option<T> {
    let (code, says) = match error {
        StoreError::SchemaNewer { .. } | StoreError::SchemaDiffers { .. } => {
            ("schema_newer", "a newer version of the program has been here")
        }
        _ => ("database_damaged", damaged(name)),
    };
    report.find(code, says, Some(name.to_owned()));
    None
}

/// The root key must be the one that wrapped the signing key of the logs.
async fn signing_key(config: &Config, keys: &KeyStore, report: &mut Report) {
    let Ok(root) = FileRoot::open(&config.keys.root_key_file) else { return };
    let rows = read(report, "keys.db", keys.list_cell_secrets(CURRENT).await);
    if let Some(row) = rows.last() {
        let context = WrapContext::log_signing_key(row.generation);
        if root.unwrap(&context, &row.wrapped).await.is_err() {
            report.find("root_key_other", "the root key is not the one of this key store", None);
        }
    }
}

/// Every tenant needs a slot of the epoch its key store is at.
async fn slots(
    config: &Config,
    keys: Option<&KeyStore>,
    tenants: &[TenantId],
    report: &mut Report,
) {
    let dir = config.data.join("slots");
    if !dir.is_dir() {
        return report.find("slots_unusable", "the directory of the slots is not there", None);
    }
    match FileSlots::open(&dir, false) {
        Ok(_) => {}
        Err(SlotError::OnCow) => {
            let says = "the slots lie where overwritten bytes may be kept: level E0";
            report.find("slot_on_cow", says, None);
        }
        Err(_) => return report.find("slots_unusable", "the slots cannot be opened", None),
    }
    let Ok(slots) = FileSlots::open(&dir, true) else { return };
    let heads = match keys {
        None => return,
        Some(keys) => keys.list_heads().await.unwrap_or_else(|_| {
            report.find("database_damaged", damaged("keys.db"), Some("keys.db".to_owned()));
            Vec::new()
        }),
    };
    let heads: HashMap<TenantId, HeadRow> = heads.into_iter().map(|h| (h.tenant, h)).collect();
    for tenant in tenants {
        let at = Some(format!("slots/{}", tenant.uuid()));
        let found = match (slots.read(*tenant).await, heads.get(tenant)) {
            (Ok(None), _) => Some(("slot_missing", "the slot of a tenant is not there")),
            (Err(_), _) => Some(("slot_damaged", "the slot of a tenant cannot be read")),
            (Ok(Some(_)), None) => {
                Some(("key_store_behind_slot", "the key store does not know a tenant"))
            }
            (Ok(Some(slot)), Some(head)) if slot.epoch > head.epoch => {
                Some(("key_store_behind_slot", "the key store is older than the slot"))
            }
            (Ok(Some(slot)), Some(head))
                if slot.epoch < head.forgotten_epoch || slot.slot_id != head.slot =>
            {
                Some(("slot_behind_log", "the slot is older than the key store, or another one"))
            }
            (Ok(Some(_)), Some(_)) => None,
        };
        if let Some((code, says)) = found {
            report.find(code, says, at);
        }
    }
}

/// Every published log must verify under its own key, and be no longer than the one in the database.
async fn logs(config: &Config, data: Option<&DataStore>, report: &mut Report) {
    let root = config.data.join("log");
    let tenants = match data {
        None => Vec::new(),
        Some(data) => read(report, "data.db", data.list_tenants().await),
    };
    let Ok(entries) = std::fs::read_dir(&root) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(size) = log(&entry.path(), &name, report) else { continue };
        let tenant = tenants.iter().find(|t| t.id.uuid().to_string() == name);
        let (Some(data), Some(tenant)) = (data, tenant) else { continue };
        let held = data.find_log_size(TenantScope(tenant.no)).await.unwrap_or(u64::MAX);
        if held < size {
            let says = "the database is older than its log; the next start brings it up";
            report.find("data_behind_log", says, Some(format!("log/{name}")));
        }
    }
}

/// Verifies one log; its size if it holds.
fn log(dir: &Path, name: &str, report: &mut Report) -> Option<u64> {
    let at = |file: &str| Some(format!("log/{name}/{file}"));
    if !dir.join("checkpoint").exists() && !dir.join("tile").exists() {
        return None;
    }
    let Ok(vkey) = std::fs::read_to_string(dir.join("vkey")) else {
        report.find("log_damaged", "the key of a log cannot be read", at("vkey"));
        return None;
    };
    let verdict = verify_log(&DirSource::new(dir), &vkey, None);
    let Ok(mut verdict) = verdict else {
        report.find("log_damaged", "a file of a log cannot be read", at(""));
        return None;
    };
    if verdict.ok {
        beside::check(dir, &vkey, &mut verdict);
    }
    if !verdict.ok {
        let file = verdict.at.unwrap_or_default();
        report.find("log_damaged", "a file of a log is not what was published", at(&file));
        return None;
    }
    Some(verdict.size)
}
