//! Migrations only grow: the judgement over `migrations/CHECKSUMS`.

use super::Report;
use crate::migrations::{Comparison, compare};
use crate::repo::Repo;

pub(super) fn run(repo: &Repo) -> anyhow::Result<Report> {
    Ok(Report::of(judge(&compare(repo)?)))
}

fn judge(comparison: &Comparison) -> Vec<String> {
    let sentences: [(&[String], &str); 4] = [
        (&comparison.changed, "changed after it was frozen; add a new migration instead"),
        (&comparison.missing, "frozen and gone"),
        (&comparison.unfrozen, "not frozen yet: cargo xtask migrations --freeze"),
        (&comparison.twice, "its number is taken in this folder"),
    ];
    let lines = sentences.iter().flat_map(|(paths, sentence)| {
        paths.iter().map(move |path| format!("migrations/{path}: {sentence}"))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_planted_difference_is_a_fault_of_its_own() {
        let comparison = Comparison {
            changed: vec!["a.sql".into()],
            missing: vec!["b.sql".into()],
            unfrozen: vec!["c.sql".into()],
            twice: vec!["d.sql".into()],
        };
        let faults = judge(&comparison);
        assert_eq!(faults.len(), 4);
        assert!(faults[0].starts_with("migrations/a.sql: changed after it was frozen"));
        assert!(judge(&Comparison::default()).is_empty());
    }
}
