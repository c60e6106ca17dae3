//! A document that names a test names one that exists.
//!
//! Three forms are read: the code spans after `Test:` or `Tests:` in a line, the code spans in a
//! table column headed so, and a code span `path/file.rs::name` anywhere. The last part of
//! `module::name` is the function. The table of requirements is judged as a whole besides
//! ([`requirements`]).

use std::collections::BTreeSet;

use super::{Report, requirements};
use crate::repo::{Repo, TextFile, has_extension};

pub(super) fn run(repo: &Repo) -> Report {
    let (mut faults, count) = judge(repo);
    let (rows, states) = requirements::judge(repo);
    faults.extend(rows);
    let mut notes = vec![format!("{count} tests named in documents")];
    notes.extend(states);
    Report { faults, notes }
}

fn judge(repo: &Repo) -> (Vec<String>, usize) {
    let functions: BTreeSet<&str> = repo.with_extension("rs").flat_map(functions).collect();
    let mut faults = Vec::new();
    let mut count = 0;
    for file in repo.with_extension("md") {
        for (number, claim) in claims(&file.text) {
            count += 1;
            if !holds(repo, &functions, &claim) {
                faults.push(format!("{}:{number}: no such test: {claim}", file.path));
            }
        }
    }
    (faults, count)
}

fn holds(repo: &Repo, all: &BTreeSet<&str>, claim: &str) -> bool {
    let (path, name) = claim.rsplit_once("::").unwrap_or(("", claim));
    if path.contains('/') || has_extension(path, "rs") {
        return repo
            .files
            .iter()
            .any(|file| file.path == path && functions(file).any(|f| f == name));
    }
    all.contains(name)
}

/// The names of the functions a file defines.
fn functions(file: &TextFile) -> impl Iterator<Item = &str> {
    file.code_lines().filter_map(|(_, line)| {
        let (before, rest) = line.split_once("fn ")?;
        let is_definition = before.is_empty() || before.ends_with(' ');
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
        rest.get(..end).filter(|name| is_definition && !name.is_empty())
    })
}

/// Every claim of a document with its line number from 1.
fn claims(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut column: Option<usize> = None;
    let mut in_table = false;
    for (at, line) in text.lines().enumerate() {
        let is_row = line.trim_start().starts_with('|');
        if is_row && !in_table {
            column = cells(line).position(is_heading);
        }
        in_table = is_row;
        let mut spans: Vec<&str> = Vec::new();
        if let Some((_, after)) = split_at_mark(line) {
            spans.extend(code_spans(after));
        } else if is_row && let Some(cell) = column.and_then(|c| cells(line).nth(c)) {
            spans.extend(code_spans(cell));
        }
        for span in code_spans(line) {
            if span.contains(".rs::") && !spans.contains(&span) {
                spans.push(span);
            }
        }
        let tests = spans.iter().filter(|span| is_test_name(span));
        found.extend(tests.map(|span| (at + 1, (*span).to_owned())));
    }
    found
}

fn split_at_mark(line: &str) -> Option<(&str, &str)> {
    ["Test:", "Tests:", "test:", "tests:"].iter().find_map(|mark| line.split_once(mark))
}

fn is_heading(cell: &str) -> bool {
    matches!(cell.trim().to_lowercase().as_str(), "test" | "tests")
}

fn cells(row: &str) -> impl Iterator<Item = &str> {
    row.trim().trim_matches('|').split('|')
}

fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Test names are sentences in snake case; a file, a flag or a type in a code span is not one.
fn is_test_name(span: &str) -> bool {
    let name = span.rsplit("::").next().unwrap_or_default();
    name.contains('_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: (&str, &str) =
        ("tests/src/isolation.rs", "#[test]\nfn foreign_lead_is_not_found() {}\n");

    #[test]
    fn planted_claims_without_a_test_fail_in_every_form() {
        let documents = [
            "It holds. Test: `no_such_test`.\n",
            "| claim | test |\n|---|---|\n| x | `isolation::no_such_test` |\n",
            "See `tests/src/isolation.rs::no_such_test`.\n",
            "See `tests/src/other.rs::foreign_lead_is_not_found`.\n",
        ];
        for document in documents {
            let (faults, count) = judge(&Repo::of(&[SOURCE, ("docs/A.md", document)]));
            assert_eq!((faults.len(), count), (1, 1), "{document}");
        }
    }

    #[test]
    fn claims_with_a_test_pass_and_other_code_spans_are_not_claims() {
        let document = "Test: `foreign_lead_is_not_found`, `isolation::foreign_lead_is_not_found`.\n\
            `tests/src/isolation.rs::foreign_lead_is_not_found` and `not_a_claim` and `--flag`.\n\
            | claim | test |\n|---|---|\n| `key_head` | `foreign_lead_is_not_found`, `verify.rs` |\n";
        let (faults, count) = judge(&Repo::of(&[SOURCE, ("docs/A.md", document)]));
        assert_eq!((faults, count), (Vec::new(), 4));
    }
}
