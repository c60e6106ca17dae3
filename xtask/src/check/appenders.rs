//! The journal's trait is implemented once: whoever implements `AppendChunks` can make receipts, and
//! a receipt opens plaintext. The one implementation is the store's; tests may have their own, and so
//! may the benchmark, on which nothing depends.

use super::Report;
use crate::repo::Repo;

const TRAIT: &str = "AppendChunks for ";
const HOME: &str = "crates/store/";

pub(super) fn run(repo: &Repo) -> Report {
    Report::of(judge(repo))
}

fn judge(repo: &Repo) -> Vec<String> {
    let found: Vec<&str> = repo
        .rust_under(&["crates/"])
        .flat_map(|file| {
            let product = file.product_text().lines().map(str::trim);
            let lines = product.filter(|line| !line.starts_with("//") && line.contains(TRAIT));
            lines.map(|_| file.path.as_str())
        })
        .collect();
    match found.as_slice() {
        [one] if one.starts_with(HOME) => Vec::new(),
        [] => vec![format!("{HOME}: no implementation of the journal's trait")],
        others => vec![format!("one implementation, in {HOME}; found: {}", others.join(", "))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: (&str, &str) =
        ("crates/store/src/append.rs", "impl AppendChunks for DataStore {\n}\n");

    #[test]
    fn the_store_alone_passes_and_a_test_double_does_not_count() {
        let double = (
            "crates/ledger/src/journal.rs",
            "struct J;\n\n#[cfg(test)]\nmod tests {\n    impl AppendChunks for Memory {}\n}\n",
        );
        assert!(judge(&Repo::of(&[STORE, double])).is_empty());
    }

    #[test]
    fn a_planted_second_implementation_fails_and_so_does_none() {
        let second = ("crates/vault/src/quick.rs", "impl ledger::AppendChunks for Quick {}\n");
        assert!(judge(&Repo::of(&[STORE, second]))[0].contains("crates/vault/src/quick.rs"));
        assert_eq!(judge(&Repo::of(&[second])).len(), 1);
        assert_eq!(judge(&Repo::of(&[])).len(), 1);
    }
}
