//! Nothing in the tree speaks of the machine it was written on: no absolute path of a checkout, no
//! home directory, no tool that only its author has.

use super::Report;
use crate::repo::Repo;

/// Written in halves, so that this file does not find itself.
const TERMS: &[(&str, &str)] = &[
    ("/wo", "rk/"),
    ("/ro", "ot/"),
    ("/home", "/runner"),
    ("/tmp/", "plan"),
    ("shared/", "spec"),
    ("shared/", "data"),
    ("shared/", "design"),
    (".lib", "rary/"),
    ("before-", "stop"),
    ("BRIEF", ".md"),
    ("cla", "ude"),
    ("anth", "ropic"),
];

pub(super) fn run(repo: &Repo) -> Report {
    Report::of(judge(repo))
}

fn judge(repo: &Repo) -> Vec<String> {
    let terms: Vec<String> = TERMS.iter().map(|(a, b)| format!("{a}{b}")).collect();
    let mut faults = Vec::new();
    for file in &repo.files {
        for (at, line) in file.text.lines().enumerate() {
            let lower = line.to_lowercase();
            let found = terms.iter().find(|term| lower.contains(&term.to_lowercase()));
            if let Some(term) = found {
                faults.push(format!("{}:{}: names {term}", file.path, at + 1));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_planted_term_is_found_whatever_its_case() {
        for (a, b) in TERMS {
            let text = format!("fine\nsee {}{}\n", a.to_uppercase(), b);
            let repo = Repo::of(&[("docs/A.md", &text)]);
            assert_eq!(judge(&repo), [format!("docs/A.md:2: names {a}{b}")]);
        }
    }

    #[test]
    fn ordinary_paths_pass() {
        let text = "/var/lib/leadvault and /tmp and ./framework/x and https://host/v1/log\n";
        assert!(judge(&Repo::of(&[("docs/A.md", text)])).is_empty());
    }
}
