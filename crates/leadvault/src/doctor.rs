//! `leadvault doctor`: what an operator should know before it hurts. And `leadvault health`.
//!
//! It changes nothing and may run beside a server. Every finding has a stable code; the choice of durability
//! is repeated as one where it means a loss.

mod bucket;
mod files;
mod machine;
mod stores;

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use crate::config::Config;
use crate::exit::{Done, Stop};
use crate::output::print_json;

/// One finding.
#[derive(Debug, Serialize)]
struct Finding {
    code: &'static str,
    says: &'static str,
    /// The file it is about, below the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    durability: Vec<String>,
    findings: Vec<Finding>,
}

impl Report {
    fn find(&mut self, code: &'static str, says: &'static str, at: Option<String>) {
        self.ok = false;
        self.findings.push(Finding { code, says, at });
    }
}

/// Runs the command.
///
/// # Errors
/// 1 when something was found, 2 for a bad configuration.
pub(crate) fn run(config: &Path) -> Done {
    let config = Config::read(config)?;
    let durability = config.durability.choices.clone();
    let mut report = Report { ok: true, durability, findings: Vec::new() };
    files::look(&config, &mut report);
    machine::look(&config, &mut report);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("runtime").map_err(Stop::Again)?;
    runtime.block_on(async {
        bucket::look(&config, &mut report).await;
        stores::look(&config, &mut report).await;
    });
    print_json(&report)?;
    if report.ok { Ok(()) } else { Err(Stop::No) }
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
