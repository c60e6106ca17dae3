//! `cargo xtask check`: everything that must hold of the tree besides the tests.
//!
//! A check is one file here, one line in [`CHECKS`], and a unit test that plants the fault it looks
//! for. Cheap ones run first. A check that reads the tree is a pure function over [`Repo`]; one that
//! asks cargo keeps its judgement in a pure function too.

mod appenders;
mod claims;
mod data_model;
mod debt;
mod dependencies;
mod dockerfile;
mod edges;
mod errors;
mod fuzz;
mod licence_expression;
mod links;
mod machine;
mod migrations;
mod names;
mod requirements;
mod ring_only;
mod sizes;
mod toolchain;

use std::process::ExitCode;

use anyhow::bail;

use crate::process;
use crate::repo::Repo;

/// What a check found. Faults fail it; notes are printed and fail nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) faults: Vec<String>,
    pub(crate) notes: Vec<String>,
}

impl Report {
    fn of(faults: Vec<String>) -> Self {
        Self { faults, notes: Vec::new() }
    }
}

struct Check {
    name: &'static str,
    about: &'static str,
    run: Run,
}

#[derive(Clone, Copy)]
enum Run {
    /// Reads the tree and nothing else.
    Reads(fn(&Repo) -> Report),
    /// Starts a program, or reads a file of the tree that may be malformed.
    Asks(fn(&Repo) -> anyhow::Result<Report>),
}

impl Check {
    const fn reads(name: &'static str, run: fn(&Repo) -> Report, about: &'static str) -> Self {
        Self { name, about, run: Run::Reads(run) }
    }

    const fn asks(
        name: &'static str,
        run: fn(&Repo) -> anyhow::Result<Report>,
        about: &'static str,
    ) -> Self {
        Self { name, about, run: Run::Asks(run) }
    }

    fn report(&self, repo: &Repo) -> anyhow::Result<Report> {
        match self.run {
            Run::Reads(run) => Ok(run(repo)),
            Run::Asks(run) => run(repo),
        }
    }
}

const CHECKS: &[Check] = &[
    Check::asks("edges", edges::run, "crates depend along the listed edges only"),
    Check::reads("names", names::run, "ring, sqlx, axum are named in one crate each"),
    Check::reads("appenders", appenders::run, "one AppendChunks outside tests"),
    Check::reads("debt", debt::run, "nothing ignored, nothing left open"),
    Check::reads("sizes", sizes::run, "median and largest file; long ones listed"),
    Check::asks("migrations", migrations::run, "frozen ones are unchanged"),
    Check::reads("machine", machine::run, "no path of one machine, no tool by name"),
    Check::reads("links", links::run, "relative links in documents resolve"),
    Check::reads("claims", claims::run, "tests that documents name exist"),
    Check::reads("data_model", data_model::run, "every column is classified in DATA_MODEL.md"),
    Check::reads("errors", errors::run, "every code of the sources is explained in ERRORS.md"),
    Check::reads("dockerfile", dockerfile::run, "two stages, no root, the right port"),
    Check::asks("dependencies", dependencies::run, "licences, bans, sources (deny.toml)"),
    Check::asks("ring_only", ring_only::run, "no other TLS or crypto library ships"),
    Check::asks("fuzz", fuzz::run, "every fuzz target is listed and parses"),
    Check::asks("format", toolchain::format, "cargo fmt --check"),
    Check::asks("clippy", toolchain::clippy, "clippy on all targets, warnings denied"),
    Check::asks("doc", toolchain::doc, "links inside the API documentation"),
];

/// Runs all checks, or those named, and does not stop at the first that fails.
///
/// # Errors
/// An unknown name, or a check that could not be made.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    if arguments.iter().any(|argument| argument == "--list") {
        for check in CHECKS {
            println!("{:<14} {}", check.name, check.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unknown) = arguments.iter().find(|name| CHECKS.iter().all(|c| c.name != **name)) {
        bail!("no such check: {unknown} (cargo xtask check --list)");
    }
    let repo = Repo::open()?;
    let wanted = |check: &&Check| arguments.is_empty() || arguments.iter().any(|a| a == check.name);
    let (mut made, mut failed) = (0_usize, 0_usize);
    for check in CHECKS.iter().filter(wanted) {
        let report = check.report(&repo)?;
        made += 1;
        failed += usize::from(!report.faults.is_empty());
        println!("{:<4} {}", if report.faults.is_empty() { "ok" } else { "FAIL" }, check.name);
        for line in report.notes.iter().chain(&report.faults) {
            println!("       {line}");
        }
    }
    println!("check: {} of {made} hold", made - failed);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(process::EXIT_NO) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_check_is_refused() {
        assert!(run(&["no_such_check".to_owned()]).is_err());
    }

    #[test]
    fn names_of_checks_are_unique() {
        let names: std::collections::BTreeSet<_> = CHECKS.iter().map(|check| check.name).collect();
        assert_eq!(names.len(), CHECKS.len());
    }
}
