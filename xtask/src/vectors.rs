//! `cargo xtask vectors --check FILE`: every known answer of a file, compared with the code.
//!
//! A section belongs to the crate that implements it; one that belongs to none fails. Prints one JSON
//! line, as `verify` does: `{"ok":bool,"checked":n,"failed":["record.C",…]}`.

use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use leadvault_crypto::vectors::{Report, SectionReport, check_with};
use leadvault_ledger::vectors::check_log_section;
use serde_json::Value;

use crate::process;

/// The one section of the ledger; all others are of the crypto crate.
const LEDGER_SECTION: &str = "log";

/// Checks a file.
///
/// # Errors
/// Usage, or the file is not a JSON object.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let [option, path] = arguments else { bail!("usage: cargo xtask vectors --check FILE") };
    ensure!(option == "--check", "usage: cargo xtask vectors --check FILE");
    let bytes = std::fs::read(path).with_context(|| path.clone())?;
    let file: Value = serde_json::from_slice(&bytes).with_context(|| path.clone())?;
    ensure!(file.is_object(), "{path}: not an object of sections");
    let report = check(&file);
    println!("{}", serde_json::to_string(&report)?);
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::from(process::EXIT_NO) })
}

fn check(file: &Value) -> Report {
    check_with(file, |name, section| {
        (name == LEDGER_SECTION).then(|| {
            let (checked, failed) = check_log_section(section);
            SectionReport { checked, failed }
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 6962: the root of one empty leaf, SHA-256 of the byte 0x00.
    const EMPTY_LEAF: &str = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";

    fn file(root: &str) -> Value {
        json!({"log": {"origin": "o", "ed25519_seed": "00".repeat(32), "entries": [""],
                       "root_1": root}})
    }

    #[test]
    fn the_log_section_is_the_ledgers_and_a_changed_value_is_named() {
        let good = check(&file(EMPTY_LEAF));
        assert!(good.ok && good.checked == 4, "{good:?}");
        let bad = check(&file(&"00".repeat(32)));
        assert!(!bad.ok);
        assert_eq!(bad.failed, ["log.root_1"]);
    }

    #[test]
    fn a_section_of_nobody_fails_and_so_does_a_file_without_sections() {
        let report = check(&json!({"surprise": {}}));
        assert!(!report.ok);
        assert_eq!(report.failed, ["surprise"]);
        assert!(!check(&json!({})).ok);
    }

    #[test]
    fn what_is_not_a_file_of_sections_cannot_be_asked() {
        assert!(run(&[]).is_err());
        assert!(run(&["--check".into(), "no/such/file".into()]).is_err());
    }
}
