//! `leadvault doctor`: what an operator should know before it hurts. And `leadvault health`.

use std::path::Path;

use anyhow::Context as _;
use leadvault_keys::{RootError, SlotError};
use leadvault_kms::{FileRoot, FileSlots};
use serde::Serialize;

use crate::config::Config;
use crate::exit::{Done, Stop};
use crate::output::print_json;

/// One finding.
#[derive(Debug, Serialize)]
struct Finding {
    code: &'static str,
    says: &'static str,
}

/// What was looked at.
#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    findings: Vec<Finding>,
}

/// Runs the command.
///
/// # Errors
/// 1 when something was found, 2 for a bad configuration.
pub(crate) fn run(config: &Path) -> Done {
    let config = Config::read(config)?;
    let mut findings = Vec::new();
    let mut find = |code, says| findings.push(Finding { code, says });
    match FileRoot::open(&config.keys.root_key_file) {
        Ok(_) => {}
        Err(RootError::Mode) => find("root_key_mode", "group or others may read the root key"),
        Err(_) => find("root_key_unreadable", "the root key cannot be read"),
    }
    match FileSlots::open(&config.data.join("slots"), false) {
        Ok(_) => {}
        Err(SlotError::OnCow) => {
            find("slot_on_cow", "the slots lie where overwritten bytes may be kept: level E0");
        }
        Err(_) => find("slots_unusable", "the slots cannot be opened"),
    }
    if config.durability.choices.iter().any(|c| c == "accept-total-loss") {
        find("accept_total_loss", "losing the slots or the key store loses every tenant");
    }
    if config.durability.mirror.as_deref().is_some_and(|dir| same_device(dir, &config.data)) {
        find("mirror_same_disk", "the mirror lies on the disk it is to survive");
    }
    if config.tls.is_none()
        && !config.listen.starts_with("127.")
        && !config.listen.starts_with("[::1]")
    {
        find("plain_http", "listens beyond loopback without TLS");
    }
    if core_dumps_allowed() {
        find("core_dumps", "a crash may write memory to disk: ulimit -c 0");
    }
    for name in ["data.db", "keys.db"] {
        if !config.data.join(name).exists() {
            find("not_started_yet", "a database is made at the first start");
        }
    }
    let ok = findings.is_empty();
    print_json(&Report { ok, findings })?;
    if ok { Ok(()) } else { Err(Stop::No) }
}

fn same_device(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (std::fs::metadata(a), std::fs::metadata(b)) {
        (Ok(a), Ok(b)) => a.dev() == b.dev(),
        _ => false,
    }
}

fn core_dumps_allowed() -> bool {
    rustix::process::getrlimit(rustix::process::Resource::Core).current != Some(0)
}

/// Asks a server for its health.
///
/// # Errors
/// 1 when it is not healthy, 4 when it cannot be reached or the machine has no certificates to check it by.
pub(crate) fn health(url: &str) -> Done {
    let client = reqwest::blocking::Client::builder().build();
    let answer = client
        .context("no TLS certificates of the system can be loaded: ca-certificates")
        .map_err(Stop::Again)?
        .get(url)
        .timeout(std::time::Duration::from_secs(5))
        .send()
        .context("the server cannot be reached")
        .map_err(Stop::Again)?;
    if answer.status().is_success() { Ok(()) } else { Err(Stop::No) }
}
