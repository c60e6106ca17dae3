//! The fuzz targets: each file is listed, each listed one exists, and all of them parse.
//!
//! They are a workspace of their own, because they need a nightly compiler; so the compiler of the
//! suite never sees them, and rustfmt is what reads them here.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::Context as _;
use toml::{Table, Value};

use super::Report;
use crate::process;
use crate::repo::{Repo, root};

const MANIFEST: &str = "fuzz/Cargo.toml";
const FOLDER: &str = "fuzz/fuzz_targets/";

pub(super) fn run(repo: &Repo) -> anyhow::Result<Report> {
    let mut faults = judge(repo)?;
    let files = repo.rust_under(&[FOLDER]).map(|file| file.path.as_str());
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--check", "--edition", "2024"]).args(files).current_dir(root());
    if !process::succeeds(&mut rustfmt)? {
        faults.push("a target does not parse, or is not formatted".into());
    }
    Ok(Report::of(faults))
}

fn judge(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let manifest: Table = repo.text(MANIFEST).context(MANIFEST)?.parse().context(MANIFEST)?;
    let bins = manifest.get("bin").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let path = |bin: &Value| Some(format!("fuzz/{}", bin.get("path")?.as_str()?));
    let listed: BTreeSet<String> = bins.iter().filter_map(path).collect();
    let present: BTreeSet<String> =
        repo.rust_under(&[FOLDER]).map(|file| file.path.clone()).collect();
    let absent = listed.difference(&present).map(|path| format!("{path}: listed, not there"));
    let unlisted = present.difference(&listed).map(|path| format!("{path}: there, not listed"));
    Ok(absent.chain(unlisted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_file_without_a_line_and_a_line_without_a_file_fail() {
        let manifest = "[[bin]]\nname = \"a\"\npath = \"fuzz_targets/a.rs\"\n\
            [[bin]]\nname = \"b\"\npath = \"fuzz_targets/b.rs\"\n";
        let repo = Repo::of(&[
            (MANIFEST, manifest),
            ("fuzz/fuzz_targets/a.rs", ""),
            ("fuzz/fuzz_targets/c.rs", ""),
        ]);
        assert_eq!(
            judge(&repo).expect("a manifest"),
            [
                "fuzz/fuzz_targets/b.rs: listed, not there",
                "fuzz/fuzz_targets/c.rs: there, not listed"
            ]
        );
    }
}
