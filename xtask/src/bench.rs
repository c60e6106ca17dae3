//! `cargo xtask bench embedded|postgres`: builds the release binary and the benchmark, and runs it; for the latter on a
//! private cluster whose commits reach the disk.
//!
//! They are built one after the other, so that the binary under measurement has the features of the
//! product and of nothing else.

use std::process::{Command, ExitCode};

use crate::postgres::{self, Cluster, Disk};
use crate::process;
use crate::repo;

/// Builds, then measures.
///
/// # Errors
/// cargo or the benchmark cannot be started.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    for package in ["leadvault", "leadvault-bench"] {
        let mut build = process::cargo(&["build", "--release", "--locked", "--package", package]);
        if !process::succeeds(build.current_dir(repo::root()))? {
            return Ok(ExitCode::from(process::EXIT_NO));
        }
    }
    let target = cargo_metadata::MetadataCommand::new()
        .current_dir(repo::root())
        .no_deps()
        .exec()?
        .target_directory;
    let cluster = match arguments.first().map(String::as_str) {
        Some("postgres") => Some(Cluster::start(Disk::Synced)?),
        _ => None,
    };
    let mut bench = Command::new(target.join("release").join("leadvault-bench"));
    if let Some(cluster) = &cluster {
        bench.env(postgres::VARIABLE, cluster.socket());
    }
    let ended = process::succeeds(bench.args(arguments))?;
    Ok(if ended { ExitCode::SUCCESS } else { ExitCode::from(process::EXIT_NO) })
}
