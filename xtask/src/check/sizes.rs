//! How large the files are. A report, not a limit: a file that is one clear thing may be long, and a
//! file cut only to meet a number is worse. The list is for the reader of a change.

use super::Report;
use crate::repo::Repo;

/// Lines above which a file is listed (CONTRIBUTING.md, "Files").
const LISTED_ABOVE_LINES: usize = 400;

pub(super) fn run(repo: &Repo) -> Report {
    let mut product: Vec<(usize, &str)> = repo
        .rust_under(&["crates/"])
        .filter(|file| !file.is_test())
        .map(|file| (file.text.lines().count(), file.path.as_str()))
        .collect();
    product.sort_unstable();
    let Some((largest, where_largest)) = product.last() else {
        return Report::default();
    };
    let median = product.get(product.len() / 2).map_or(0, |(lines, _)| *lines);
    let count = product.len();
    let mut notes = vec![format!(
        "{count} product files, lines: median {median}, largest {largest} ({where_largest})"
    )];
    let long = product.iter().rev().filter(|(lines, _)| *lines > LISTED_ABOVE_LINES);
    notes.extend(long.map(|(lines, path)| format!("long: {lines} {path}")));
    Report { faults: Vec::new(), notes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_largest_and_a_planted_long_file_are_reported_and_tests_are_not() {
        let long = "x\n".repeat(LISTED_ABOVE_LINES + 1);
        let repo = Repo::of(&[
            ("crates/a/src/one.rs", "x\n"),
            ("crates/a/src/two.rs", "x\nx\n"),
            ("crates/a/src/long.rs", &long),
            ("crates/a/tests/huge.rs", &long),
        ]);
        let report = run(&repo);
        assert!(report.faults.is_empty());
        assert_eq!(
            report.notes,
            [
                "3 product files, lines: median 2, largest 401 (crates/a/src/long.rs)",
                "long: 401 crates/a/src/long.rs",
            ]
        );
    }
}
