//! Who names which library in its source, tests included.
//!
//! The manifest is checked by `edges`; this finds what a manifest cannot show, such as a library that
//! reaches a crate as a development dependency and is then named in its product code.

use super::Report;
use crate::repo::Repo;

/// A crate name as it stands in source, and the folders whose files may name it.
const NAMED: &[(&str, &[&str])] = &[
    ("ring", &["crates/crypto/"]),
    ("sqlx", &["crates/store/"]),
    ("axum", &["crates/api/"]),
    ("axum_server", &["crates/leadvault/"]),
    ("object_store", &["crates/store/"]),
    ("reqwest", &["crates/leadvault/", "tests/"]),
];

/// Folders of the workspace whose sources are product or its tests.
const FOLDERS: &[&str] = &["crates/", "tests/"];

pub(super) fn run(repo: &Repo) -> Report {
    Report::of(judge(repo))
}

fn judge(repo: &Repo) -> Vec<String> {
    let mut faults = Vec::new();
    for file in repo.rust_under(FOLDERS) {
        for (library, folders) in NAMED {
            if folders.iter().any(|folder| file.path.starts_with(folder)) {
                continue;
            }
            for (number, line) in file.code_lines() {
                if names(line, library) {
                    let home = folders.join(", ");
                    faults.push(format!("{}:{number}: names {library}; only {home}", file.path));
                }
            }
        }
    }
    faults
}

/// Whether `library` begins a path in this line: `ring::aead`, `use ring;`, `::ring::hmac`, but
/// neither `rustls::crypto::ring::default_provider` nor `String::new`.
fn names(line: &str, library: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(library).any(|(at, _)| {
        let (before, after) =
            (line.get(..at).unwrap_or(""), line.get(at + library.len()..).unwrap_or(""));
        let starts_path = match before.strip_suffix("::") {
            Some(parent) => !parent.ends_with(is_word) && !parent.ends_with(['>', '}']),
            None => !before.ends_with(is_word) && !before.ends_with('.'),
        };
        let is_import = before.ends_with("use ") || before.ends_with("extern crate ");
        let ends_import = after.starts_with(';') || after.starts_with(" as ");
        starts_path && (after.starts_with("::") || (is_import && ends_import))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_use_outside_the_one_crate_fails() {
        let repo = Repo::of(&[
            ("crates/crypto/src/aead.rs", "use ring::aead;\n"),
            ("crates/keys/src/lib.rs", "//! ring::aead is not used here.\nuse ring::aead;\n"),
            ("tests/src/x.rs", "let pool = sqlx::query(\"\");\nreqwest::get(url);\n"),
        ]);
        let faults = judge(&repo);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].starts_with("crates/keys/src/lib.rs:2: names ring"));
        assert!(faults[1].starts_with("tests/src/x.rs:1: names sqlx"));
    }

    #[test]
    fn words_that_only_look_like_the_library_pass() {
        for innocent in [
            "rustls::crypto::ring::default_provider()",
            "String::new()",
            "keys.ring().open()",
            "let ring = keys.ring();",
            "use crate::ring::Keyring;",
            "spring::sprung()",
        ] {
            assert!(!names(innocent, "ring"), "{innocent}");
        }
        for named in
            ["ring::digest::digest(x)", "use ring;", "&::ring::hmac::Key", "(ring::aead::X)"]
        {
            assert!(names(named, "ring"), "{named}");
        }
    }
}
