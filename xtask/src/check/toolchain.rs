//! The checks that the toolchain makes: format, lints, documentation.

use super::Report;
use crate::process;
use crate::repo::{Repo, root};

pub(super) fn format(_: &Repo) -> anyhow::Result<Report> {
    judge(&["fmt", "--all", "--", "--check"], None)
}

pub(super) fn clippy(_: &Repo) -> anyhow::Result<Report> {
    judge(&["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"], None)
}

pub(super) fn doc(_: &Repo) -> anyhow::Result<Report> {
    judge(
        &["doc", "--workspace", "--no-deps", "--locked"],
        Some(("RUSTDOCFLAGS", "--deny rustdoc::broken_intra_doc_links")),
    )
}

/// What it says goes straight to the terminal; only the verdict comes back.
fn judge(arguments: &[&str], variable: Option<(&str, &str)>) -> anyhow::Result<Report> {
    let mut cargo = process::cargo(arguments);
    cargo.current_dir(root()).envs(variable);
    let holds = process::succeeds(&mut cargo)?;
    let fault = (!holds).then(|| format!("cargo {} fails; its words stand above", arguments[0]));
    Ok(Report::of(fault.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_failure_of_cargo_is_a_fault_and_a_success_is_not() {
        assert_eq!(judge(&["no-such-subcommand-of-cargo"], None).expect("started").faults.len(), 1);
        assert!(judge(&["--version"], None).expect("started").faults.is_empty());
    }
}
