//! Nothing is left open in code: no ignored test, no note to do it later. What is not done stands in
//! an issue, or in the documents as a limit.

use super::Report;
use crate::repo::Repo;

/// Written in halves, so that this file does not find itself.
const MARKS: &[(&str, &str)] =
    &[("#[ign", "ore"), ("TO", "DO"), ("FIX", "ME"), ("unimple", "mented!("), ("to", "do!(")];
const EXTENSIONS: &[&str] = &["rs", "sql", "toml", "sh", "yml"];

pub(super) fn run(repo: &Repo) -> Report {
    Report::of(judge(repo))
}

fn judge(repo: &Repo) -> Vec<String> {
    let marks: Vec<String> = MARKS.iter().map(|(a, b)| format!("{a}{b}")).collect();
    let mut faults = Vec::new();
    for file in EXTENSIONS.iter().flat_map(|extension| repo.with_extension(extension)) {
        for (at, line) in file.text.lines().enumerate() {
            if let Some(mark) = marks.iter().find(|mark| line.contains(mark.as_str())) {
                faults.push(format!("{}:{}: {mark}", file.path, at + 1));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_planted_mark_is_found_with_its_line() {
        for (a, b) in MARKS {
            let text = format!("fn f() {{}}\n// {a}{b}\n");
            let repo = Repo::of(&[("crates/a/src/lib.rs", &text)]);
            assert_eq!(judge(&repo), [format!("crates/a/src/lib.rs:2: {a}{b}")]);
        }
    }

    #[test]
    fn prose_may_speak_of_the_marks() {
        let text = format!("No {}{} in code.\n", "TO", "DO");
        assert!(judge(&Repo::of(&[("CONTRIBUTING.md", &text)])).is_empty());
    }
}
