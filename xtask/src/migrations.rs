//! Frozen migrations: `migrations/CHECKSUMS`, one line per file, as `sha256sum` prints them.
//!
//! Migrations only grow. A migration that has run somewhere cannot be changed, only followed by
//! another; freezing writes down which ones have been published.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::process;
use crate::repo::Repo;

/// Relative to the root. `cd migrations && sha256sum --check CHECKSUMS` reads it too.
pub(crate) const CHECKSUMS: &str = "migrations/CHECKSUMS";
const FOLDER: &str = "migrations/";

/// How the tree compares with what was frozen. Paths are relative to `migrations/`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    pub(crate) changed: Vec<String>,
    pub(crate) missing: Vec<String>,
    pub(crate) unfrozen: Vec<String>,
    /// Two files of one folder with one number.
    pub(crate) twice: Vec<String>,
}

/// `--freeze` adds what is new and refuses to touch what is there.
///
/// # Errors
/// Unknown arguments, an unreadable tree, or a frozen migration that has changed.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    if arguments != ["--freeze"] {
        bail!("usage: cargo xtask migrations --freeze");
    }
    let repo = Repo::open()?;
    let comparison = compare(&repo)?;
    if !(comparison.changed.is_empty() && comparison.missing.is_empty()) {
        for path in comparison.changed.iter().chain(&comparison.missing) {
            eprintln!("{path}: frozen, and no longer as it was; add a new migration instead");
        }
        return Ok(ExitCode::from(process::EXIT_NO));
    }
    let mut frozen = parse(repo.text(CHECKSUMS).unwrap_or_default())?;
    let present = present(&repo);
    for path in &comparison.unfrozen {
        if let Some(sum) = present.get(path) {
            frozen.insert(path.clone(), sum.clone());
        }
    }
    let lines: Vec<String> = frozen.iter().map(|(path, sum)| format!("{sum}  {path}")).collect();
    let text = lines.join("\n") + "\n";
    std::fs::write(repo.root.join(CHECKSUMS), text).context(CHECKSUMS)?;
    println!("{} frozen, {} of them new", frozen.len(), comparison.unfrozen.len());
    Ok(ExitCode::SUCCESS)
}

/// Compares the files with the frozen sums.
///
/// # Errors
/// A line of the file is not a checksum line.
pub(crate) fn compare(repo: &Repo) -> anyhow::Result<Comparison> {
    let frozen = parse(repo.text(CHECKSUMS).unwrap_or_default())?;
    let present = present(repo);
    let mut comparison = Comparison::default();
    for (path, sum) in &frozen {
        match present.get(path) {
            None => comparison.missing.push(path.clone()),
            Some(now) if now != sum => comparison.changed.push(path.clone()),
            Some(_) => {}
        }
    }
    let mut numbers = BTreeSet::new();
    for path in present.keys() {
        if !frozen.contains_key(path) {
            comparison.unfrozen.push(path.clone());
        }
        if let Some((number, _)) = path.split_once('_')
            && !numbers.insert(number)
        {
            comparison.twice.push(path.clone());
        }
    }
    Ok(comparison)
}

fn present(repo: &Repo) -> BTreeMap<String, String> {
    repo.with_extension("sql")
        .filter_map(|file| {
            let path = file.path.strip_prefix(FOLDER)?;
            let sum = hex::encode(leadvault_crypto::sha256(&[file.text.as_bytes()]));
            Some((path.to_owned(), sum))
        })
        .collect()
}

fn parse(text: &str) -> anyhow::Result<BTreeMap<String, String>> {
    text.lines()
        .map(|line| {
            let (sum, path) =
                line.split_once("  ").with_context(|| format!("{CHECKSUMS}: {line}"))?;
            Ok((path.to_owned(), sum.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "SELECT 1;\n";
    // sha256sum of ONE, computed with the tool of that name.
    const ONE_SUM: &str = "b4e0497804e46e0a0b0b8c31975b062152d551bac49c3c2e80932567b4085dcd";

    #[test]
    fn a_frozen_migration_that_is_as_it_was_passes() {
        let line = format!("{ONE_SUM}  sqlite/data/0001_a.sql\n");
        let repo = Repo::of(&[("migrations/sqlite/data/0001_a.sql", ONE), (CHECKSUMS, &line)]);
        assert_eq!(compare(&repo).expect("well formed"), Comparison::default());
    }

    #[test]
    fn a_changed_a_missing_and_a_new_migration_are_told_apart() {
        let lines =
            format!("{ONE_SUM}  sqlite/data/0001_a.sql\n{ONE_SUM}  sqlite/data/0002_b.sql\n");
        let repo = Repo::of(&[
            ("migrations/sqlite/data/0001_a.sql", "SELECT 2;\n"),
            ("migrations/sqlite/data/0003_c.sql", ONE),
            (CHECKSUMS, &lines),
        ]);
        let comparison = compare(&repo).expect("well formed");
        assert_eq!(comparison.changed, ["sqlite/data/0001_a.sql"]);
        assert_eq!(comparison.missing, ["sqlite/data/0002_b.sql"]);
        assert_eq!(comparison.unfrozen, ["sqlite/data/0003_c.sql"]);
    }

    #[test]
    fn one_number_twice_in_a_folder_is_found_and_in_two_folders_is_not() {
        let repo = Repo::of(&[
            ("migrations/sqlite/data/0001_a.sql", ONE),
            ("migrations/sqlite/data/0001_b.sql", ONE),
            ("migrations/sqlite/keys/0001_a.sql", ONE),
        ]);
        assert_eq!(compare(&repo).expect("well formed").twice, ["sqlite/data/0001_b.sql"]);
    }
}
